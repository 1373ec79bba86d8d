"""Finds the Python versions that a project's files ask for, and chooses one.

Pure: reads files, runs nothing. Package managers enforce a *range* (``requires-python``, Poetry's
``python``); a *pin* (``.python-version``, ``runtime.txt``, a Pipfile) names the version that the project's
developers use. Versions are compared by minor version, because images are published by it: a pin to 3.11.4
asks for 3.11.
"""

from __future__ import annotations

import ast
import configparser
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError

__all__ = ["OFFERED", "Declaration", "admits", "check", "choose", "declared", "for_django", "of_image"]

OFFERED = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""The possible values of PYTHON_VERSION, oldest first."""
DEFAULT = "3.13"

# Django's FAQ ("What Python version can I use with Django?"). Below 4.2 it is the newest that works: releases
# there import the modules cgi and distutils, which 3.13 and 3.12 removed.
_NEWEST_FOR_DJANGO = (((5, 2), "3.14"), ((4, 2), "3.13"), ((4, 0), "3.12"), ((3, 0), "3.11"))
_OLDEST_FOR_DJANGO = (((6, 0), "3.12"), ((5, 0), "3.10"))


@dataclass(frozen=True)
class Declaration:
    """The Python version or range in one file."""

    file: str
    """Relative to the project's root."""
    name: str
    """Its name there: ``requires-python``; empty if the file holds nothing else."""
    text: str
    """As written."""
    ranges: tuple[SpecifierSet, ...]
    """One of these must be met."""
    pin: bool
    """Whether it names the version in use, as opposed to a range of accepted ones."""

    def __str__(self) -> str:
        return f"{self.file} asks for {f'{self.name} ' if self.name else 'Python '}{self.text}"


def declared(project: Path, dependency_dir: str = ".") -> list[Declaration]:
    """Return the declarations in the files of ``project`` (its root) and of its ``dependency_dir``.

    A file that cannot be read or parsed is ignored here: the tool it belongs to reports it.
    """
    folders = dict.fromkeys(((project / dependency_dir).resolve(), project.resolve()))
    found: list[Declaration] = []
    for folder in folders:
        for name, reader in _READERS.items():
            # From the project's root, only the files that apply to all folders in it.
            if folder != next(iter(folders)) and name not in {".python-version", "runtime.txt"}:
                continue
            text = _text(folder / name)
            if not text:
                continue
            try:
                entries = list(reader(text))
            except (ValueError, SyntaxError, TypeError, AttributeError, configparser.Error):
                continue
            place = str((folder / name).relative_to(project.resolve()))
            found += [Declaration(place, *entry) for entry in entries]
    if any(d.file.endswith("Pipfile") for d in found):
        found = [d for d in found if not d.file.endswith("Pipfile.lock")]
    return found


def admits(declaration: Declaration, version: str) -> bool:
    """Whether some patch release of ``version`` (``3.12``) meets the declaration."""
    patches = [f"{version}.{patch}" for patch in range(60)]
    return any(range_.contains(patch) for range_ in declaration.ranges for patch in patches)


def choose(
    declarations: Sequence[Declaration], offered: Sequence[str] = OFFERED, default: str = DEFAULT
) -> str | None:
    """Return the version of ``offered`` for a project, or ``None`` when its ranges admit none of them.

    The first available pin wins; otherwise the next version above the first pin, else the newest admitted;
    without a pin the default if it is admitted, else the newest admitted.
    """
    ranges = [d for d in declarations if not d.pin]
    fitting = [v for v in offered if all(admits(d, v) for d in ranges)]
    pins = [d for d in declarations if d.pin]
    if not fitting:
        return None
    for pin in pins:
        if exact := [v for v in fitting if admits(pin, v)]:
            return default if default in exact else exact[-1]
    wanted = next((match[0] for pin in pins if (match := re.search(r"\d+\.\d+", pin.text))), None)
    if wanted:
        above = [v for v in fitting if _key(v) > _key(wanted)]
        return above[0] if above else fitting[-1]
    return default if default in fitting else fitting[-1]


def for_django(django: str) -> tuple[str, str]:
    """Return the oldest and newest offered Python for a version of Django (``4.2.16``)."""
    release = _key(django)[:2]
    newest = next((python for least, python in _NEWEST_FOR_DJANGO if release >= least), OFFERED[0])
    oldest = next((python for least, python in _OLDEST_FOR_DJANGO if release >= least), OFFERED[0])
    return oldest, newest


def of_image(settings: Settings) -> str | None:
    """Return the minor version of the base image: from its tag, else PYTHON_VERSION if set, else None."""
    tag = re.search(r"(?:^|/)python:(\d+\.\d+)", settings.python_image)
    if tag:
        return tag[1]
    return None if settings.origins["PYTHON_VERSION"] == "default" else settings.python_version


