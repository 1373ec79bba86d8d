"""Replace the present database and uploads with an existing site's; it can be undone like a restore."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from slipway.backup import backuprestore
from slipway.backup.backuprestore import Part, Source
from slipway.backup.backupservice import ask
from slipway.core.consent import require_consent
from slipway.core.errors import SlipwayError
from slipway.core.output import counted, human_size, note
from slipway.orchestrators.session import Session
from slipway.postgres import database, plainsql

__all__ = ["import_database", "import_media"]

_LABEL = "before-import"
_NOT_COPIED = {".DS_Store", "Thumbs.db", "lost+found"}


def import_database(session: Session, file: str, *, yes: bool) -> None:
    """Replace the stack's own database with the one in ``file``.

    ``file`` is the path of a pg_dump in plain, custom or tar format, also compressed by gzip, bzip2 or xz.
    Raises ``SlipwayError``: SLIP-193 with DATABASE=none, SLIP-089 when the file cannot be imported, and
    what ``backuprestore.restore`` raises. After every error but SLIP-101 nothing has changed.
    """
    if session.settings.database != "postgres":
        raise SlipwayError(
            "SLIP-193",
            "this stack has no PostgreSQL of its own to import into (DATABASE=none)",
            "import it where your database is, with psql or pg_restore",
        )
    path = Path(file).absolute()
    if session.runner.dry:
        database.restore(session, path)
        return
    with backuprestore.alone(session, "db.import"):
        dump, roles = _dump(session, path)
        source = Source(path.name, "elsewhere", dump, roles=roles, migrations=_applied(session))
        note(f"{path.name} can be read.")
        require_consent("The present database will be replaced (a backup of it is made first). Go on?", yes)
        backuprestore.exchange(session, source, _LABEL)
    print(f"{session.stack.project}: {path.name} has been imported")


def import_media(session: Session, folder: str, *, yes: bool) -> None:
    """Replace the stack's uploads with the files below ``folder``, an existing site's MEDIA_ROOT.

    The project's user will own them and nginx can read them, regardless of their owner and mode here.
    Raises ``SlipwayError`` SLIP-194 for a folder that is missing or empty, or a file that cannot be read,
    and what ``backuprestore.restore`` raises. After every error but SLIP-101 nothing has changed.
    """
    root = Path(folder).absolute()
    if session.runner.dry:
        ask(session, "restore-media", ["receive", "media", "FILES", "BYTES"], stdin=root)
        ask(session, "restore-media", ["swap", "media"])
        return
    with backuprestore.alone(session, "media.import"):
        members = list(_members(root))
        sizes = [path.stat().st_size for path in members if not path.is_dir()]
        note(f"{root} holds {counted(len(sizes), 'file')}, {human_size(sum(sizes))}.")
        require_consent("The present uploads will be replaced (a backup of them is made first). Go on?", yes)
        with _streamed(root, members) as stream:
            part = Part("media", stream, len(sizes), sum(sizes))
            backuprestore.exchange(session, Source(root.name, "elsewhere", None, (part,)), _LABEL)
    print(f"{session.stack.project}: {counted(len(sizes), 'file')} of {root} imported")


def _dump(session: Session, path: Path) -> tuple[Path, frozenset[str] | None]:
    """Return a copy of ``path`` for ``database.restore``, and the roles that it names if it is plain SQL."""
    with plainsql.unpacked(path) as file:
        start = file.read(8)
    work = backuprestore.workplace(session)
    work.mkdir(mode=0o700)
    target = work / "import"
    if not plainsql.is_archive(start):
        return target, plainsql.prepare(path, target, database.major(session))
    with plainsql.unpacked(path) as file, target.open("xb") as into:
        target.chmod(0o600)
        shutil.copyfileobj(file, into)
    database.check(session, target, path)
    return target, None


def _applied(session: Session) -> tuple[str, ...]:
    return tuple(ask(session, "backup", ["applied"]))


def _members(root: Path) -> Iterator[Path]:
    """Yield every folder and file below ``root``, folders first; links to files inside it are followed."""
    if not root.is_dir():
        raise _not_imported(root, "there is no such folder")
    empty = True
    for folder, names, files in os.walk(root, onerror=_refuse):
        names[:] = sorted(name for name in names if name not in _NOT_COPIED)
        for name in [*names, *sorted(files)]:
            path = Path(folder) / name
            if name in _NOT_COPIED or not _is_wanted(root, path):
                continue
            empty = empty and path.is_dir()
            yield path
    if empty:
        raise _not_imported(root, "there is no file in it")


def _is_wanted(root: Path, path: Path) -> bool:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        inside = path.exists() and path.resolve().is_relative_to(root.resolve())
        if not inside or path.is_dir():
            note(f"left out, because it links to a folder or to outside: {path}")
            return False
        return True
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        note(f"left out, for it is no file: {path}")
        return False
    if stat.S_ISREG(mode) and not os.access(path, os.R_OK):
        raise _not_imported(path, os.strerror(errno.EACCES))
    return True


def _refuse(problem: OSError) -> None:
    raise _not_imported(Path(problem.filename), problem.strerror or str(problem))


def _not_imported(path: Path, why: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-194",
        f"the uploads cannot be imported: {path}: {why}",
        "name the old MEDIA_ROOT folder, with files that you may read",
    )


@contextmanager
def _streamed(root: Path, members: list[Path]) -> Iterator[Path]:
    """Yield a named pipe that supplies ``members`` as a tar file: a copy would need disk space of its own."""
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        pipe = Path(folder) / "media.tar"
        os.mkfifo(pipe, 0o600)
        writer = threading.Thread(target=_write, args=(pipe, root, members), daemon=True)
        writer.start()
        yield pipe


def _write(pipe: Path, root: Path, members: list[Path]) -> None:
    # Errors are ignored here: the reader counts files and bytes and reports what is missing.
    options: Any = {"mode": "w|", "format": tarfile.PAX_FORMAT, "dereference": True}
    with suppress(OSError), pipe.open("wb") as into, tarfile.open(fileobj=into, **options) as tar:
        for path in members:
            member = tar.gettarinfo(path, arcname=str(path.relative_to(root)))
            # Store the second name of a hard link as a file of its own.
            member.type = tarfile.DIRTYPE if path.is_dir() else tarfile.REGTYPE
            member.size = 0 if path.is_dir() else path.stat().st_size
            member.mode = 0o755 if path.is_dir() else 0o644
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            if path.is_dir():
                tar.addfile(member)
                continue
            with path.open("rb") as file:
                tar.addfile(member, file)
