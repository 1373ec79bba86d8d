"""Symmetric encryption by GnuPG, such that plain `gpg --decrypt` undoes it."""

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

from failure import BackupError, damaged

PASSPHRASE = Path("/run/secrets/backup_passphrase")
_GPG = (
    "gpg", "--batch", "--no-options", "--no-tty", "--quiet", "--pinentry-mode", "loopback",
    "--passphrase-file", str(PASSPHRASE),
)  # fmt: skip
# What is in there is compressed already. CFB with a modification detection code, for gpg of any version.
_SEAL = ("--cipher-algo", "AES256", "--s2k-digest-algo", "SHA512", "--compress-algo", "none")


def wanted():
    """Tell whether there is a passphrase, and so whether new archives are encrypted.

    Raises ``BackupError`` SLIP-098 for one that cannot be read or is empty: nothing is written in the clear.
    """
    if not PASSPHRASE.exists():
        return False
    try:
        # gpg takes the first line.
        given = PASSPHRASE.read_text().split("\n")[0].strip()
    except OSError as problem:
        raise BackupError(
            "SLIP-098",
            f"the passphrase cannot be read: {problem.strerror}",
            "chmod 444 secrets/backup/passphrase; the folder secrets is what keeps others out",
        ) from None
    if not given:
        raise BackupError(
            "SLIP-098",
            "the passphrase is empty",
            "write one into the first line of secrets/backup/passphrase, or remove the file",
        )
    return True


@contextlib.contextmanager
def sealed(path):
    """Give a stream; what is written to it is in ``path``, encrypted, when the block has ended."""
    argv = [*_GPG, *_SEAL, "--symmetric", "--output", str(path)]
    with _home(), subprocess.Popen(argv, stdin=subprocess.PIPE) as gpg:
        try:
            yield gpg.stdin
            gpg.stdin.close()
        except BrokenPipeError:
            pass
        except BaseException:
            gpg.kill()
            raise
        if gpg.wait():
            raise BackupError("SLIP-100", "gpg could not encrypt the backup", "its own message is above")


@contextlib.contextmanager
def opened(path):
    """Give a stream of what is encrypted in ``path``. Raises ``BackupError`` SLIP-098 or SLIP-095.

    A block that has read to the end raises too when the whole was not what had been written.
    """
    if not wanted():
        raise BackupError(
            "SLIP-098",
            f"{path.name} is encrypted, and there is no passphrase",
            "write it to secrets/backup/passphrase",
        )
    with tempfile.TemporaryFile() as told, _home():
        argv = [*_GPG, "--status-fd", "2", "--decrypt", str(path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=told) as gpg:
            try:
                yield gpg.stdout
            except BackupError:
                # The cause of what the reader has found, where it is gpg that gave up.
                gpg.stdout.read()
                if gpg.wait():
                    raise _not_decrypted(path.name, told) from None
                raise
            finally:
                gpg.kill() if gpg.stdout.read(1) else None
        if gpg.returncode > 0:
            raise _not_decrypted(path.name, told)


def _not_decrypted(name, told):
    told.seek(0)
    status = told.read().decode("utf-8", "replace")
    if "BAD_PASSPHRASE" in status or "Bad session key" in status:
        return BackupError(
            "SLIP-098",
            f"{name} cannot be decrypted with this passphrase (or its first bytes are damaged)",
            "write the one it was made with to secrets/backup/passphrase",
        )
    return damaged(name, "its encrypted content has been cut off or altered")


@contextlib.contextmanager
def _home():
    """A GNUPGHOME for this call alone: gpg wants one, and the root file system is read-only."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GNUPGHOME"] = folder
        yield