def check(settings: Settings) -> None:
    """Check that the project can run on the base image.

    A PYTHON_VERSION or PYTHON_IMAGE that the user has set overrides a pin, with a note. Raises
    ``SlipwayError`` SLIP-130, which names the file, its version, and the setting to change.
    """
    version = of_image(settings)
    if version is None:
        return
    found = declared(settings.path(settings.project_root), settings.dependency_dir)
    by_hand = any(map(settings.is_set_by_hand, ("PYTHON_VERSION", "PYTHON_IMAGE")))
    for declaration in found:
        if admits(declaration, version):
            continue
        if declaration.pin and by_hand:
            print(f"note: {declaration}; {version} is used, as configured", file=sys.stderr)
            continue
        better = choose(found)
        fix = f"set PYTHON_VERSION={better} in {settings.env_file}" if better else (
            f"there are images of {', '.join(OFFERED)} only; change the version the project asks for"
        )  # fmt: skip
        if better and declaration.pin:
            fix += f", or PYTHON_VERSION={version} to use that anyway"
        raise SlipwayError(
            "SLIP-130", f"{declaration}, but the image {settings.python_image} has {version}", fix
        )


_Entry = tuple[str, str, tuple[SpecifierSet, ...], bool]


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""


def _range(name: str, value: Any) -> Iterator[_Entry]:
    """Yield a PEP 440 specifier; an exact patch release (``==3.11.4``) counts as its minor version."""
    text = str(value).strip() if isinstance(value, str) else ""
    if text:
        minor = re.sub(r"={2,3}\s*(\d+\.\d+)\.\d+(?![\d.*])", r"==\1.*", text)
        yield name, text, (SpecifierSet(minor),), False


def _pin(name: str, value: Any) -> Iterator[_Entry]:
    match = re.match(r"(?:c?python[@-]?)?(\d+\.\d+)(?![\d])", str(value).strip())
    if match:
        yield name, str(value).strip(), (SpecifierSet(f"=={match[1]}.*"),), True


def _pyproject(text: str) -> Iterator[_Entry]:
    content = tomllib.loads(text)
    yield from _range("requires-python", content.get("project", {}).get("requires-python"))
    python = content.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python")
    if isinstance(python, dict):
        python = python.get("version")
    if isinstance(python, str):
        yield "python", python, poetry_ranges(python), False


def poetry_ranges(constraint: str) -> tuple[SpecifierSet, ...]:
    """Translate a constraint in Poetry's own notation into alternatives, each a PEP 440 set.

    Source: Poetry's documentation, "Dependency specification". Raises ``InvalidSpecifier``.
    """
    return tuple(
        SpecifierSet(",".join(map(_poetry_clause, re.findall(r"[^\s,\d*]*\s*[\d*][^\s,]*", alternative))))
        for alternative in re.split(r"\s*\|\|?\s*", constraint.strip())
    )


def _poetry_clause(clause: str) -> str:
    match = re.fullmatch(r"([^\d*\s]*)\s*(.+)", clause)
    if not match:
        raise InvalidSpecifier(clause)
    operator, version = match.groups()
    numbers = _key(version)
    if version == "*":
        return ">=0"
    if operator == "^" and numbers:
        return f">={version},<{numbers[0] + 1}"
    if operator == "~":
        return f">={version},<{numbers[0]}.{numbers[1] + 1}" if len(numbers) > 1 else f"=={numbers[0]}.*"
    if operator in {"", "=", "=="}:
        # An exact version: only its minor version counts here.
        return f"=={'.'.join(map(str, numbers[:2]))}.*"
    return f"{operator}{version}"


def _pipfile(text: str) -> Iterator[_Entry]:
    yield from _pipfile_requires(tomllib.loads(text).get("requires", {}))


def _pipfile_lock(text: str) -> Iterator[_Entry]:
    yield from _pipfile_requires(json.loads(text)["_meta"].get("requires", {}))


def _pipfile_requires(requires: Any) -> Iterator[_Entry]:
    for name in ("python_full_version", "python_version"):
        if name in requires:
            yield from _pin(name, requires[name])
            return


def _python_version_file(text: str) -> Iterator[_Entry]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    # pyenv's file may name several, of which the first is in use; uv's may hold a range.
    if lines and re.match(r"[<>=~!]", lines[0]):
        yield from _range("", lines[0])
    elif lines:
        yield from _pin("", lines[0])


def _setup_cfg(text: str) -> Iterator[_Entry]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    yield from _range("python_requires", parser.get("options", "python_requires", fallback=""))


def _setup_py(text: str) -> Iterator[_Entry]:
    """Read the literal argument of ``setup()`` without running the file."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.keyword) or not isinstance(node.value, ast.Constant):
            continue
        if node.arg == "python_requires":
            yield from _range("python_requires", node.value.value)


_READERS = {
    "pyproject.toml": _pyproject,
    "Pipfile": _pipfile,
    "Pipfile.lock": _pipfile_lock,
    "setup.cfg": _setup_cfg,
    "setup.py": _setup_py,
    ".python-version": _python_version_file,
    "runtime.txt": _python_version_file,
}
