"""Loads files of docker/, which run inside images and are no package, so that tasks share a build's rules."""

from __future__ import annotations

import importlib
import runpy
import sys
from typing import Any

from slipway.core.checkout import ROOT

__all__ = ["load", "run"]

_FOLDER = str(ROOT / "docker")


def load(name: str) -> Any:
    """Return docker/NAME.py as a module; it can import the other files of that folder."""
    sys.path.insert(0, _FOLDER)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(_FOLDER)


def run(name: str) -> dict[str, Any]:
    """Return the names that docker/NAME.py defines, for a file that imports no other of that folder."""
    return runpy.run_path(f"{_FOLDER}/{name}.py")
