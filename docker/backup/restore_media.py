"""Media from an archive in the place of the present ones, in steps that a kill cannot spoil.

The root of a volume cannot be renamed, so its entries are: first the present ones out, then the new ones
in. What has been done so far stands in a file, and ``swap`` goes on from there.
"""

import contextlib
import fcntl
import os
import shutil
import sys

import media
import places
from failure import BackupError, damaged, full_disk_told, require_space

FOLDER = media.ROOT / media.RESTORING
NEW, OLD, STATE, LOCK = FOLDER / "new", FOLDER / "old", FOLDER / "state", FOLDER / "lock"
RECEIVED, OUT, IN, DONE = "received", "out", "in", "done"


def receive(files, size):
    """Unpack what comes on stdin beside the present media; it must be so many files and bytes."""
    expected = {"files": int(files), "bytes": int(size)}
    with _locked():
        if _state() in {OUT, IN}:
            raise BackupError(
                "SLIP-101", "an earlier restore is only half done", "invoke db.restore or db.backup ends it"
            )
        _remove()
        require_space(places.free(FOLDER), expected["bytes"], "new media beside the present ones")
        NEW.mkdir(mode=0o700)
        OLD.mkdir(mode=0o700)
        with full_disk_told("media were unpacked"):
            found = media.unpack(sys.stdin.buffer, "the archive", NEW, limit=expected["bytes"])
        if found != expected:
            raise damaged("the archive", f"{found} came out of its media, and {expected} had gone in")
        os.sync()
        _enter(RECEIVED)
    return found


def swap():
    """Put what was received in the place of the present media; repeated, it goes on where it stopped."""
    with _locked():
        state = _state()
        if state == RECEIVED:
            state = _enter(OUT)
        if state == OUT:
            for path in media.ROOT.iterdir():
                if path.name not in media.NOT_MEDIA:
                    path.rename(OLD / path.name)
            state = _enter(IN)
        if state == IN:
            for path in NEW.iterdir():
                _make_way(media.ROOT / path.name)
                path.rename(media.ROOT / path.name)
            state = _enter(DONE)
        if state != DONE:
            raise BackupError("SLIP-101", "there are no media to put in place", "restore the archive again")
    return {"state": DONE}


def discard():
    """Remove what was received, or the former media after ``swap``."""
    with _locked():
        if _state() in {OUT, IN}:
            raise BackupError(
                "SLIP-101", "media are half exchanged", "invoke db.restore or db.backup ends it"
            )
        shutil.rmtree(FOLDER)
    return {"state": ""}


def _make_way(path):
    """Move away what somebody has written there since the present media were moved out."""
    if path.exists() or path.is_symlink():
        target = OLD / f"{path.name}.since"
        shutil.rmtree(target, ignore_errors=True)
        path.rename(target)


def _state():
    return STATE.read_text() if STATE.exists() else ""


def _enter(state):
    draft = STATE.with_suffix(".draft")
    draft.write_text(state)
    places.sync(draft)
    draft.rename(STATE)
    for folder in (FOLDER, media.ROOT):
        places.sync(folder)
    return state


def _remove():
    for folder in (NEW, OLD):
        if folder.exists():
            shutil.rmtree(folder)
    STATE.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked():
    """One at a time: the container of a killed task goes on, and has to be waited for."""
    with contextlib.ExitStack() as held:
        while True:
            lock = held.enter_context(_lock_file())
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever was waited for may have removed the folder, and the file with it.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), LOCK.stat()):
                    break
        yield


def _lock_file():
    try:
        media.ROOT.mkdir(exist_ok=True)
        # Nobody else looks into it, nginx neither.
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        return LOCK.open("a")
    except OSError as problem:
        raise BackupError(
            "SLIP-101",
            f"media cannot be written: {problem.strerror}",
            f"MEDIA_ROOT ({media.ROOT}) has to belong to user {os.getuid()}, as whom the project runs",
        ) from None
