"""The rule by which a build chooses the files to install from, so that the scan predicts the build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.core.imagecode import load

__all__ = ["RULE", "choose", "installs"]

RULE = load("dependency_choice")


def choose(folder: Path) -> Any:
    """The choice of files that a build would install from in ``folder``; None if it finds nothing."""
    try:
        return RULE.choose(folder)
    except RULE.ChoiceError:
        return None


def installs(folder: Path) -> bool:
    """Whether a build would find files to install from in ``folder``."""
    return choose(folder) is not None
