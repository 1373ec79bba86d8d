"""Copy the files that decide what is installed, and nothing else, into a folder of their own.

    dependency_files.py PROJECT DEPENDENCY_DIR TARGET
    dependency_files.py --pipfile-sources Pipfile.lock

A build that copied the whole project before installing would install again on every change of the
code. Which files matter is asked of the lock and requirements files themselves: ``-r`` and ``-c``
lines, local wheels and local packages, wherever in the project they are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

MANIFESTS = (
    "pyproject.toml",
    "uv.lock",
    "uv.toml",
    "poetry.lock",
    "poetry.toml",
    "Pipfile",
    "Pipfile.lock",
    ".python-version",
)
REQUIREMENTS = (
    "requirements*.txt",
    "*-requirements.txt",
    "constraints*.txt",
    "requirements/*.txt",
)
INCLUDE = re.compile(r"^\s*(?:-[rcef]\s*|--(?:requirement|constraint|editable|find-links)[\s=]+)(\S+)")
ARCHIVES = {".whl", ".gz", ".bz2", ".zip"}
LOCAL = re.compile(r"^\s*(?:[\w.\-\[\],]+\s*@\s*)?(?:file:)?(\.{0,2}[\w./\-]+)")


def dependency_files(project: Path, dependency_dir: str) -> set[Path]:
    """Return the files and folders (absolute) that the installation reads.

    ``dependency_dir`` is relative to ``project``. Paths that do not exist or lie outside the project
    are left out: the installer's own message about them is better than one made up here.
    """
    root = project / dependency_dir
    found = {root / name for name in MANIFESTS}
    for pattern in REQUIREMENTS:
        found.update(root.glob(pattern))
    queue = [*_local_sources(root), *(f for f in found if f.suffix == ".txt")]
    seen: set[Path] = set()
    while queue:
        path = Path(os.path.normpath(queue.pop()))
        if path not in seen and path.is_file() and path.suffix not in ARCHIVES:
            queue.extend(_included(path, root))
        seen.add(path)
    chosen = {Path(os.path.normpath(path)) for path in found | seen}
    return {path for path in chosen if path.exists() and path.resolve().is_relative_to(project)}


def _included(requirements: Path, root: Path) -> Iterator[Path]:
    """Yield what the lines of a requirements file name: relative to the file (-r, -c) or to the root."""
    for line in requirements.read_text(encoding="utf-8", errors="replace").splitlines():
        include = INCLUDE.match(line)
        if include:
            path = include[1].removeprefix("file:")
            yield from (requirements.parent / path, root / path)
        elif "/" in line or line.split("#")[0].strip().endswith((".whl", ".tar.gz")):
            local = LOCAL.match(line)
            if local:
                yield root / local[1]


def _local_sources(root: Path) -> Iterator[Path]:
    """Yield the local packages and wheels that lock files name (uv, Poetry, Pipenv)."""
    for lock, read in (
        ("uv.lock", _uv_sources),
        ("poetry.lock", _poetry_sources),
        ("Pipfile.lock", _pipenv_sources),
    ):
        path = root / lock
        if path.is_file():
            yield from (root / name for name in read(path.read_text(encoding="utf-8")) if name != ".")


def _uv_sources(text: str) -> Iterator[str]:
    for package in tomllib.loads(text).get("package", []):
        source = package.get("source", {})
        for kind in ("editable", "directory", "virtual", "path"):
            if kind in source:
                yield source[kind]


def _poetry_sources(text: str) -> Iterator[str]:
    for package in tomllib.loads(text).get("package", []):
        source = package.get("source", {})
        if source.get("type") in ("directory", "file"):
            yield source["url"]


def _pipenv_sources(text: str) -> Iterator[str]:
    lock = json.loads(text)
    for section in ("default", "develop"):
        for package in lock.get(section, {}).values():
            for kind in ("path", "file"):
                if "://" not in package.get(kind, "://"):
                    yield package[kind]


def pipfile_sources(lock: Path) -> list[str]:
    """Return the index addresses a Pipfile.lock adds to the default one, which Pipenv calls "pypi"."""
    sources = json.loads(lock.read_text(encoding="utf-8"))["_meta"]["sources"]
    return [source["url"] for source in sources if source["name"] != "pypi"]


def copy(paths: set[Path], project: Path, target: Path) -> None:
    """Copy ``paths`` under ``target`` with the places they have under ``project``."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(paths):
        place = target / path.relative_to(project)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, place, dirs_exist_ok=True)
        else:
            shutil.copy2(path, place)


def main(arguments: list[str]) -> int:
    """Run one of the two usages above; the exit code is returned."""
    if arguments[0] == "--pipfile-sources":
        print(" ".join(pipfile_sources(Path(arguments[1]))))
        return 0
    project = Path(arguments[0]).resolve()
    if not (project / arguments[1]).is_dir():
        print(
            f"SLIP-055: the project has no folder {arguments[1]!r};"
            " fix: set DEPENDENCY_DIR to the folder of the lock or requirements file",
            file=sys.stderr,
        )
        return 1
    copy(dependency_files(project, arguments[1]), project, Path(arguments[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
