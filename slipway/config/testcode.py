"""Finds folders called ``tests`` that production needs: the project's code imports them, or they are apps."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

__all__ = ["needed"]

_IMPORT = re.compile(
    rb"^[ \t]*from[ \t]+(?P<of>[\w.]*\btests)\b|^[ \t]*import[ \t]+(?P<plain>[\w.]*\btests)\b", re.M
)
_FROM_HERE = re.compile(rb"^[ \t]*from[ \t]+(?P<dots>\.+)[ \t]+import[ \t]+\(?[\w, \t]*\btests\b", re.M)
_APP = ("apps.py", "models.py", "migrations")
_NOT_CODE = {"node_modules", "site-packages", "__pycache__", "venv", "env", "media", "staticfiles"}
_TEST_FILE = re.compile(r"(test_.*|tests|conftest)\.py\Z")


def needed(project: Path, apart: Collection[str] = ()) -> list[str]:
    """Those folders below ``project``, as paths relative to it; folders in ``apart`` are not searched.

    Only the source text is searched: names that the project builds at run time are not found.
    """
    found: list[Path] = []
    sources: list[Path] = []
    for parent, folders, names in os.walk(project):
        here = Path(parent).relative_to(project)
        found += [here / name for name in folders if name == "tests"]
        folders[:] = [
            name
            for name in folders
            if name != "tests"
            and name not in _NOT_CODE
            and not name.startswith(".")
            and (here / name).as_posix() not in apart
        ]
        sources += [here / n for n in names if n.endswith(".py") and not _TEST_FILE.match(n)]
    if not found:
        return []
    wanted = {path for path in found if any((project / path / mark).exists() for mark in _APP)}
    for source in sources:
        for name in _imported(project / source, source.parent.parts):
            wanted |= {path for path in found if _is_meant(project, path, name)}
    return sorted(path.as_posix() for path in wanted)


def _is_meant(project: Path, path: Path, name: tuple[str, ...]) -> bool:
    """Whether ``name`` could import ``path``: relative to ``project``, or to a folder that is no package."""
    top = project.joinpath(*path.parts[: -len(name)])
    return path.parts[-len(name) :] == name and not (top / "__init__.py").exists()


def _imported(source: Path, package: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The parts of every dotted name ending in ``tests`` that a file imports."""
    try:
        text = source.read_bytes()
    except OSError:
        return set()
    if b"tests" not in text:
        return set()
    names = {(match["of"] or match["plain"]).decode() for match in _IMPORT.finditer(text)}
    names |= {f"{match['dots'].decode()}tests" for match in _FROM_HERE.finditer(text)}
    return {_absolute(name, package) for name in names}


def _absolute(name: str, package: tuple[str, ...]) -> tuple[str, ...]:
    bare = name.lstrip(".")
    up = len(name) - len(bare)
    parts = tuple(bare.split("."))
    return (*package[: len(package) - up + 1], *parts) if up else parts
