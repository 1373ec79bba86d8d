"""When a cron expression is due, as crontab(5) has it; and what is no expression."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from kitfiles import load


@pytest.fixture(scope="module")
def cron() -> ModuleType:
    """The module."""
    return load("cron")


def _due(cron: ModuleType, expression: str, after: str, count: int = 1) -> list[str]:
    times, moment = cron.Times(expression), datetime.fromisoformat(f"{after}+00:00")
    found = []
    for _ in range(count):
        moment = times.after(moment)
        found.append(moment.strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("30 3 * * *", "2026-03-02T03:29:59", ["2026-03-02T03:30", "2026-03-03T03:30"]),
        ("30 3 * * *", "2026-03-02T03:30:00", ["2026-03-03T03:30"]),
        ("* * * * *", "2026-12-31T23:59:01", ["2027-01-01T00:00", "2027-01-01T00:01"]),
        ("*/20 0-6/3 * * *", "2026-03-02T03:50", ["2026-03-02T06:00", "2026-03-02T06:20", "2026-03-02T06:40",
                                                 "2026-03-03T00:00"]),
        ("5,1 0 1 jan *", "2026-03-02T00:00", ["2027-01-01T00:01", "2027-01-01T00:05"]),
        # 2 March 2026 is a Monday.
        ("0 0 * * 0", "2026-03-02T00:00", ["2026-03-08T00:00"]),
        ("0 0 * * 7", "2026-03-02T00:00", ["2026-03-08T00:00"]),
        ("0 0 * * sat-sun", "2026-03-02T00:00", ["2026-03-07T00:00", "2026-03-08T00:00", "2026-03-14T00:00"]),
        ("0 0 * * Mon-FRI", "2026-03-06T00:00", ["2026-03-09T00:00"]),
        # Either will do where both are named, both must be right where one begins with a star.
        ("0 0 13 * fri", "2026-03-02T00:00", ["2026-03-06T00:00", "2026-03-13T00:00", "2026-03-20T00:00"]),
        ("0 0 */2 * mon", "2026-03-02T00:00", ["2026-03-09T00:00", "2026-03-23T00:00"]),
        ("0 0 29 2 *", "2026-03-02T00:00", ["2028-02-29T00:00"]),
        ("0 0 31 * *", "2026-03-31T00:00", ["2026-05-31T00:00", "2026-07-31T00:00"]),
    ],
)  # fmt: skip
def test_times(cron: ModuleType, expression: str, after: str, expected: list[str]) -> None:
    """Red when a field, a step, a name or the rule of the two days is read otherwise than by cron."""
    assert _due(cron, expression, after, len(expected)) == expected


def _minutes(cron: ModuleType, expression: str, begin: datetime) -> Iterator[datetime]:
    times, moment = cron.Times(expression), begin
    while True:
        moment = times.after(moment)
        yield moment


@pytest.mark.parametrize("expression", ["*/7 * * * *", "1-59/29 */5 1,15 * *", "0 12 * feb-apr/2 2-4"])
def test_no_time_is_left_out_or_added(cron: ModuleType, expression: str) -> None:
    """The times are those minutes that match by themselves. Red when `after` skips, or finds one twice."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    end = begin + timedelta(days=40)
    times = cron.Times(expression)
    due = set(itertools.takewhile(lambda each: each < end, _minutes(cron, expression, begin)))
    for number in range(1, 40 * 24 * 60, 211):
        minute = begin + timedelta(minutes=number)
        assert (times.after(minute - timedelta(minutes=1)) == minute) == (minute in due)


@pytest.mark.parametrize(
    "expression",
    [
        "", "daily", "@daily", "30 3 * *", "30 3 * * * *", "60 3 * * *", "0 24 * * *", "0 0 0 * *",
        "0 0 32 * *", "0 0 * 13 *", "0 0 * * 8", "0 0 30 2 *", "H 3 * * *", "* * L * *", "R * * * *",
        "5/15 * * * *", "*/0 * * * *", "9-5 * * * *", "1,,2 * * * *", "* * * * mon#2", "mon * * * *",
        "-5 * * * *", "* * * * fri-", "٣ * * * *",
    ],
)  # fmt: skip
def test_what_is_no_expression(cron: ModuleType, expression: str) -> None:
    """Red when something gets through that has seconds, never comes, or that crontab(5) does not know."""
    with pytest.raises(ValueError, match="not a cron expression"):
        cron.Times(expression)
