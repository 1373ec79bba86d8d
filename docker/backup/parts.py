"""Parts of an archive that are a folder's files: packed into a compressed tar file, unpacked from anybody's.

There are two: ``media``, and ``data``, the files of DATA_PATHS with their SQLite databases. MEDIA_ROOT and
DATA_ROOT name the folders; without DATA_ROOT there is no ``data``.
"""

import contextlib
import os
import stat
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import sqlitefile
from failure import BackupError, damaged
from places import say

# In the folder, but not of its files: our own folder, and one that a separate file system has.
RESTORING = ".slipway-restoring"
NOT_OURS = {RESTORING, "lost+found"}


@dataclass(frozen=True)
class Part:
    """A folder that is a part of an archive: ``name`` in its metadata, and the place it comes from."""

    name: str
    root: Path

    @property
    def member(self):
        """The name of the archive's member."""
        return f"{self.name}.tar.zst"


MEDIA = Part("media", Path(os.environ.get("MEDIA_ROOT", "/app/media")))
DATA = Part("data", Path(os.environ.get("DATA_ROOT") or "/srv/data"))
PARTS = {part.name: part for part in (MEDIA, DATA)}


def present():
    """Return the parts that this stack has."""
    return [MEDIA, DATA] if os.environ.get("DATA_ROOT") else [MEDIA]


def held(metadata):
    """Return the parts of the archive with this ``metadata``."""
    return [part for part in PARTS.values() if part.member in metadata["members"]]


def size(root):
    """Return the approximate bytes of all files below ``root``, which may be changing."""
    found = 0
    for path in _walk(root):
        with contextlib.suppress(FileNotFoundError):
            found += path.lstat().st_size
    return found


def pack(part, target):
    """Write all files below the root of ``part`` to ``target``; returns numbers: ``files`` and ``bytes``.

    In ``data`` each SQLite database is copied as of one moment, and named under ``sqlite``. Raises
    ``BackupError`` SLIP-100 with the name of a file that cannot be read, or could not be restored.
    """
    counted = {"files": 0, "bytes": 0}
    databases = []
    with target.open("xb") as file, _zstd(["-3", "--threads=0"], stdout=file) as zstd:
        with tarfile.open(fileobj=zstd.stdin, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in _walk(part.root):
                if part is DATA and sqlitefile.is_sibling(path):
                    continue
                if part is DATA and sqlitefile.is_database(path):
                    databases += _add_database(tar, part, path, target.with_suffix(".sqlite"), counted)
                else:
                    _add(tar, part, path, counted)
        zstd.stdin.close()
        if zstd.wait():
            raise OSError(f"zstd ended with {zstd.returncode}")
    return {**counted, "sqlite": databases} if part is DATA else counted


def unpack(part, stream, name, folder=None, limit=None):
    """Read the output of ``pack``, into ``folder`` if that is given; returns the numbers.

    With a folder, the tar file may be uncompressed: an import's.
    Raises ``BackupError`` SLIP-095 for anything that is not a file, a folder, or a link that stays inside,
    and for more than ``limit`` bytes.
    """
    counted = {"files": 0, "bytes": 0}
    # With --force zstd passes on data in other formats unchanged.
    with _zstd(["--decompress", *(["--force"] if folder else [])], stdin=stream) as zstd:
        try:
            with tarfile.open(fileobj=zstd.stdout, mode="r|", errorlevel=2) as tar:
                for member in tar:
                    _take(tar, member, folder or part.root, folder, counted)
                    if limit is not None and counted["bytes"] > limit:
                        raise damaged(name, f"there is more in its {part.name} than its metadata says")
            while zstd.stdout.read(1 << 20):
                pass
        except tarfile.FilterError as hostile:
            raise damaged(
                name, f"its {part.name} would leave their folder, or are no files: {hostile}"
            ) from None
        except (tarfile.TarError, EOFError) as problem:
            raise damaged(name, f"its {part.name} cannot be read: {problem}") from None
        if zstd.wait():
            raise damaged(name, f"its {part.name} cannot be decompressed")
    return counted


def _walk(root):
    """Yield every path below ``root``, folders before their content, always in the same order."""
    if not root.is_dir():
        return

    def refuse(problem):
        if not isinstance(problem, FileNotFoundError):
            raise _unreadable(problem.filename, problem.strerror)

    for folder, names, files in os.walk(root, onerror=refuse):
        if Path(folder) == root:
            names[:] = [name for name in names if name not in NOT_OURS]
        names.sort()
        yield from (Path(folder) / name for name in sorted([*names, *files]))


def _add(tar, part, path, counted):
    name = str(path.relative_to(part.root))
    try:
        # First, so that open() does not wait for a fifo; it follows no link that replaces the file since.
        if not stat.S_ISREG(path.lstat().st_mode):
            _add_other(tar, part, path, name)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return  # removed since the folder was read
    except OSError as problem:
        raise _unreadable(path, problem.strerror) from None
    with os.fdopen(descriptor, "rb") as file:
        _add_file(tar, tar.gettarinfo(arcname=name, fileobj=file), path, file, counted)


def _add_file(tar, member, path, file, counted):
    """Add the content of ``file`` as ``member``; ``path`` is for messages."""
    # A hard link becomes a separate file: the link does not survive, the content does.
    member.type = tarfile.REGTYPE
    member.size = os.fstat(file.fileno()).st_size
    try:
        tar.addfile(_anonymous(member), file)
    except OSError as problem:
        if problem.errno:
            raise
        raise _unreadable(path, "it became shorter while it was read") from None
    counted["files"] += 1
    counted["bytes"] += member.size


def _add_database(tar, part, path, copied, counted):
    """Add a copy of the database ``path``, made at ``copied``; returns its name below the root, in a list."""
    name = str(path.relative_to(part.root))
    try:
        member = tar.gettarinfo(path, arcname=name)
        sqlitefile.copy(path, copied)
    except FileNotFoundError:
        return []
    except PermissionError as problem:
        raise _unreadable(problem.filename, problem.strerror) from None
    with copied.open("rb") as file:
        _add_file(tar, member, path, file, counted)
    copied.unlink()
    return [name]


def _add_other(tar, part, path, name):
    member = tar.gettarinfo(path, arcname=name)
    if member is None or not (member.isdir() or member.issym()):
        say(f"left out, for it is no file: {path}")
        return
    try:
        tarfile.data_filter(member, str(part.root))
    except tarfile.FilterError as outside:
        raise _unreadable(path, f"a backup of it could not be restored: {outside}") from None
    tar.addfile(_anonymous(member))


def _anonymous(member):
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _take(tar, member, root, folder, counted):
    if not (member.isreg() or member.isdir() or member.issym()):
        raise tarfile.SpecialFileError(member)
    # The filter would make an absolute name relative; pack() never writes one.
    if tarfile.data_filter(member, str(root)).name != member.name:
        raise tarfile.AbsolutePathError(member)
    if Path(member.name).parts[:1] in {(name,) for name in NOT_OURS}:
        raise tarfile.SpecialFileError(member)
    if folder:
        tar.extract(member, folder, filter="data")
    if member.isreg():
        counted["files"] += 1
        counted["bytes"] += member.size


def _unreadable(path, why):
    return BackupError(
        "SLIP-100",
        f"the file {path} cannot be put into a backup: {why}",
        "make it readable for group 10001 or for everybody, or move it out of MEDIA_ROOT or DATA_PATHS",
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
