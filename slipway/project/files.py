"""Which files are the kit's, and what is in them, by git's own ids."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.core.run import Runner

__all__ = [
    "LEFT_OUT",
    "File",
    "Tree",
    "head",
    "is_kit",
    "is_kit_folder",
    "is_owned",
    "listing",
    "look",
    "of_folder",
    "toplevel",
    "without",
]

LEFT_OUT = (".ci", ".github", ".hadolint.yaml", "example", "noxfile.py", "requirements/bench.in",
            "requirements/bench.txt", "requirements/test.in", "requirements/test.txt", "tests")  # fmt: skip
"""What only the kit's own development needs: no copy and no project made from the kit has it."""

_OWNED = re.compile(
    r"(\.env|slipway\.env|app\.env|app\.[^/]+\.env|(secrets|backups|artifacts|\.slipway|\.venv|\.nox|\.git)(/.*)?)\Z"
)
_BY_TOOLS = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".git"}
_MARKS = ("bootstrap", "Dockerfile", "slipway/__init__.py")


@dataclass(frozen=True)
class File:
    """A file as git's trees have it: ``100644``, ``100755`` or ``120000``, and the id of its content."""

    mode: str
    id: str


Tree = Mapping[str, File]
"""Files by their path from the kit's folder, with ``/``."""


def is_owned(path: str) -> bool:
    """Whether ``path``, from the kit's folder, is the user's or written by tasks, whoever tracks it."""
    return bool(_OWNED.match(path))


def is_kit(paths: Iterable[str]) -> bool:
    """Whether a folder with these files is a kit."""
    return set(_MARKS) <= set(paths)


def is_kit_folder(folder: Path) -> bool:
    """Whether there is a kit in ``folder`` on this machine."""
    return all((folder / name).is_file() for name in _MARKS)


def without(tree: Tree, left_out: Iterable[str]) -> dict[str, File]:
    """``tree`` less files and folders of these names, and less what is never the kit's."""
    gone = tuple(left_out)
    return {
        path: file
        for path, file in tree.items()
        if not is_owned(path) and not any(path == name or path.startswith(f"{name}/") for name in gone)
    }


def look(path: Path) -> File | None:
    """The file at ``path`` as git would have it, the link and not what it leads to; None if there is none."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(status.st_mode):
        return File("120000", _id(os.fsencode(path.readlink())))
    if not stat.S_ISREG(status.st_mode):
        return File("040000", "")
    return File("100755" if status.st_mode & stat.S_IXUSR else "100644", _id(path.read_bytes()))


def of_folder(root: Path, runner: Runner) -> dict[str, File]:
    """The kit's files in ``root``: what git tracks of a clone; of a downloaded kit all that no task wrote.

    Modes and ids are those of the last commit where there is one: they are found again in its history.
    """
    if toplevel(root, runner) == root.resolve():
        return listing(["git", "-C", str(root)], "HEAD", runner)
    found = {}
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _BY_TOOLS]
        # Links to folders are among the folders; they are not followed.
        for name in [*names, *(name for name in folders if Path(parent, name).is_symlink())]:
            path = Path(parent, name)
            relative = path.relative_to(root).as_posix()
            file = None if is_owned(relative) or path.suffix == ".pyc" else look(path)
            if file:
                found[relative] = file
    return found


def listing(git: list[str], revision: str, runner: Runner) -> dict[str, File]:
    """The files of ``revision`` in the repository that ``git`` names; none if there is no such revision."""
    answer = runner.capture([*git, "ls-tree", "-r", "-z", "--full-tree", revision]).stdout
    found = {}
    for entry in filter(None, answer.split("\0")):
        facts, path = entry.split("\t", 1)
        mode, _, name = facts.split()
        found[path] = File(mode, name)
    return found


def toplevel(folder: Path, runner: Runner) -> Path | None:
    """The top of the git work tree that ``folder`` is in; None without git or a work tree."""
    answer = runner.capture(["git", "-C", str(folder), "rev-parse", "--show-toplevel"])
    return Path(answer.stdout.rstrip("\n")).resolve() if answer.returncode == 0 else None


def head(folder: Path, runner: Runner) -> str:
    """The commit that ``folder``'s repository is at; empty if there is none."""
    answer = runner.capture(["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _id(content: bytes) -> str:
    # What `git hash-object` prints, gitdatamodel(7); SHA-1 is a name here and protects nothing.
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
