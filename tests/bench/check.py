"""Regressions: a ratio that is worse than the recorded one by more than its bar's margin."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.bars import BARS
from tests.bench.results import Record, Result

__all__ = ["regressions"]


def regressions(found: Sequence[Result], recorded: Record) -> list[str]:
    """One line for each of ``found`` that is worse than ``recorded`` allows, or is not in it."""
    problems = []
    for result in found:
        before = recorded.results.get(result.key)
        if before is None:
            problems.append(
                f"{result.key}: nothing is recorded; record it: nox -s bench -- --record --only {result.key}"
            )
            continue
        bar = BARS[result.key]
        now, then = result.pairs.median, before.pairs.median
        if bar.regressed(now, then):
            least = "at most" if bar.better == "lower" else "at least"
            problems.append(
                f"{result.key} ({bar.what}): ratio {now:.3f}, recorded {then:.3f}; "
                f"{least} {bar.allowed(then):.3f} is within the margin of {bar.margin:.0%}"
            )
    return problems
