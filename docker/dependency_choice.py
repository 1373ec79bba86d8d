"""Choose the files of a folder that dependencies are installed from, with the reason.

    dependency_choice.py FOLDER

The order: a lock, the requirements files, a Pipfile, the project's own metadata. DEPENDENCY_MANAGER and
REQUIREMENTS_FILES override it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import requirements_text

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

LOCKS = {"uv": "uv.lock", "poetry": "poetry.lock", "pipenv": "Pipfile.lock"}
# Words in the names of requirements files, and of the folder they may be in.
WORDS = {"requirements", "requirement", "reqs", "req", "dependencies", "deps"}
PASSED_OVER = {"pip", "python", "py", "txt", "in", "freeze", "lock", "pinned", "frozen"}
PRODUCTION = {"production", "prod", "prd", "deploy", "deployment", "live", "heroku", "server"}
GENERAL = {"", "base", "common", "main", "core", "default", "app", "web", "django", "backend", "all"}
DEVELOPMENT = ("dev", "development", "develop", "local")
ENDINGS = (".txt", ".pip", ".in", "")
# Packages that need Django.
DJANGO = re.compile(r"django|wagtail|mezzanine$|djangorestframework|drf-")


class ChoiceError(Exception):
    """A problem and its fix, ready to print."""


class Choice(NamedTuple):
    """The files to install from."""

    manager: str
    """uv, poetry, pipenv, requirements or project."""
    files: tuple[str, ...]
    """Relative to the folder: the requirements files, or the file that the manager reads."""
    passed_over: tuple[str, ...] = ()
    """Other files that are present."""
    others: tuple[str, ...] = ()
    """The managers of those."""

    def __str__(self) -> str:
        text = f"installing from {', '.join(self.files)} ({self.manager})"
        if self.passed_over:
            text += f"; {', '.join(self.passed_over)} is there too"
            text += f": DEPENDENCY_MANAGER={self.others[0]} takes that" if self.others else ""
        return text


def choose(folder: Path, manager: str = "", requirements: Sequence[str] = ()) -> Choice:
    """Return the files that ``folder`` is installed from.

    ``manager`` and ``requirements`` are DEPENDENCY_MANAGER and REQUIREMENTS_FILES; files named there mean the
    manager ``requirements``. Raises ChoiceError (SLIP-055, SLIP-131).
    """
    for name in requirements:
        if not (folder / name).is_file():
            raise ChoiceError(
                f"SLIP-131: REQUIREMENTS_FILES names {name}, which is not in {folder}; fix: "
                "paths count from DEPENDENCY_DIR; files that .dockerignore excludes are missing"
            )
    found = dict(_found(folder, requirements))
    if requirements and manager in ("", "requirements"):
        return _choice("requirements", found)
    if manager and manager not in found:
        raise ChoiceError(
            f"SLIP-131: DEPENDENCY_MANAGER={manager}, and {folder} has nothing for it; fix: "
            + (f"there is something for {', '.join(found)}" if found else "set DEPENDENCY_DIR to its folder")
        )
    if not found:
        raise ChoiceError(
            f"SLIP-055: no uv.lock, poetry.lock, Pipfile.lock, requirements.txt, Pipfile, pyproject.toml"
            f" or setup.py to install from in {folder}; fix: "
            "add one, or set DEPENDENCY_DIR to the folder that holds it"
        )
    return _choice(manager or next(iter(found)), found)


def _choice(manager: str, found: dict[str, tuple[str, ...]]) -> Choice:
    # The project's own metadata is the source of a lock, not an alternative to it.
    others = {m: files for m, files in found.items() if m not in {manager, "project"}}
    passed = tuple(name for files in others.values() for name in files)
    return Choice(manager, found[manager], passed, tuple(others))


def _found(folder: Path, requirements: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each manager that has files here, best first, with its files."""
    pyproject = _toml(folder / "pyproject.toml")
    locks = [m for m, lock in LOCKS.items() if (folder / lock).is_file()]
    if "poetry" in pyproject.get("tool", {}) and "project" not in pyproject:
        # uv cannot read this one: its lock is a leftover.
        locks.sort(key=lambda manager: manager != "poetry")
    for manager in locks:
        yield manager, (LOCKS[manager],)
    files = tuple(requirements) or production_files(folder)
    if files:
        yield "requirements", files
    if (folder / "Pipfile").is_file() and "pipenv" not in locks:
        yield "pipenv", ("Pipfile",)
    own = own_metadata(folder, pyproject)
    if own:
        yield "project", (own,)


