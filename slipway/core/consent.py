"""Asks the person at the terminal before a task removes or replaces something."""

from __future__ import annotations

import sys

from slipway.core.errors import SlipwayError
from slipway.core.output import confirm

__all__ = ["require_consent"]


def require_consent(question: str, yes: bool) -> None:
    """Return when the person agrees. Raises ``SlipwayError`` SLIP-069 otherwise."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise SlipwayError(
            "SLIP-069", "cannot ask for confirmation: no terminal", "add --yes if that is what you want"
        )
    if not confirm(question):
        raise SlipwayError("SLIP-069", "nothing was done", "answer y to continue")
