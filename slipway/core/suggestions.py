"""The table of docker/suggestions.py, which images have without this package."""

from __future__ import annotations

from typing import Any

from slipway.core import imagecode

__all__ = ["suggest"]

_TABLE = imagecode.run("suggestions")


def suggest(name: str, **known: Any) -> str | None:
    """A value for the variable ``name``, from docker/suggestions.py; None where only a person knows one."""
    value: str | None = _TABLE["suggest"](name, **known)
    return value
