"""The rule by which a build chooses what to install from, so that what is said here is what it will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.core.imagecode import load

__all__ = ["RULE", "choose", "installs"]

RULE = load("dependency_choice")


def choose(folder: Path) -> Any:
    """What a build would install from in ``folder``; None where it finds nothing."""
    try:
        return RULE.choose(folder)
    except RULE.ChoiceError:
        return None


def installs(folder: Path) -> bool:
    """Whether the kit finds something to install from in a folder, by the build's own rule."""
    return choose(folder) is not None
