"""Copy the files that decide what is installed, and nothing else, into a folder of their own.

    dependency_files.py PROJECT DEPENDENCY_DIR TARGET FEATURES

FEATURES becomes a file with a line for each feature that the project's code uses and no lock names
(GeoDjango), for runtime_libraries.py. ``.slipway-server-kind`` in TARGET gets the kind of SERVER_TARGET
(server_kind.py), with MANAGE_DIR and PYTHONPATH_DIRS, for install-server. REQUIREMENTS_FILES counts too.

A build that copied the whole project before installing would install again on every change of the
code. The lock and requirements files themselves name the files that matter: ``-r`` and ``-c`` lines,
local wheels and local packages, wherever in the project they are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import requirements_text
from dependency_choice import own_metadata, requirements_files
from server_kind import server_kind

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

# Without .python-version: the Python is the image's, and the tasks have compared the versions.
MANIFESTS = (
    "pyproject.toml",
    "uv.lock",
    "uv.toml",
    "poetry.lock",
    "poetry.toml",
    "Pipfile",
    "Pipfile.lock",
)
# The metadata of a setup.py is made from these: itself, and the places where projects keep their version.
SETUP = (
    "setup.py", "setup.cfg", "MANIFEST.in", "VERSION*", "*/__init__.py", "src/*/__init__.py",
    "*/*version*.py", "src/*/*version*.py",
)  # fmt: skip
CONSTRAINTS = "constraints*.txt"
INCLUDE = re.compile(
    r"""^\s*(?:-[rcef]\s*|--(?:requirement|constraint|editable|find-links)[\s=]+)["']?([^\s"'\[]+)"""
)
USED = {
    "geodjango": re.compile(rb"django\.contrib\.gis"),
    "spatialite": re.compile(rb"gis\.db\.backends\.spatialite"),
}
NOT_CODE = {"node_modules", "migrations", "site-packages", "static", "tests"}
ARCHIVES = {".whl", ".gz", ".bz2", ".zip"}
LOCAL = re.compile(r"^\s*(?:[\w.\-\[\],]+\s*@\s*)?(?:file:)?(\.{0,2}[\w./\-]+)")


def dependency_files(project: Path, dependency_dir: str, requirements: Sequence[str] = ()) -> set[Path]:
    """Return the files and folders (absolute) that the installation reads.

    ``dependency_dir`` is relative to ``project``, ``requirements`` (REQUIREMENTS_FILES) to that. Paths that
    do not exist or lie outside the project are left out: the installer's own message about them is better
    than one made up here.
    """
    root = project / dependency_dir
    found = {root / name for name in MANIFESTS}
    named = [root / name for name in (*requirements, *requirements_files(root), *_read_by_setuptools(root))]
    named += root.glob(CONSTRAINTS)
    found.update(named)
    if own_metadata(root).startswith("setup."):
        for pattern in SETUP:
            found.update(root.glob(pattern))
    queue = [*_local_sources(root), *named]
    seen: set[Path] = set()
    while queue:
        path = Path(os.path.normpath(queue.pop()))
        # The project itself is not a package here: its metadata is read, its code does not matter.
        if path == Path(os.path.normpath(root)):
            continue
        if path not in seen and path.is_file() and path.suffix not in ARCHIVES:
            queue.extend(_included(path, root))
        seen.add(path)
    chosen = {Path(os.path.normpath(path)) for path in found | seen}
    return {path for path in chosen if path.exists() and path.resolve().is_relative_to(project)}


def _included(requirements: Path, root: Path) -> Iterator[Path]:
    """Yield the paths in a requirements file, which are relative to the file (-r, -c) or to the root."""
    for line in requirements_text.read(requirements).splitlines():
        include = INCLUDE.match(line)
        if include:
            path = include[1].removeprefix("file:")
            yield from (requirements.parent / path, root / path)
        elif "/" in line or line.split("#")[0].strip().endswith((".whl", ".tar.gz")):
            local = LOCAL.match(line)
            if local:
                yield root / local[1]


def _read_by_setuptools(root: Path) -> Iterator[str]:
    """Yield the requirements files that a pyproject.toml without dependencies of its own names."""
    try:
        content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return
    dynamic = content.get("tool", {}).get("setuptools", {}).get("dynamic", {})
    for table in (dynamic.get("dependencies", {}), *dynamic.get("optional-dependencies", {}).values()):
        files = table.get("file", [])
        yield from [files] if isinstance(files, str) else files


def features(project: Path) -> list[str]:
    """Return the names in USED of the features that the project's code uses."""
    found: set[str] = set()
    for folder, below, files in os.walk(project):
        below[:] = [name for name in below if name not in NOT_CODE and not name.startswith(".")]
        for file in files:
            if file.endswith(".py"):
                content = Path(folder, file).read_bytes()
                found.update(name for name, use in USED.items() if name not in found and use.search(content))
    return sorted(found)


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


def copy(paths: set[Path], project: Path, target: Path) -> None:
    """Copy ``paths`` to the same places under ``target`` as under ``project``."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(paths):
        place = target / path.relative_to(project)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, place, dirs_exist_ok=True)
        else:
            shutil.copy2(path, place)


def main(arguments: list[str]) -> int:
    """Run the usage above; return the exit code."""
    project = Path(arguments[0]).resolve()
    if not (project / arguments[1]).is_dir():
        print(
            f"SLIP-055: the project has no folder {arguments[1]!r};"
            " fix: set DEPENDENCY_DIR to the folder of the lock or requirements file",
            file=sys.stderr,
        )
        return 1
    requirements = os.environ.get("REQUIREMENTS_FILES", "").split()
    target = Path(arguments[2])
    copy(dependency_files(project, arguments[1], requirements), project, target)
    imported_from = [os.environ.get("MANAGE_DIR", "."), ".", *os.environ.get("PYTHONPATH_DIRS", "").split()]
    kind = server_kind(os.environ.get("SERVER_TARGET", ""), [project / folder for folder in imported_from])
    (target / ".slipway-server-kind").write_text(f"{kind}\n", encoding="utf-8")
    Path(arguments[3]).write_text("".join(f"{name}\n" for name in features(project)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
