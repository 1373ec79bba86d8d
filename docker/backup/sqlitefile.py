"""SQLite databases among files: recognised by their header, copied while they are in use, and checked.

The volume is read-only here. SQLite can still read most databases, but not where it would have to write
first: with a journal that a crash has left, or a write-ahead log that no process has open.
"""

import contextlib
import fcntl
import shutil
import sqlite3
import stat
import time

from failure import BackupError
from places import say

_HEADER = b"SQLite format 3\0"
_SIBLINGS = ("-journal", "-wal", "-shm")
# https://sqlite.org/fileformat2.html#the_lock_byte_page: while a process has read-locked these bytes,
# no other writes into the file, except for the checkpoint of a write-ahead log.
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
_SECONDS = 60
_PAUSE_SECONDS = 0.2


def is_database(path):
    """Return whether ``path`` is a file that begins like SQLite's."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(len(_HEADER)) == _HEADER
    except OSError:
        return False


def is_sibling(path):
    """Return whether ``path`` is journal, log or index of a database next to it; a copy needs none."""
    return any(
        path.name.endswith(suffix) and is_database(path.with_name(path.name.removesuffix(suffix)))
        for suffix in _SIBLINGS
    )


def copy(path, target):
    """Write the database ``path`` to ``target`` as of one moment, even while others write to it.

    One that SQLite cannot read at all is copied as it is, with a message. Raises ``BackupError`` SLIP-100
    when it is never at rest, ``OSError`` when it cannot be read.
    """
    deadline = time.monotonic() + _SECONDS
    while True:
        for way in (_by_sqlite, _under_lock):
            try:
                return way(path, target, deadline)
            except (sqlite3.OperationalError, BlockingIOError) as problem:
                why = problem
            except sqlite3.DatabaseError as damage:
                say(f"{path} is damaged, and is copied as it is: {damage}")
                _remove(target)
                shutil.copyfile(path, target)
                return None
            _remove(target)
        if time.monotonic() > deadline:
            raise BackupError(
                "SLIP-100",
                f"the SQLite database {path} cannot be copied: {why}",
                "look for a process that keeps it locked; then run the same command again",
            )
        time.sleep(_PAUSE_SECONDS)


def problems(path):
    """Return what SQLite finds wrong with the database ``path``, in one line; ``ok`` for nothing."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            return "; ".join(row[0] for row in database.execute("PRAGMA integrity_check(3)"))
    except sqlite3.DatabaseError as problem:
        return str(problem)


def _by_sqlite(path, target, deadline):
    def waited(*_):
        # Called between attempts, which would otherwise go on for ever.
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    with (
        contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(target)) as draft,
    ):
        # Nobody reads the draft before it is complete, and writers of the source may be waiting.
        draft.execute("PRAGMA synchronous = OFF")
        draft.execute("PRAGMA journal_mode = OFF").fetchall()
        source.backup(draft, progress=waited)


def _under_lock(path, target, _deadline):
    """Copy the files while nobody may write, then let SQLite merge the copies into one database."""
    with path.open("rb") as file:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        before = _stamps(path)
        with target.open("xb") as sink:
            # Not opened a second time: closing that would release the lock.
            shutil.copyfileobj(file, sink)
        for suffix in ("-journal", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{suffix}", f"{target}{suffix}")
        if _stamps(path) != before:
            raise sqlite3.OperationalError("it changed while it was copied")
    with contextlib.closing(sqlite3.connect(target)) as draft:
        draft.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        draft.execute("SELECT count(*) FROM sqlite_master").fetchall()
    _remove_siblings(target)


def _stamps(path):
    found = []
    for suffix in ("", "-journal", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            state = path.with_name(path.name + suffix).stat()
            found.append((suffix, state.st_ino, state.st_size, state.st_mtime_ns))
    return found


def _remove_siblings(target):
    for suffix in _SIBLINGS:
        target.with_name(target.name + suffix).unlink(missing_ok=True)


def _remove(target):
    target.unlink(missing_ok=True)
    _remove_siblings(target)
