"""Requirements files as projects have them: read in any encoding, and converted for uv.

pip accepts more than uv does, and people freeze environments on other systems. Each changed line is
reported; other errors are left to the installer's own message.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

# Longest first: the marks of UTF-32 begin like those of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
INCLUDE = re.compile(r"""^\s*(?:-[rc]\s*|--(?:requirement|constraint)[\s=]+)(["']?)(.+?)\1\s*(?:\s#.*)?$""")
EDITABLE = re.compile(r"""^\s*(?:-e\s*|--editable[\s=]+)(["']?)(.+?)\1\s*(?:\s#.*)?$""")
INDEX = re.compile(r"""^\s*(?:-i\s*|--index-url[\s=]+|--pypi-url[\s=]+)(["']?)(\S+?)\1\s*(?:#.*)?$""")
FURTHER_INDEX = re.compile(r"^\s*--extra-index-url[\s=]")
OWN = re.compile(r"^(?:file:(?://)?)?([.\w/\-]*?)(?:\[([\w\-., ]+)\])?$")
NAME = re.compile(r"^\s*([A-Za-z0-9][\w.\-]*)")
# `pip freeze` writes these: on Debian and Ubuntu a package that no index has, on Windows packages that exist
# only there. Names as in PEP 503.
NOT_HERE = {
    "pkg-resources", "pywin32", "pypiwin32", "pywin32-ctypes", "pywinpty", "twisted-iocpsupport",
    "windows-curses", "win32-setctime", "wincertstore", "pyreadline", "pyreadline3", "wmi", "comtypes",
}  # fmt: skip

# Included in Python since before 3.10, frozen on an older one. Their last releases refuse a newer Python,
# or do not compile for it.
STANDARD = {"backports-zoneinfo", "dataclasses", "functools32", "futures", "typing", "wsgiref"}


class Cleaned:
    """The result of ``clean`` for one file: its ``text``, and ``notes`` of the changes, for the log.

    ``own`` is whether the file installs the project itself (``-e .``), which is not a package here, and
    ``own_extras`` its extras; ``further_index`` whether several indexes are used; ``hashes`` whether there
    are any.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.notes: list[str] = []
        self.own = False
        self.own_extras: set[str] = set()
        self.further_index = False
        self.hashes = False


def read(path: Path) -> str:
    """Return the text of ``path``: by its byte order mark, else UTF-8, else UTF-16 or Latin-1."""
    content = path.read_bytes()
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    if b"\0" in content:
        # PowerShell's `>` without its mark: every other byte of ASCII is zero.
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def included(text: str) -> Iterator[str]:
    """Yield the paths of ``-r`` and ``-c`` lines, as written."""
    for line in text.splitlines():
        if match := INCLUDE.match(line):
            yield match[2]


def names(text: str) -> Iterator[str]:
    """Yield the names of the distributions in a file, as in PEP 503."""
    for line in text.splitlines():
        if match := NAME.match(line):
            yield normalised(match[1])


def normalised(name: str) -> str:
    """Return the name as in PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def clean(text: str, folder: Path, project: Path, default_index: str, public_index: str) -> Cleaned:
    """Return ``text`` as uv accepts it.

    ``folder`` is where the installer runs and ``project`` the folder whose own package is not installed;
    ``default_index`` is the index of this build, empty for the ``public_index``, the installer's own.
    """
    done = Cleaned("")
    lines: list[str] = []
    # A line that ends in a backslash continues: hashes are written that way.
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        kept, note = _line(line, done, folder, project, default_index, public_index)
        if note:
            done.notes.append(note)
        if kept is not None:
            lines.append(kept)
    done.text = "\n".join([*lines, ""])
    return done


def _line(
    line: str, done: Cleaned, folder: Path, project: Path, default_index: str, public_index: str
) -> tuple[str | None, str]:
    done.hashes |= "--hash=" in line
    if match := EDITABLE.match(line):
        return _editable(match[2], line, done, folder, project)
    if match := INDEX.match(line):
        return _index(match[2], line, done, default_index, public_index)
    if FURTHER_INDEX.match(line):
        done.further_index = True
        return line, ""
    if _is_own(line.split("#", maxsplit=1)[0].strip(), done, folder, project):
        return None, ""
    name = NAME.match(line)
    reason = _needless(normalised(name[1])) if name and ";" not in line else ""
    return (None, f"{line.strip()}: left out, {reason}") if reason else (line, "")


def _needless(name: str) -> str:
    if name in NOT_HERE:
        return "it does not exist for Linux"
    return "Python itself has it" if name in STANDARD else ""


def _editable(target: str, line: str, done: Cleaned, folder: Path, project: Path) -> tuple[str | None, str]:
    vcs = re.match(r"(?:git|hg|svn|bzr)\+", target)
    if vcs:
        egg = re.search(r"#(?:.*&)?egg=([\w.\-]+(?:\[[^\]]*\])?)", target)
        # Sources below src/ cannot be edited in an image: it is installed like any other.
        return (f"{egg[1]} @ {target}" if egg else target), ""
    if _is_own(target, done, folder, project):
        return None, ""
    return line, ""


def _is_own(target: str, done: Cleaned, folder: Path, project: Path) -> bool:
    match = OWN.match(target)
    if not match or not match[1].startswith((".", "/")) or match[1].endswith((".txt", ".whl", ".gz", ".zip")):
        return False
    if (folder / match[1]).resolve() != project.resolve():
        return False
    done.own = True
    done.own_extras.update(extra.strip() for extra in (match[2] or "").split(",") if extra.strip())
    return True


def _index(
    address: str, line: str, done: Cleaned, default_index: str, public_index: str
) -> tuple[str | None, str]:
    """Keep the project's own index in addition to this build's; its mirror replaces the public one."""
    if not default_index:
        return line, ""
    host = re.compile(r"https?://(?:[^@/]*@)?([^/:]+).*")
    if host.sub(r"\1", address) == host.sub(r"\1", public_index):
        return None, "the public package index is left to this machine's mirror"
    done.further_index = True
    return f"--extra-index-url {address}", ""
