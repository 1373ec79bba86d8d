"""What a project writes when its settings are imported, and the links that let it do so on a read-only root.

Production's root file system cannot be written, and ``/app`` belongs to root. So a build imports the
settings once with folders that the image's user may write to, looks what has come into being, and has the
image carry links in those places: to ``/tmp``, or for log files to the container's standard error. The
entrypoint makes what they lead to.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from entrypoint import FIRST, TEMPORARY
from explain_failure import REFUSED

_ENDLESS = re.compile(
    r"'class': 'logging\.(?:FileHandler|handlers\.(?:WatchedFileHandler|TimedRotatingFileHandler))'"
)
IGNORED = {"__pycache__", "node_modules", ".slipway"}
# Folders of the machine itself, of the kit, and those that are writable as it is.
NOT_OURS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/kit", "/opt", "/usr", "/bin", "/lib", "/srv")  # noqa: S108


def snapshot(root: Path) -> dict[str, bool]:
    """Return every path below ``root``, with whether it is a folder. No link is followed."""
    found: dict[str, bool] = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in IGNORED]
        # A link to a folder is no folder: what is in it is somewhere else.
        found.update({f"{folder}/{name}": not Path(folder, name).is_symlink() for name in names})
        found.update(dict.fromkeys((f"{folder}/{name}" for name in files), False))
    return found


def open_folders(root: Path, uid: int) -> None:
    """Give ``root`` and every folder below to ``uid``: names can be added, and no file is copied for it."""
    for folder, names, _ in os.walk(root):
        names[:] = [name for name in names if name not in IGNORED]
        os.chown(folder, uid, uid)


def refused(output: str) -> str | None:
    """Return the path that ``output``, of a failed program, says it was refused; None when it says none."""
    paths = [match["path"] for match in REFUSED.finditer(output)]
    return paths[-1] if paths and not paths[-1].startswith(NOT_OURS) else None


def grant(path: str, uid: int) -> dict[str, bool]:
    """Let ``uid`` write ``path``; return what became possible by that, and whether it is a folder.

    For a file that exists it is that file, whose content is kept as the first. Else it is the first folder
    on the way to it that had to be made; nothing where all are there, for then it was not about writing.
    """
    file = Path(path)
    if file.is_file():
        if file.stat().st_uid != uid:
            first = Path(f"{FIRST}{file}")
            first.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, first)
            os.chown(file, uid, uid)
        return {path: False}
    made = [folder for folder in file.parents if not folder.exists()]
    try:
        for folder in reversed(made):
            folder.mkdir()
            os.chown(folder, uid, uid)
    except OSError:
        return {}  # below a file, or in a file system of the machine: no place for a folder
    return {str(made[-1]): True} if made else {}


def endless_logs(diffsettings: str) -> set[str]:
    """Return the files that LOGGING, as ``diffsettings`` prints it, writes to and never rotates by size.

    Those that do rotate ask where in the file they are, which standard error cannot tell, and stay small.
    """
    line = re.search(r"^(?:### )?LOGGING = (.*)$", diffsettings, re.MULTILINE)
    handlers = re.findall(r"\{[^{}]*\}", line[1]) if line else []
    named = [re.search(r"'filename': (?:\w+\()?'([^']+)'", one) for one in handlers if _ENDLESS.search(one)]
    return {os.path.abspath(match[1]) for match in named if match}  # noqa: PTH100 - no link is followed


def written(
    before: Mapping[str, bool], after: Mapping[str, bool], kept: Iterable[str], logs: Container[str] = ()
) -> dict[str, str]:
    """Return what is new in ``after``: its path, and its kind to the entrypoint, which is log for ``logs``.

    ``kept`` are folders that have a place of their own, as STATIC_ROOT: they, what is in them, and the
    folders they are in are left out.
    """
    kept = [path.rstrip("/") for path in kept if path]
    found = {}
    for path in sorted(set(after) - set(before)):
        if any(f"{path}/".startswith(f"{place}/") or f"{place}/".startswith(f"{path}/") for place in kept):
            continue
        found[path] = "folder" if after[path] else "log" if path in logs else "file"
    return found


def links(found: Iterable[str]) -> dict[str, str]:
    """Return the links that ``found`` needs, path and target: the topmost of each tree."""
    chosen: dict[str, str] = {}
    for path in sorted(found):
        if not any(str(parent) in chosen for parent in Path(path).parents):
            chosen[path] = f"{TEMPORARY}{path}"
    return chosen
