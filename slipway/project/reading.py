"""The settings of a project under assumed environment variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.project.evaluator import Evaluator, Stop
from slipway.project.layout import Layout
from slipway.project.objects import ClassValue, External, Function, Read, Scope, Unknown

__all__ = ["Reading", "read", "text_of", "texts"]

_PLACEHOLDER = re.compile(r"\{\{secret:([\w.-]+)\}\}")


@dataclass
class Reading:
    """The evaluated settings: values by name, the variables that decide each, and where each is set."""

    layout: Layout
    values: dict[str, Any]
    taint: dict[str, set[str]]
    places: dict[str, tuple[Path, int]]
    reads: dict[str, Read]
    missing: list[str]
    stops: list[Stop]
    writes: list[tuple[str, Path, int]] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """A setting's value; ``UNKNOWN`` if the evaluator could not compute it."""
        return self.values.get(name, default)

    def where(self, name: str) -> str:
        """FILE:LINE of a setting."""
        place = self.places.get(name)
        return self.layout.at(*place) if place else ""

    def where_read(self, variable: str) -> str:
        """FILE:LINE that reads an environment variable."""
        read_ = self.reads.get(variable)
        return self.layout.at(read_.path, read_.line) if read_ else ""

    def deciding(self, *names: str) -> list[str]:
        """The environment variables that decide settings, in the order in which they are read."""
        wanted = set[str]().union(*(self.taint.get(name, set()) for name in names))
        return [variable for variable in self.reads if variable in wanted]

    def installed(self, *apps: str) -> str:
        """The first of ``apps`` in INSTALLED_APPS, by its name or its AppConfig; empty when none is there."""
        there = self.get("INSTALLED_APPS", [])
        names = (
            [entry for entry in there if isinstance(entry, str)] if isinstance(there, list | tuple) else []
        )
        return next(
            (app for app in apps for entry in names if entry == app or entry.startswith(f"{app}.apps.")), ""
        )


def read(layout: Layout, environ: dict[str, str]) -> Reading:
    """Evaluate the settings module. Raises ``SlipwayError`` SLIP-146 when a file does not parse."""
    assumed = {name: _PLACEHOLDER.sub(r"slipway-secret-\1", value) for name, value in environ.items()}
    assumed.setdefault("DJANGO_SETTINGS_MODULE", layout.settings)
    run = Evaluator(layout.root, layout.search, assumed)
    try:
        scope = run.module(layout.settings)
    except SyntaxError as bad:
        path = Path(bad.filename or "?")
        raise SlipwayError(
            "SLIP-146",
            f"{layout.at(path, bad.lineno)}: {bad.msg}",
            "fix the file, or, if it is for Python 2, port the project to Python 3 first",
        ) from None
    except ValueError as bad:
        raise SlipwayError("SLIP-146", f"{layout.settings}: {bad}", "save the file as UTF-8") from None
    if scope is None:
        raise SlipwayError(
            "SLIP-146",
            f"there is no module {layout.settings} in {layout.manage}",
            "restore the settings module",
        )
    taken = _configuration(scope, layout.configuration) or scope
    values = {
        name: value
        for name, value in taken.names.items()
        if name.isupper() and not isinstance(value, Function | ClassValue | Scope)
    }
    return Reading(
        layout, values, taken.taint, taken.where, run.reads, run.missing, run.stops, run.writes, dict(environ)
    )


def _configuration(scope: Scope, name: str) -> Scope | None:
    """The chosen class of django-configurations."""
    chosen = scope.names.get(name) if name else None
    return chosen.scope if isinstance(chosen, ClassValue) else None


def text_of(value: Any) -> str | None:
    """A path or text as text; None for any other or unknown value."""
    if (
        isinstance(value, Unknown | External)
        or value is None
        or isinstance(value, dict | list | tuple | bool)
    ):
        return None
    return str(value)


def texts(value: Any) -> Iterator[str]:
    """Every text and path in a setting's value, at any depth."""
    if isinstance(value, str | PurePosixPath):
        yield str(value)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from texts(entry)
    elif isinstance(value, list | tuple | set):
        for entry in value:
            yield from texts(entry)
