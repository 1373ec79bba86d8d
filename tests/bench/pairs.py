"""Measuring side by side: turns close together, so that what else the machine does falls on every side alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Pairs", "paired", "turns"]


@dataclass(frozen=True)
class Pairs:
    """Samples of ours and of the usual; those of equal position were taken in one round."""

    ours: list[float]
    usual: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours / the usual, round by round."""
        return [ours / usual for ours, usual in zip(self.ours, self.usual, strict=True)]

    @property
    def median(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def low(self) -> float:
        """The smallest ratio."""
        return min(self.ratios)

    @property
    def high(self) -> float:
        """The largest ratio."""
        return max(self.ratios)


def paired(ours: Callable[[], float], usual: Callable[[], float], runs: int) -> Pairs:
    """``runs`` rounds of both, after one uncounted round; what a call returns is its sample."""
    taken = turns({"ours": ours, "usual": usual}, runs)
    return Pairs(taken["ours"], taken["usual"])


def turns(sides: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """``runs`` samples of each side, one of each per round, after one uncounted round.

    Every second round goes backwards (A B, B A, A B): a drift of the machine favours none.
    """
    for side in sides.values():
        side()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(runs):
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            taken[name].append(sides[name]())
    return taken
