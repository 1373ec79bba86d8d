"""Checks whether apt's package lists are new enough to install from without fetching them again."""

from __future__ import annotations

import time
from pathlib import Path

__all__ = ["are_fresh"]

_LISTS = Path("/var/lib/apt/lists")
_SECONDS = 600


def are_fresh() -> bool:
    """Whether a list was fetched within the last ten minutes, for example by the bootstrap's first step.

    Uses the time of the last change on this machine (ctime): the modification time is the archive's.
    """
    came = [path.stat().st_ctime for path in _LISTS.glob("*Release")]
    return bool(came) and max(came) > time.time() - _SECONDS
