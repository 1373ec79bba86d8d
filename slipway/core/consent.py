"""Asks the person at the terminal before something is removed."""

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
            "SLIP-069", "there is no terminal to ask for confirmation", "add --yes if that is what you want"
        )
    if not confirm(question):
        raise SlipwayError("SLIP-069", "nothing was done", "answer y to continue")
