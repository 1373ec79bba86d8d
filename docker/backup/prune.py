"""Removing what retention does not keep."""

import os

import places
from places import ARCHIVE, BACKUPS
from retention import PERIODS, kept


def expired():
    """Return the names of this stack's archives that BACKUP_KEEP_DAILY, _WEEKLY and _MONTHLY do not keep."""
    times = {m.string: places.time_of(m) for m in places.archives() if m["stack"] == places.stack()}
    counts = {period: int(os.environ[f"BACKUP_KEEP_{period.upper()}"]) for period in PERIODS}
    return sorted(set(times) - kept(times, counts))


def remove(*names):
    """Remove these archives, and what a killed run has left; returns the names."""
    with places.workplace("make"):
        for name in names:
            if ARCHIVE.fullmatch(name):
                (BACKUPS / name).unlink(missing_ok=True)
        places.sync(BACKUPS)
        places.clear("make")
    return list(names)
