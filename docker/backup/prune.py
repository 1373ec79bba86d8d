"""Removal of the archives that retention does not keep."""

import os

import places
from places import ARCHIVE, BACKUPS
from retention import PERIODS, kept


def expired():
    """Return the names of this stack's archives that BACKUP_KEEP_DAILY, _WEEKLY and _MONTHLY do not keep."""
    names = {match.string for match in places.archives() if match["stack"] == places.stack()}
    return sorted(names - keep(names))


def keep(names):
    """Return those of the archives' ``names`` that these variables keep."""
    times = {name: places.time_of(ARCHIVE.fullmatch(name)) for name in names}
    counts = {period: int(os.environ[f"BACKUP_KEEP_{period.upper()}"]) for period in PERIODS}
    return kept(times, counts)


def remove(*names):
    """Remove these archives, and leftovers of a killed run; returns the names."""
    with places.workplace("make"):
        for name in names:
            if ARCHIVE.fullmatch(name):
                (BACKUPS / name).unlink(missing_ok=True)
        places.sync(BACKUPS)
        places.clear("make")
    return list(names)
