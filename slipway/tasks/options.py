"""Flags that many tasks share, with their help."""

from __future__ import annotations

__all__ = ["ALWAYS_PROD", "ANY_STACK", "JSON", "PROD", "SERVICES", "YES", "names"]

PROD = {"prod": "the production stack instead of the development one"}
JSON = {"json": "print JSON, for scripts"}
YES = {"yes": "do not ask"}
SERVICES = {"services": "only these, separated by commas (default: all)"}
ALWAYS_PROD = {"prod": "accepted everywhere; this task always uses production"}
ANY_STACK = {"prod": "accepted everywhere; has no effect here"}


def names(given: str) -> list[str]:
    """Return the names in ``given``, separated by commas or spaces."""
    return [name for name in given.replace(",", " ").split() if name]
