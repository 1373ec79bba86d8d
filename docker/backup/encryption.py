"""Symmetric encryption by GnuPG that plain `gpg --decrypt` undoes."""

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
# The content is already compressed. CFB with a modification detection code, for gpg of any version.
_SEAL = ("--cipher-algo", "AES256", "--s2k-digest-algo", "SHA512", "--compress-algo", "none")


def wanted():
    """Return whether there is a passphrase, and so whether new archives are encrypted.

    Raises ``BackupError`` SLIP-098 if it cannot be read or is empty: nothing is written in the clear.
    """
    if not PASSPHRASE.exists():
        return False
    try:
        # gpg uses the first line.
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
    """Yield a stream; its data is in ``path``, encrypted, when the block has ended."""
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
    """Yield a stream of the decrypted content of ``path``. Raises ``BackupError`` SLIP-098 or SLIP-095.

    A block that has read to the end also raises if the content is not what was written.
    """
    if not wanted():
        raise BackupError(
            "SLIP-098",
            f"{path.name} is encrypted, and there is no passphrase",
            "write it to secrets/backup/passphrase",
        )
    with tempfile.TemporaryFile() as messages, _home():
        argv = [*_GPG, "--status-fd", "2", "--decrypt", str(path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=messages) as gpg:
            try:
                yield gpg.stdout
            except BackupError:
                # If gpg gave up, that is the cause of the reader's error.
                gpg.stdout.read()
                if gpg.wait():
                    raise _not_decrypted(path.name, messages) from None
                raise
            finally:
                # The block may have read only the beginning.
                if gpg.stdout.read(1):
                    gpg.kill()
        if gpg.returncode > 0:
            raise _not_decrypted(path.name, messages)


def _not_decrypted(name, messages):
    messages.seek(0)
    status = messages.read().decode("utf-8", "replace")
    if "BAD_PASSPHRASE" in status or "Bad session key" in status:
        return BackupError(
            "SLIP-098",
            f"{name} cannot be decrypted with this passphrase (or its first bytes are damaged)",
            "write the one it was made with to secrets/backup/passphrase",
        )
    return damaged(name, "its encrypted content has been cut off or altered")


@contextlib.contextmanager
def _home():
    """A GNUPGHOME for this call alone: gpg needs one, and the root file system is read-only."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GNUPGHOME"] = folder
        yield
