"""Under load: pages from the database and without it, a static file, latency at equal load, memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.bench import stacks
from tests.bench.h2load import percentile
from tests.bench.loadmaker import PAGE_HEADERS, SERVICE, STYLE_HEADERS, LoadMaker, Turn
from tests.bench.pairs import Pairs, paired
from tests.bench.results import Curve, Result
from tests.bench.stacks import Stack
from tests.bench.workshop import Workshop

__all__ = ["MEASURES"]

_PART_OF_CAPACITY = 0.65
"""The load at which latencies are compared, as a part of what the usual stack can do."""
_SERVICES = ("nginx", "web", "db")
_HELD_BACK = 0.05
"""Seconds per second of being held back from which a limit counts as what decides."""


@dataclass(frozen=True)
class _Site:
    """Both stacks, and who asks them."""

    ours: Stack
    usual: Stack
    maker: LoadMaker


def _site(place: Workshop) -> _Site:
    """Start both stacks, over the same entries, and see that they answer alike, with the promised headers."""
    own = place.world(prod=True)
    stacks.add_pages(own)
    place.note("production of the kit")
    ours = stacks.ours(own)
    place.note("the usual compose file")
    usual = stacks.usual(place, own)
    for stack in (ours, usual):
        stacks.fill(stack)
    stacks.check_alike(ours, usual)
    maker = LoadMaker(place, own, [ours, usual])
    maker.while_asking(ours, stacks.DATABASE_PAGE, PAGE_HEADERS, lambda: stacks.check_headers(ours))
    return _Site(ours, usual, maker)


@dataclass
class _Turns:
    """The turns of one page, of both stacks; the first of each is the one that does not count."""

    site: _Site
    path: str
    headers: Mapping[str, str]
    ours: list[Turn] = field(default_factory=list)
    usual: list[Turn] = field(default_factory=list)

    def take(self, runs: int) -> Pairs:
        """Requests per second of both, in turns."""
        return paired(self._one(self.site.ours, self.ours), self._one(self.site.usual, self.usual), runs)

    def _one(self, stack: Stack, turns: list[Turn]) -> Callable[[], float]:
        def ask() -> float:
            turns.append(self.site.maker.turn(stack, self.path, self.headers))
            return turns[-1].rate

        return ask

    def costs(self) -> dict[str, dict[str, float]]:
        """Processor milliseconds per request, in each service and in what makes the load."""
        return {"ours": _costs(self.ours[1:]), "usual": _costs(self.usual[1:])}

    def limits(self) -> str:
        """Which containers of ours their limit held back; the usual has none."""
        turns = self.ours[1:]
        held = {name: statistics.median(turn.throttled(name) for turn in turns) for name in _SERVICES}
        named = [name for name, seconds in held.items() if seconds > _HELD_BACK]
        return f"held back by its processor limit in ours: {' and '.join(named) or 'nothing'}"


def _costs(turns: list[Turn]) -> dict[str, float]:
    return {
        name: statistics.median(turn.cpu(name) for turn in turns) * 1000 for name in (*_SERVICES, SERVICE)
    }


def _database(place: Workshop, runs: int) -> list[Result]:
    """The page from the database; and the memory of web at the end of each turn of it."""
    site = place.once(_site)
    turns = _Turns(site, stacks.DATABASE_PAGE, PAGE_HEADERS)
    pairs = turns.take(runs)
    guestbook = _Turns(site, stacks.GUESTBOOK, PAGE_HEADERS)
    own_page = guestbook.take(max(1, runs // 2))
    said = (
        f"the guestbook's own page, with its form: {statistics.median(own_page.ours):.0f} against "
        f"{statistics.median(own_page.usual):.0f} requests/s, ratio {own_page.median:.2f} "
        f"({own_page.low:.2f} to {own_page.high:.2f})"
    )
    memory = Pairs(_bytes_per_rate(turns.ours[1:]), _bytes_per_rate(turns.usual[1:]))
    return [
        Result("database_rps", "requests/s", pairs, f"{turns.limits()}; {said}", turns.costs()),
        Result("memory", "KiB per request/s", memory, _memory_note(turns)),
    ]


def _bytes_per_rate(turns: list[Turn]) -> list[float]:
    return [turn.after["web"].anonymous / 1024 / turn.rate for turn in turns]


def _memory_note(turns: _Turns) -> str:
    ours, usual = (
        statistics.median(turn.after["web"].anonymous for turn in side[1:]) / 1024**2
        for side in (turns.ours, turns.usual)
    )
    return f"anonymous memory of web's containers: {ours:.0f} against {usual:.0f} MiB"


def _p99(place: Workshop, runs: int) -> Result:
    """The 99th percentile of latency, both asked at the same rate."""
    site = place.once(_site)
    # Twice: the first is where connections, caches and plans come from.
    capacity = [site.maker.turn(site.usual, stacks.DATABASE_PAGE, PAGE_HEADERS).rate for _ in range(2)][1]
    rate = _PART_OF_CAPACITY * capacity

    def one(stack: Stack) -> Callable[[], float]:
        def ask() -> float:
            taken = site.maker.latencies(stack, stacks.DATABASE_PAGE, PAGE_HEADERS, rate)
            return percentile(taken, 0.99) * 1000

        return ask

    part = f"{_PART_OF_CAPACITY:.0%} of what the usual can do"
    note = f"both asked {rate:.0f} times a second, evenly spaced: {part}"
    return Result("database_p99", "ms", paired(one(site.ours), one(site.usual), runs), note)


def _trivial(place: Workshop, runs: int) -> Result:
    """A page of five bytes, without the database."""
    turns = _Turns(place.once(_site), stacks.TRIVIAL_PAGE, PAGE_HEADERS)
    pairs = turns.take(runs)
    return Result("trivial_rps", "requests/s", pairs, turns.limits(), turns.costs())


def _static(place: Workshop, runs: int) -> Result:
    """The admin's stylesheet, asked for as a browser does."""
    site = place.once(_site)
    path = site.ours.stylesheet()
    sent = [stack.get(path, STYLE_HEADERS).num_bytes_downloaded for stack in (site.ours, site.usual)]
    turns = _Turns(site, path, STYLE_HEADERS)
    pairs = turns.take(runs)
    note = f"{sent[0]} against {sent[1]} bytes are sent; {turns.limits()}"
    return Result("static_rps", "requests/s", pairs, note, turns.costs())


MEASURES: dict[str, Callable[[Workshop, int], Result | list[Result] | Curve]] = {
    "database_rps": _database,
    "memory": _database,
    "database_p99": _p99,
    "trivial_rps": _trivial,
    "static_rps": _static,
}
