"""Replace the present files with those of an archive, in steps that a kill cannot spoil.

The root of a volume cannot be renamed, so its entries are moved: first the present ones out, then the new
ones in. A file records the progress, and ``swap`` continues from there.
"""

import contextlib
import fcntl
import os
import shutil
import sys

import parts
import places
from failure import BackupError, damaged, full_disk_reported, require_space

RECEIVED, OUT, IN, DONE = "received", "out", "in", "done"


def receive(name, count, size):
    """Unpack stdin, ``count`` files and ``size`` bytes, next to the present files of the part ``name``."""
    expected = {"files": int(count), "bytes": int(size)}
    with _Exchange(name) as own:
        if own.state() in {OUT, IN}:
            raise BackupError(
                "SLIP-101", "an earlier restore is only half done", "invoke db.restore or db.backup ends it"
            )
        own.remove()
        require_space(places.free(own.folder), expected["bytes"], f"new {name} next to the present")
        own.new.mkdir(mode=0o700)
        own.old.mkdir(mode=0o700)
        with full_disk_reported(f"{name} were unpacked"):
            found = parts.unpack(own.part, sys.stdin.buffer, "the archive", own.new, limit=expected["bytes"])
        if found != expected:
            raise damaged("the archive", f"{found} came out of its {name}, and {expected} had gone in")
        os.sync()
        own.enter(RECEIVED)
    return found


def swap(name):
    """Replace the present files with the received ones; a rerun continues where it stopped."""
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
    """Remove the received files, or the former ones after ``swap``."""
    with _Exchange(name) as own:
        if own.state() in {OUT, IN}:
            raise BackupError(
                "SLIP-101", f"{name} are half exchanged", "invoke db.restore or db.backup ends it"
            )
        shutil.rmtree(own.folder)
    return {"state": ""}


class _Exchange:
    """The folder next to a part's files in which all that happens, for one process at a time.

    The container of a killed task keeps running, so this waits for it.
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
                # The previous holder of the lock may have removed the folder, and the file with it.
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
        """Move away a file that was written there since the present files were moved out."""
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
            # No other user may read it, nginx included.
            self.folder.mkdir(mode=0o700, exist_ok=True)
            return (self.folder / "lock").open("a")
        except OSError as problem:
            raise BackupError(
                "SLIP-101",
                f"{self.part.name} cannot be written: {problem.strerror}",
                f"chown {self.root} to {os.getuid()}, the user that the project runs as",
            ) from None
