"""Loads files of docker/, which run inside images and are no package, so that tasks share a build's rules."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from slipway.core.checkout import ROOT

__all__ = ["load"]

_FOLDER = str(ROOT / "docker")


def load(name: str) -> Any:
    """Return docker/NAME.py as a module; it can import the other files of that folder."""
    sys.path.insert(0, _FOLDER)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(_FOLDER)
