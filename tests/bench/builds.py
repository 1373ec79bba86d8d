"""How long builds take: after a change of code, after adding a dependency, and from nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from tests.bench.pairs import against_fastest, paired
from tests.bench.results import Result
from tests.bench.setups import SMALL_PACKAGES, USUAL, Setup, lock, ours, usual
from tests.bench.workshop import Workshop

__all__ = ["MEASURES"]


def rebuild_code(place: Workshop, runs: int) -> Result:
    """A line of a view is other than it was; everything else is as the last build left it."""
    sides = _built(place)
    pairs, note = against_fastest(
        _changed_code(sides["slipway"]), {name: _changed_code(sides[name]) for name in USUAL}, runs
    )
    return Result("rebuild_code", "s", pairs, note)


def rebuild_dependency(place: Workshop, runs: int) -> Result:
    """One small package more, locked beforehand: another one each time."""
    sides = _built(place)
    pairs = paired(_added_dependency(sides["slipway"]), _added_dependency(sides["two-stage-pip"]), runs)
    return Result("rebuild_dependency", "s", pairs)


def build_empty(place: Workshop, runs: int) -> Result:
    """The base images are there and nothing else; packages come from the same index on every side."""
    sides = _sides(place)
    pairs, note = against_fastest(
        _from_nothing(sides["slipway"]), {name: _from_nothing(sides[name]) for name in USUAL}, runs
    )
    return Result("build_empty", "s", pairs, note)


def _sides(place: Workshop) -> dict[str, Setup]:
    return {"slipway": place.once(ours), **{name: usual(place, name) for name in USUAL}}


def _built(place: Workshop) -> dict[str, Setup]:
    """All sides, with their last build in the cache."""
    sides = _sides(place)
    for setup in sides.values():
        place.note(f"{setup.name}: built in {setup.build():.1f} s")
    return sides


def _changed_code(setup: Setup) -> Callable[[], float]:
    view = setup.project / "guestbook" / "views.py"
    original, numbers = view.read_text(encoding="utf-8"), itertools.count()

    def build() -> float:
        view.write_text(f"{original}\nEDIT = {next(numbers)}\n", encoding="utf-8")
        return setup.build()

    return build


def _added_dependency(setup: Setup) -> Callable[[], float]:
    packages: Iterator[str] = iter(SMALL_PACKAGES)

    def build() -> float:
        lock(setup.project, next(packages))
        return setup.build()

    return build


def _from_nothing(setup: Setup) -> Callable[[], float]:
    def build() -> float:
        setup.engine.forget(setup.image)
        return setup.build()

    return build


MEASURES = {
    "rebuild_code": rebuild_code,
    "rebuild_dependency": rebuild_dependency,
    "build_empty": build_empty,
}
