"""Media files: into a compressed tar file, and out of one that may have been made by anybody."""

import contextlib
import os
import stat
import subprocess
import tarfile
from pathlib import Path

from failure import BackupError, damaged
from places import say

ROOT = Path(os.environ.get("MEDIA_ROOT", "/app/media"))
# What is in the folder and is no media: our own, and what a file system of its own brings.
RESTORING = ".slipway-restoring"
NOT_MEDIA = {RESTORING, "lost+found"}


def size(root):
    """Return the bytes of all files below ``root``, about: it may be changing."""
    found = 0
    for path in _walk(root):
        with contextlib.suppress(FileNotFoundError):
            found += path.lstat().st_size
    return found


def pack(root, target):
    """Write all that is below ``root`` to ``target``; returns numbers: ``files`` and ``bytes``.

    Raises ``BackupError`` SLIP-100 with the name of what cannot be read, or could not be restored.
    """
    counted = {"files": 0, "bytes": 0}
    with target.open("xb") as file, _zstd(["-3", "--threads=0"], stdout=file) as zstd:
        with tarfile.open(fileobj=zstd.stdin, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in _walk(root):
                _add(tar, root, path, counted)
        zstd.stdin.close()
        if zstd.wait():
            raise OSError(f"zstd ended with {zstd.returncode}")
    return counted


def unpack(stream, name, folder=None, limit=None):
    """Read what ``pack`` has written, into ``folder`` if that is given; returns the numbers.

    Raises ``BackupError`` SLIP-095 for anything that is not a file, a folder, or a link that stays inside,
    and for more than ``limit`` bytes.
    """
    counted = {"files": 0, "bytes": 0}
    with _zstd(["--decompress"], stdin=stream) as zstd:
        try:
            with tarfile.open(fileobj=zstd.stdout, mode="r|", errorlevel=2) as tar:
                for member in tar:
                    _take(tar, member, folder, counted)
                    if limit is not None and counted["bytes"] > limit:
                        raise damaged(name, "there is more in its media than its metadata says")
            while zstd.stdout.read(1 << 20):
                pass
        except tarfile.FilterError as hostile:
            raise damaged(name, f"its media would leave their folder, or are no files: {hostile}") from None
        except (tarfile.TarError, EOFError) as problem:
            raise damaged(name, f"its media cannot be read: {problem}") from None
        if zstd.wait():
            raise damaged(name, "its media cannot be decompressed")
    return counted


def _walk(root):
    """Yield every path below ``root``, folders before what is in them, in the same order every time."""
    if not root.is_dir():
        return

    def refuse(problem):
        if not isinstance(problem, FileNotFoundError):
            raise _unreadable(problem.filename, problem.strerror)

    for folder, names, files in os.walk(root, onerror=refuse):
        if Path(folder) == root:
            names[:] = [name for name in names if name not in NOT_MEDIA]
        names.sort()
        yield from (Path(folder) / name for name in sorted([*names, *files]))


def _add(tar, root, path, counted):
    name = str(path.relative_to(root))
    try:
        # First, so that a fifo is not waited for; and no link is followed if it takes a file's place.
        if not stat.S_ISREG(path.lstat().st_mode):
            _add_other(tar, path, name)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return  # removed since the folder was read
    except OSError as problem:
        raise _unreadable(path, problem.strerror) from None
    with os.fdopen(descriptor, "rb") as file:
        member = _anonymous(tar.gettarinfo(arcname=name, fileobj=file))
        # A second name of a file is a file of its own: hard links do not survive, content does.
        member.type = tarfile.REGTYPE
        member.size = os.fstat(descriptor).st_size
        try:
            tar.addfile(member, file)
        except OSError as problem:
            if problem.errno:
                raise
            raise _unreadable(path, "it became shorter while it was read") from None
    counted["files"] += 1
    counted["bytes"] += member.size


def _add_other(tar, path, name):
    member = tar.gettarinfo(path, arcname=name)
    if member is None or not (member.isdir() or member.issym()):
        say(f"left out, for it is no file: {path}")
        return
    try:
        tarfile.data_filter(member, str(ROOT))
    except tarfile.FilterError as outside:
        raise _unreadable(path, f"a backup of it could not be restored: {outside}") from None
    tar.addfile(_anonymous(member))


def _anonymous(member):
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _take(tar, member, folder, counted):
    if not (member.isreg() or member.isdir() or member.issym()):
        raise tarfile.SpecialFileError(member)
    # The filter would make a relative name of an absolute one: who has written that is not us.
    if tarfile.data_filter(member, str(folder or ROOT)).name != member.name:
        raise tarfile.AbsolutePathError(member)
    if Path(member.name).parts[:1] in {(name,) for name in NOT_MEDIA}:
        raise tarfile.SpecialFileError(member)
    if folder:
        tar.extract(member, folder, filter="data")
    if member.isreg():
        counted["files"] += 1
        counted["bytes"] += member.size


def _unreadable(path, why):
    return BackupError(
        "SLIP-100",
        f"the media file {path} cannot be put into a backup: {why}",
        "make it readable for group 10001 or for everybody, or move it out of MEDIA_ROOT",
    )


@contextlib.contextmanager
def _zstd(options, **streams):
    given = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **streams}
    if "stdin" in streams:
        given["stderr"] = subprocess.DEVNULL
    process = subprocess.Popen(["zstd", "--quiet", "--stdout", *options], **given)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
