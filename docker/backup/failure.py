"""Errors that end a command with one clear message."""

import contextlib
import errno


class BackupError(Exception):
    """An error that a person can fix; ``code`` has a section in docs/errors.md."""

    def __init__(self, code, message, fix):
        super().__init__(f"{code}: {message}\n  fix: {fix}")


def damaged(name, why):
    """Return the failure for an archive that is not as it was written."""
    return BackupError(
        "SLIP-095", f"{name} is damaged: {why}", "take another one: invoke db.backups lists them"
    )


@contextlib.contextmanager
def full_disk_reported(what):
    """Turn ENOSPC and EDQUOT in the block into a message that names ``what`` was being written."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise BackupError(
            "SLIP-099",
            f"the disk became full while {what}; nothing of it was kept",
            "make room (invoke machine, invoke db.prune) and run the same command again",
        ) from None


def require_space(folder_free, needed, what):
    """Raise ``BackupError`` SLIP-099 if ``needed`` is more than ``folder_free``, both in bytes."""
    if needed <= folder_free:
        return
    raise BackupError(
        "SLIP-099",
        f"{what} may need {needed / 1e6:.0f} MB, and {folder_free / 1e6:.0f} MB are free; nothing was begun",
        "make room (invoke machine, invoke db.prune), or set BACKUP_DIR to a folder on another disk",
    )
