"""Paths that a project writes when its settings are imported, and links for them on a read-only root.

Production's root file system cannot be written, and ``/app`` belongs to root. So a build imports the
settings once with folders that the image's user may write to, looks for new paths, and puts links in
their places into the image: to ``/tmp``, or for log files to the container's standard error. The
entrypoint creates their targets.
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
# Folders of the machine itself, of the kit, and those that are already writable.
NOT_OURS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/kit", "/opt", "/usr", "/bin", "/lib", "/srv")  # noqa: S108


def snapshot(root: Path) -> dict[str, bool]:
    """Return every path below ``root``, with whether it is a folder. No link is followed."""
    found: dict[str, bool] = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in IGNORED]
        # A link to a folder is no folder: its content is somewhere else.
        found.update({f"{folder}/{name}": not Path(folder, name).is_symlink() for name in names})
        found.update(dict.fromkeys((f"{folder}/{name}" for name in files), False))
    return found


def open_folders(root: Path, uid: int) -> None:
    """Give ``root`` and every folder below to ``uid``: it can add names, and no file has to be copied."""
    for folder, names, _ in os.walk(root):
        names[:] = [name for name in names if name not in IGNORED]
        os.chown(folder, uid, uid)


def refused(output: str) -> str | None:
    """Return the path that a failed program was refused, according to its ``output``; None for none."""
    paths = [match["path"] for match in REFUSED.finditer(output)]
    return paths[-1] if paths and not paths[-1].startswith(NOT_OURS) else None


def grant(path: str, uid: int) -> dict[str, bool]:
    """Let ``uid`` write ``path``; return the path that was granted, and whether it is a folder.

    For an existing file it is that file, with its content kept as the first. Otherwise it is the topmost
    folder that had to be created; nothing if all exist, because then writing was not the problem.
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
        return {}  # below a file, or in a file system of the machine: no folder can be created
    return {str(made[-1]): True} if made else {}


def endless_logs(diffsettings: str) -> set[str]:
    """Return the files that LOGGING, as ``diffsettings`` prints it, writes to and never rotates by size.

    Those that do rotate read their position in the file, which standard error does not have, and stay small.
    """
    line = re.search(r"^(?:### )?LOGGING = (.*)$", diffsettings, re.MULTILINE)
    handlers = re.findall(r"\{[^{}]*\}", line[1]) if line else []
    named = [re.search(r"'filename': (?:\w+\()?'([^']+)'", one) for one in handlers if _ENDLESS.search(one)]
    return {os.path.abspath(match[1]) for match in named if match}  # noqa: PTH100 - no link is followed


def written(
    before: Mapping[str, bool], after: Mapping[str, bool], kept: Iterable[str], logs: Container[str] = ()
) -> dict[str, str]:
    """Return what is new in ``after``: its path, and its kind to the entrypoint, which is log for ``logs``.

    ``kept`` are folders that have a place of their own, as STATIC_ROOT: they, their content, and the folders
    above them are left out.
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
