"""The times of a cron expression, and waiting for them: for tasks, for backups and for scheduled commands.

The grammar is crontab(5)'s, five fields and no more: ``*``, numbers, three-letter names of months and
weekdays, ranges, steps after either, and lists; Sunday is 0 and 7. A day has to be right by month, by day of
the month and by day of the week; where neither of the last two begins with ``*``, one of them is enough. All
times are UTC.

Standard library only, Python 3.10 or later: images have nothing else in common.
"""

import json
import os
import re
import time
from datetime import datetime, timedelta, timezone

UTC = timezone.utc  # noqa: UP017 - datetime.UTC came with Python 3.11
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# The least and the most of each field, and its names, from the least on.
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _WEEKDAYS),
)
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d{1,2}))?")
# A 29 February that is a certain weekday may be forty years away.
_DAYS = 41 * 366
# A wait is split: the clock may be set, and goes on while a machine is suspended.
NAP_SECONDS = 15


class Times:
    """The times of a cron expression. Raises ``ValueError`` for an invalid one, or one that is never due.

    Its message completes the sentence "VARIABLE is …".
    """

    def __init__(self, expression):
        fields = expression.split()
        if len(fields) != len(_FIELDS):
            raise ValueError("not a cron expression of five fields")
        values = [_values(text, *field) for text, field in zip(fields, _FIELDS, strict=True)]
        self._minutes, self._hours, self._days, self._months, self._weekdays = values
        self._weekdays = {day % 7 for day in self._weekdays}
        self._either = not (fields[2].startswith("*") or fields[4].startswith("*"))
        self.after(now())

    def after(self, moment):
        """Return the first time after ``moment``, which must have a time zone."""
        least = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        midnight = least.replace(hour=0, minute=0)
        for day in (midnight + timedelta(days=number) for number in range(_DAYS)):
            if not self._has(day):
                continue
            for hour in sorted(self._hours):
                for minute in sorted(self._minutes):
                    found = day.replace(hour=hour, minute=minute)
                    if found >= least:
                        return found
        raise ValueError("not a cron expression (its day never comes)")

    def _has(self, day):
        by_number, by_weekday = day.day in self._days, day.isoweekday() % 7 in self._weekdays
        right = by_number or by_weekday if self._either else by_number and by_weekday
        return day.month in self._months and right


def _values(text, name, least, most, names):
    found = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            raise ValueError(f"not a cron expression ({item!r} is no {name})")
        star, first, last, step = match.groups()
        if step and not star and not last:
            raise ValueError(f"not a cron expression ({item!r}: a step follows * or a range)")
        begin = least if star else _value(first, name, least, names)
        end = most if star else _value(last or first, name, least, names)
        if last and names is _WEEKDAYS and end == 0:
            end = 7
        if not least <= begin <= end <= most or step in {"0", "00"}:
            raise ValueError(f"not a cron expression ({item!r} is no {name}: {least} to {most})")
        if int(step or 1) > end - begin + 1:
            raise ValueError(f"not a cron expression ({item!r}: the step is longer than its range)")
        found.update(range(begin, end + 1, int(step or 1)))
    return found


def _value(text, name, least, names):
    if text.lower() in names:
        return names.index(text.lower()) + least
    if not re.fullmatch(r"[0-9]{1,2}", text):
        raise ValueError(f"not a cron expression ({text!r} is no {name})")
    return int(text)


def now():
    """Return the present time, in UTC."""
    return datetime.now(UTC)


def text(moment):
    """Return ``moment`` as it is logged and kept."""
    return moment.isoformat(timespec="seconds")


def wait(until, nap=time.sleep):
    """Wait until that time, in calls of ``nap`` with seconds; a true result ends it early and is returned."""
    while (left := (until - now()).total_seconds()) > 0:
        if ended := nap(min(left, NAP_SECONDS)):
            return ended
    return None


def read(path, names):
    """Return the state kept at ``path``, None if there is none or it lacks some of ``names``."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as everything of os here
            found = json.load(file)
        return found if isinstance(found, dict) and names <= set(found) else None
    except (OSError, ValueError):
        return None


def write(path, state):
    """Keep ``state`` at ``path``, whole or not at all. Raises ``OSError``."""
    draft = f"{path}.part"
    with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)  # noqa: PTH105
