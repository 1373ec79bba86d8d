"""Check an archive from its first byte to its last, before anything is changed."""

import contextlib
import json
import os
import re
import subprocess

import archive
import database
import encryption
import parts
import places
from failure import BackupError, damaged, full_disk_reported, require_space

LATEST = "latest"


def unpack(name, purpose, from_project=""):
    """Check the archive and leave its files in the workplace ``purpose``, ``restore`` or ``verify``.

    ``name`` may lack the extension, or be ``latest``: the newest of this stack. Returns ``archive`` (its
    metadata, with its ``name``) and, for a restore, the ``migrations`` that are applied at present.
    Raises ``BackupError`` SLIP-094 to SLIP-099 and SLIP-103.
    """
    path = _find(name)
    with places.workplace(purpose) as folder, full_disk_reported(f"{path.name} was unpacked"):
        try:
            metadata = _extract(path, folder, purpose, from_project or os.environ["BACKUP_PROJECT"])
        except BaseException:
            places.clear(purpose)
            raise
    found = {"archive": {"name": path.name, **metadata}}
    if purpose == "restore":
        found["migrations"] = applied()
    return found


def applied():
    """Return the migrations that are applied at present; none without a database."""
    if not database.present():
        return []
    with database.Snapshot() as snapshot:
        return snapshot.migrations()


def _find(name):
    if name == LATEST:
        own = [match.string for match in places.archives() if match["stack"] == places.stack()]
        if not own:
            raise BackupError(
                "SLIP-094", "there is no archive of this stack yet", "invoke db.backup makes one"
            )
        return places.BACKUPS / own[-1]
    for candidate in (name, f"{name}.tar", f"{name}.tar.gpg"):
        path = places.BACKUPS / candidate
        if "/" not in candidate and not candidate.startswith(".") and path.is_file():
            return path
    raise BackupError(
        "SLIP-094",
        f"there is no backup {name!r} in BACKUP_DIR",
        "invoke db.backups lists them; one from elsewhere has to be copied into that folder first",
    )


def _extract(path, folder, purpose, project):
    require_space(places.free(folder), path.stat().st_size, f"unpacking {path.name}")
    with _reading(path) as stream:
        reader = archive.Reader(stream, path.name)
        metadata = reader.metadata()
        # Problems that the metadata shows are reported before anything is unpacked. A verification takes
        # any project's archive: it changes nothing.
        if purpose == "restore":
            _refuse_foreign(path.name, metadata, project)
        _refuse_newer_server(path.name, metadata)
        reader.members(metadata, folder)
    (folder / archive.METADATA).write_text(json.dumps(metadata))
    for part in parts.held(metadata):
        with (folder / part.member).open("rb") as stream:
            found = parts.unpack(part, stream, path.name)
        if metadata[part.name] | found != metadata[part.name]:
            raise damaged(path.name, f"its {part.name} are not those its metadata count")
    return metadata


@contextlib.contextmanager
def _reading(path):
    try:
        with encryption.opened(path) if path.suffix == ".gpg" else path.open("rb") as stream:
            yield stream
    except PermissionError:
        raise BackupError(
            "SLIP-094", f"{path.name} cannot be read", f"chown it to {os.getuid()}, which reads backups"
        ) from None


def _refuse_foreign(name, metadata, project):
    if metadata.get("project") != project:
        raise BackupError(
            "SLIP-096",
            f"{name} is a backup of {metadata.get('project')}, and this is {os.environ['BACKUP_PROJECT']}",
            f"if that is what you want: --from-project {metadata.get('project')}",
        )
    if archive.DATABASE in metadata["members"] and not database.present():
        raise BackupError(
            "SLIP-096",
            f"{name} holds a database, and this stack has none of its own (DATABASE=none)",
            "unpack it by hand: docs/backups.md describes how",
        )
    if missing := sorted(set(archive.extra_databases(metadata)) - set(database.extra_names())):
        raise BackupError(
            "SLIP-143",
            f"{name} holds databases that this stack does not have: {', '.join(missing)}",
            "name them in EXTRA_DATABASES, invoke up, and restore again",
        )
    # In development the files are the user's own, in the project's folder.
    if parts.DATA in parts.held(metadata) and parts.DATA not in parts.present() and places.stack() == "prod":
        raise BackupError(
            "SLIP-159",
            f"{name} holds what DATA_PATHS keeps, and this stack has no DATA_PATHS",
            "set DATA_PATHS as it was, invoke up --prod, and restore again",
        )


def _refuse_newer_server(name, metadata):
    if archive.DATABASE not in metadata["members"]:
        return
    said = subprocess.run(["pg_restore", "--version"], capture_output=True, text=True, check=True).stdout
    ours = int(re.search(r"\d+", said)[0])
    theirs = metadata["postgresql"]["version_num"] // 10_000
    if theirs > ours:
        raise BackupError(
            "SLIP-097",
            f"{name} is of PostgreSQL {theirs}, and this is PostgreSQL {ours}: it only reads older ones",
            f"upgrade the database to {theirs} first",
        )
