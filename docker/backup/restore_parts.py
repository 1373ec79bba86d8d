"""Files of an archive in the place of the present ones, in steps that a kill cannot spoil.

The root of a volume cannot be renamed, so its entries are: first the present ones out, then the new ones
in. What has been done so far stands in a file, and ``swap`` goes on from there.
"""

import contextlib
import fcntl
import os
import shutil
import sys

import parts
import places
from failure import BackupError, damaged, full_disk_told, require_space

RECEIVED, OUT, IN, DONE = "received", "out", "in", "done"


def receive(name, count, size):
    """Unpack what comes on stdin beside the present files of the part ``name``: so many files and bytes."""
    expected = {"files": int(count), "bytes": int(size)}
    with _Exchange(name) as own:
        if own.state() in {OUT, IN}:
            raise BackupError(
                "SLIP-101", "an earlier restore is only half done", "invoke db.restore or db.backup ends it"
            )
        own.remove()
        require_space(places.free(own.folder), expected["bytes"], f"new {name} beside the present")
        own.new.mkdir(mode=0o700)
        own.old.mkdir(mode=0o700)
        with full_disk_told(f"{name} were unpacked"):
            found = parts.unpack(own.part, sys.stdin.buffer, "the archive", own.new, limit=expected["bytes"])
        if found != expected:
            raise damaged("the archive", f"{found} came out of its {name}, and {expected} had gone in")
        os.sync()
        own.enter(RECEIVED)
    return found


def swap(name):
    """Put what was received in the place of the present files; repeated, it goes on where it stopped."""
    with _Exchange(name) as own:
        state = own.state()
        if state == RECEIVED:
            state = own.enter(OUT)
        if state == OUT:
            for path in own.root.iterdir():
                if path.name not in parts.NOT_OURS:
                    path.rename(own.old / path.name)
            state = own.enter(IN)
        if state == IN:
            for path in own.new.iterdir():
                own.make_way(own.root / path.name)
                path.rename(own.root / path.name)
            state = own.enter(DONE)
        if state != DONE:
            raise BackupError("SLIP-101", f"there are no {name} to put in place", "restore the archive again")
    return {"state": DONE}


def discard(name):
    """Remove what was received, or the former files after ``swap``."""
    with _Exchange(name) as own:
        if own.state() in {OUT, IN}:
            raise BackupError(
                "SLIP-101", f"{name} are half exchanged", "invoke db.restore or db.backup ends it"
            )
        shutil.rmtree(own.folder)
    return {"state": ""}


class _Exchange:
    """The folder beside a part's files in which all that happens, one at a time.

    The container of a killed task goes on, and has to be waited for.
    """

    def __init__(self, name):
        self.part = parts.PARTS[name]
        self.root = self.part.root
        self.folder = self.root / parts.RESTORING
        self.new, self.old = self.folder / "new", self.folder / "old"
        self._state = self.folder / "state"

    def __enter__(self):
        with contextlib.ExitStack() as held:
            while True:
                lock = held.enter_context(self._lock_file())
                fcntl.flock(lock, fcntl.LOCK_EX)
                # Whoever was waited for may have removed the folder, and the file with it.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(lock.fileno()), (self.folder / "lock").stat()):
                        break
            self._held = held.pop_all()
        return self

    def __exit__(self, *_):
        self._held.close()

    def state(self):
        return self._state.read_text() if self._state.exists() else ""

    def enter(self, state):
        draft = self._state.with_suffix(".draft")
        draft.write_text(state)
        places.sync(draft)
        draft.rename(self._state)
        for folder in (self.folder, self.root):
            places.sync(folder)
        return state

    def make_way(self, path):
        """Move away what somebody has written there since the present files were moved out."""
        if path.exists() or path.is_symlink():
            target = self.old / f"{path.name}.since"
            shutil.rmtree(target, ignore_errors=True)
            path.rename(target)

    def remove(self):
        for folder in (self.new, self.old):
            if folder.exists():
                shutil.rmtree(folder)
        self._state.unlink(missing_ok=True)

    def _lock_file(self):
        try:
            self.root.mkdir(exist_ok=True)
            # Nobody else looks into it, nginx neither.
            self.folder.mkdir(mode=0o700, exist_ok=True)
            return (self.folder / "lock").open("a")
        except OSError as problem:
            raise BackupError(
                "SLIP-101",
                f"{self.part.name} cannot be written: {problem.strerror}",
                f"{self.root} has to belong to user {os.getuid()}, as whom the project runs",
            ) from None
