"""Distinguishes the kit's files from others, and identifies their content by git's ids."""

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
"""Files that only the kit's own development needs; copies and projects made from the kit leave them out."""

_OWNED = re.compile(
    r"(\.env|slipway\.env|app\.env|app\.[^/]+\.env|(secrets|backups|artifacts|\.slipway|\.venv|\.nox|\.git)(/.*)?)\Z"
)
_BY_TOOLS = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".git"}
_MARKS = ("bootstrap", "Dockerfile", "slipway/__init__.py")


@dataclass(frozen=True)
class File:
    """A file as in a git tree: its mode, ``100644``, ``100755`` or ``120000``, and the id of its content."""

    mode: str
    id: str


Tree = Mapping[str, File]
"""Files by their path from the kit's folder, with ``/``."""


def is_owned(path: str) -> bool:
    """Whether ``path``, from the kit's folder, is the user's or written by tasks, tracked by git or not."""
    return bool(_OWNED.match(path))


def is_kit(paths: Iterable[str]) -> bool:
    """Whether a folder with these files is a kit."""
    return set(_MARKS) <= set(paths)


def is_kit_folder(folder: Path) -> bool:
    """Whether ``folder`` on this machine contains a kit."""
    return all((folder / name).is_file() for name in _MARKS)


def without(tree: Tree, left_out: Iterable[str]) -> dict[str, File]:
    """``tree`` without files and folders named in ``left_out``, and without files that are not the kit's."""
    gone = tuple(left_out)
    return {
        path: file
        for path, file in tree.items()
        if not is_owned(path) and not any(path == name or path.startswith(f"{name}/") for name in gone)
    }


def look(path: Path) -> File | None:
    """The file at ``path`` as git would record it, a link as a link; None if there is none."""
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
    """The kit's files in ``root``: in a clone those that git tracks, else all but the user's and the tasks'.

    In a clone modes and ids are those of the last commit, so that the history has them.
    """
    if toplevel(root, runner) == root.resolve():
        return listing(["git", "-C", str(root)], "HEAD", runner)
    found = {}
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _BY_TOOLS]
        # os.walk lists links to folders as folders, and does not follow them.
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
    # The id that `git hash-object` prints, gitdatamodel(7); here SHA-1 only names content.
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
