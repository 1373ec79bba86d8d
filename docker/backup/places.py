"""The places and the names of backups, and the locks for work on them."""

import contextlib
import fcntl
import os
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from failure import BackupError

BACKUPS = Path("/backups")
WORK = BACKUPS / ".work"
STAMP = "%Y%m%dT%H%M%SZ"
# The stack is in the name because both keep their backups in one folder, and because retention has to
# tell them apart where there is nothing but names, as in a bucket.
ARCHIVE = re.compile(
    r"(?P<stamp>\d{8}T\d{6}Z)-(?P<stack>dev|prod)(?:-(?P<label>[A-Za-z0-9_.-]+?))?\.tar(?P<encrypted>\.gpg)?"
)
DUMP = re.compile(r"(?P<stamp>\d{8}T\d{6}Z)-before-(?P<release>.+)\.dump")


def say(line):
    """Print a line for the user on stderr; stdout is for the answer."""
    print(line, file=sys.stderr, flush=True)


def stack():
    """Return ``dev`` or ``prod``, from the project's name."""
    return os.environ["BACKUP_PROJECT"].rsplit("-", 1)[1]


def release():
    """Return the live release; ``unknown`` before the first one.

    If BACKUP_RELEASE is empty, it is the release of nginx's live configuration: a container that keeps
    running notices deploys that way.
    """
    live = Path("/srv/nginx/live")
    return os.environ["BACKUP_RELEASE"] or (live.readlink().name if live.is_symlink() else "unknown")


def archives():
    """Return the match of every archive's name, whichever stack made it, oldest first."""
    return [match for name in sorted(_names()) if (match := ARCHIVE.fullmatch(name))]


def dumps():
    """Return the match of the name of every dump that a deploy has made, oldest first."""
    return [match for name in sorted(_names()) if (match := DUMP.fullmatch(name))]


def time_of(match):
    """Return when it was made."""
    return datetime.strptime(match["stamp"], STAMP).replace(tzinfo=UTC)


def free(folder):
    """Return the bytes that may still be written there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _names():
    try:
        return [path.name for path in BACKUPS.iterdir()]
    except OSError as problem:
        raise BackupError(
            "SLIP-103",
            f"the backups folder cannot be read: {problem.strerror}",
            f"chown BACKUP_DIR to {os.getuid()}, the user that makes backups",
        ) from None


@contextlib.contextmanager
def workplace(name):
    """Yield an empty folder for one kind of work, to one process at a time; others wait.

    Leftovers of a killed process are removed first. The folder stays afterwards: ``clear`` removes it.
    """
    try:
        WORK.mkdir(mode=0o700, exist_ok=True)
        lock = (WORK / f"{name}.lock").open("a")
    except OSError as problem:
        raise BackupError(
            "SLIP-103",
            f"the backups folder cannot be written: {problem.strerror}",
            f"chown BACKUP_DIR to {os.getuid()}, the user that makes backups",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another one to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        clear(name)
        folder = WORK / name
        folder.mkdir(mode=0o700)
        yield folder


def clear(name):
    """Remove the folder of a kind of work, if there is one."""
    folder = WORK / name
    if folder.exists():
        shutil.rmtree(folder)


def sync(path):
    """Flush the file or the folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
