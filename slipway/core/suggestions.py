"""The table of docker/suggestions.py, which an image has without this package."""

from __future__ import annotations

import runpy
from typing import Any

from slipway.core.checkout import ROOT

__all__ = ["suggest"]

_TABLE = runpy.run_path(str(ROOT / "docker/suggestions.py"))


def suggest(name: str, **known: Any) -> str | None:
    """What docker/suggestions.py says: a value for the variable ``name``; None where only a person knows."""
    value: str | None = _TABLE["suggest"](name, **known)
    return value
