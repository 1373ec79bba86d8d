"""The backups to keep: the newest of each of the last days, weeks and months that have any."""

from collections.abc import Mapping
from datetime import datetime

PERIODS = {
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
}


def kept(times: Mapping[str, datetime], counts: Mapping[str, int]) -> set[str]:
    """Return the names to keep out of ``times``, which has the time (UTC) of each.

    ``counts`` has the number of ``daily``, ``weekly`` (ISO 8601) and ``monthly`` ones; a period without a
    backup is not counted. The newest of all is always kept.
    """
    newest_first = sorted(times, key=lambda name: (times[name], name), reverse=True)
    keep = set(newest_first[:1])
    for period, period_of in PERIODS.items():
        newest = {}
        for name in newest_first:
            newest.setdefault(period_of(times[name]), name)
        keep |= set(list(newest.values())[: counts[period]])
    return keep