def own_metadata(folder: Path, pyproject: dict[str, object] | None = None) -> str:
    """Return the file with the project's own metadata and dependencies; empty when there is none."""
    content = _toml(folder / "pyproject.toml") if pyproject is None else pyproject
    tool = content.get("tool")
    if "project" in content or (isinstance(tool, dict) and "dependencies" in tool.get("poetry", {})):
        return "pyproject.toml"
    return next((name for name in ("setup.py", "setup.cfg") if _declares(folder / name)), "")


def _declares(path: Path) -> bool:
    """Return whether this file describes a distribution: one of this name may only hold tools' settings."""
    return path.is_file() and bool(re.search(r"install_requires|\bsetup\(", requirements_text.read(path)))


def production_files(folder: Path) -> tuple[str, ...]:
    """Return the requirements files production is installed from, relative to ``folder``.

    The production file if it names Django, otherwise the general file and the production file with it. Among
    equals: the folder's own before those in a folder ``requirements``, compiled before ``.in``.
    """
    candidates = requirements_files(folder)
    production = [name for name in candidates if role(name) & PRODUCTION]
    general = [name for name in candidates if role(name) <= GENERAL]
    for name in production:
        if asks_for_django(folder, name):
            return (name,)
    for name in general:
        if asks_for_django(folder, name):
            return (name, *production[:1])
    for name in candidates:
        if not set(DEVELOPMENT) & role(name) and asks_for_django(folder, name):
            return (name,)
    return tuple([*general[:1], *production[:1]] or candidates[:1])


def development_files(folder: Path) -> tuple[str, ...]:
    """Return the requirements file that development adds, if there is one."""
    candidates = requirements_files(folder)
    ranked = [name for word in DEVELOPMENT for name in candidates if word in role(name)]
    return tuple(ranked[:1])


def requirements_files(folder: Path) -> list[str]:
    """Return every requirements file, by its name and place, in the order of the rule."""
    found = []
    for path in folder.iterdir():
        if path.is_file() and path.suffix in ENDINGS and words(path.name) & WORDS:
            found.append(path.name)
        elif path.is_dir() and words(path.name) & WORDS and not role(path.name):
            found += [
                f"{path.name}/{p.name}" for p in path.iterdir() if p.is_file() and p.suffix in ENDINGS[:3]
            ]
    return sorted(found, key=_rank)


def _rank(name: str) -> tuple[object, ...]:
    order = ["production", "prod", "", "base", "requirements", "common", "main"]
    own = sorted(role(name) or {""})[0]
    return (
        ENDINGS.index(Path(name).suffix) if Path(name).suffix in ENDINGS else 9,
        name.count("/"),
        order.index(own) if own in order else len(order),
        name,
    )


def words(name: str) -> set[str]:
    """Return the words of a file's name in lower case: requirements, dev, txt of requirements-dev.txt."""
    return set(re.split(r"[-_. ]+", name.lower()))


def role(name: str) -> set[str]:
    """Return the purpose of a requirements file, by its name: ``{"dev"}``; empty if the name has none."""
    return words(Path(name).name) - WORDS - PASSED_OVER


def asks_for_django(folder: Path, name: str) -> bool:
    """Return whether a requirements file, or one it includes, names Django or a package that needs it."""
    return any(DJANGO.match(found) for text in tree(folder / name).values() for found in
               requirements_text.names(text))  # fmt: skip


def tree(file: Path) -> dict[Path, str]:
    """Return the text of a requirements file and of all that it includes, by path."""
    texts: dict[Path, str] = {}
    queue = [file]
    while queue:
        path = Path(os.path.normpath(queue.pop()))
        if path not in texts and path.is_file():
            texts[path] = requirements_text.read(path)
            queue += [
                path.parent / name.removeprefix("file:") for name in requirements_text.included(texts[path])
            ]
    return texts


def _toml(path: Path) -> dict[str, dict[str, object]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}


if __name__ == "__main__":
    try:
        print(choose(Path(sys.argv[1])))
    except ChoiceError as error:
        sys.exit(str(error))
