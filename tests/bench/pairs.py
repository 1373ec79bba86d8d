"""Measuring side by side: turns so close together that what else the machine does falls on every side."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Pairs", "against_fastest", "paired", "turns"]

_OUT_OF_REACH = 2.0
"""A setup that takes this many times the fastest one's first turn cannot become the fastest."""


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


def against_fastest(
    ours: Callable[[], float], usual: Mapping[str, Callable[[], float]], runs: int
) -> tuple[Pairs, str]:
    """As ``paired``, against the one of ``usual`` with the smallest median; also a note of all medians.

    One that is far off in the uncounted round has no further turns.
    """
    first = {name: side() for name, side in usual.items()}
    near = {
        name: usual[name] for name, taken in first.items() if taken <= _OUT_OF_REACH * min(first.values())
    }
    taken = turns({"ours": ours, **near}, runs)
    medians = {name: statistics.median(taken[name]) for name in near}
    fastest = min(medians, key=lambda name: medians[name])
    others = [
        f"{name} {medians[name]:.3g}" if name in near else f"{name} {first[name]:.3g} (one turn)"
        for name in usual
    ]
    return Pairs(taken["ours"], taken[fastest]), f"the fastest was {fastest}; of all: {', '.join(others)}"


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
