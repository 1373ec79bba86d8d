"""docs/performance.md and its plots, made from what was recorded."""

from __future__ import annotations

from tests.bench.results import Record

__all__ = ["write"]


def write(record: Record) -> None:
    """Write the page and its plots."""
