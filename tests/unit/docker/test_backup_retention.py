"""Which backups are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from kitfiles import load

kept = load("backup/retention").kept

_NONE = {"daily": 0, "weekly": 0, "monthly": 0}
_FIRST = datetime(2026, 1, 1, 3, tzinfo=UTC)


def _every(hours: int, count: int) -> dict[str, datetime]:
    return {f"{n:04}": _FIRST + timedelta(hours=hours * n) for n in range(count)}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"daily": 3}, {"2026-01-29", "2026-01-30", "2026-01-31"}),
        # 25 January 2026 is a Sunday, the last day of an ISO week.
        ({"weekly": 2}, {"2026-01-25", "2026-01-31"}),
        ({"monthly": 5}, {"2026-01-31"}),
        ({}, {"2026-01-31"}),
        ({"daily": 2, "weekly": 3, "monthly": 1}, {"2026-01-18", "2026-01-25", "2026-01-30", "2026-01-31"}),
    ],
)
def test_one_a_day_for_a_month(counts: dict[str, int], expected: set[str]) -> None:
    """Red when a period's oldest is taken, weeks do not begin on Mondays, or the newest may go."""
    times = _every(24, 31)
    found = kept(times, {**_NONE, **counts})
    assert {times[name].date().isoformat() for name in found} == expected


def test_the_newest_of_a_day_is_kept() -> None:
    """Red when it is the first."""
    times = _every(6, 8)
    assert kept(times, {**_NONE, "daily": 2}) == {"0003", "0007"}


def test_periods_without_a_backup_are_not_counted() -> None:
    """Red when a machine that was off for a month loses what it had."""
    times = {"old": _FIRST, "older": _FIRST - timedelta(days=90), "new": _FIRST + timedelta(days=90)}
    assert kept(times, {**_NONE, "daily": 3}) == {"old", "older", "new"}


def test_nothing_is_kept_of_nothing() -> None:
    """Red when an empty folder is an error."""
    assert kept({}, {"daily": 7, "weekly": 4, "monthly": 6}) == set()


def test_time_goes_on_and_the_counts_hold() -> None:
    """Red when pruning every day keeps another set than pruning once: it would forget months."""
    counts = {"daily": 7, "weekly": 4, "monthly": 6}
    times: dict[str, datetime] = {}
    for name, time in _every(24, 400).items():
        times[name] = time
        times = {one: times[one] for one in kept(times, counts)}
    everything = _every(24, 400)
    months = {(everything[name].year, everything[name].month) for name in kept(everything, counts)}
    assert {(time.year, time.month) for time in times.values()} == months
    assert len(times) <= 17
