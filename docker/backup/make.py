"""Making an archive."""

import contextlib
import os
import time
from datetime import UTC, datetime

import archive
import database
import encryption
import parts
import places
from failure import BackupError, full_disk_reported, require_space
from places import say


def make(label=""):
    """Make an archive of this stack; returns its name and its metadata. ``label`` may be empty."""
    with places.workplace("make") as folder, full_disk_reported("a backup was written"):
        begun = time.monotonic()
        try:
            encrypted = encryption.wanted()
            metadata, files = _gather(folder)
            draft = folder / "archive"
            _write(draft, metadata, files, encrypted)
            name = _put(draft, label, encrypted)
        finally:
            places.clear("make")
    say(f"{name}: {(places.BACKUPS / name).stat().st_size} bytes, after {time.monotonic() - begun:.1f} s")
    return {"name": name, **metadata}


def _gather(folder):
    """Write the archive's members to separate files: in the archive their checksums come first."""
    metadata = {
        "format": archive.FORMAT,
        "writer": archive.WRITER,
        "project": os.environ["BACKUP_PROJECT"],
        "release": places.release(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "members": {},
    }
    files = {}
    if database.present():
        _dump(folder, metadata, files)
    else:
        _check_space(0)
    # After the database: every file that it refers to already exists, unless it was removed since.
    for part in parts.present():
        say(f"packing {part.name}")
        files[part.member] = folder / part.member
        metadata[part.name] = parts.pack(part, files[part.member])
    if archive.DATA in files:
        metadata["format"] = archive.FORMAT_WITH_DATA
    metadata["members"] = {
        name: {"size": path.stat().st_size, "sha256": archive.digest(path)} for name, path in files.items()
    }
    return metadata, files


def _dump(folder, metadata, files):
    """Dump the databases into ``folder``, and enter what they hold into ``metadata`` and ``files``."""
    with contextlib.ExitStack() as stack:
        snapshot = stack.enter_context(database.Snapshot(alone=True))
        # A database that no `up` has created yet is left out. All are seen at about the same moment.
        extra = {
            name: stack.enter_context(database.Snapshot(alone=True, name=name))
            for name in snapshot.existing(database.extra_names())
        }
        metadata["database_bytes"] = sum(one.size() for one in (snapshot, *extra.values()))
        _check_space(metadata["database_bytes"])
        say("counting rows")
        metadata |= snapshot.facts()
        if extra:
            metadata["format"] = archive.FORMAT_WITH_EXTRA
            metadata["extra_databases"] = {name: one.facts() for name, one in extra.items()}
        say("dumping the database")
        files[archive.DATABASE] = folder / archive.DATABASE
        snapshot.dump(files[archive.DATABASE])
        for name, one in extra.items():
            say(f"dumping the database {name}")
            files[archive.extra_member(name)] = folder / archive.extra_member(name)
            one.dump(files[archive.extra_member(name)])


def _check_space(database_bytes):
    # For a moment files exist twice, packed, and packed in the archive. So does the dump; but it is
    # compressed and has no indexes, and is rarely half as large as the database. SQLite databases are
    # also copied, one at a time.
    needed = database_bytes + sum(
        (3 if part is parts.DATA else 2) * parts.size(part.root) for part in parts.present()
    )
    require_space(places.free(places.BACKUPS), needed, "a backup")


def _write(draft, metadata, files, encrypted):
    if encrypted:
        say("encrypting")
        with encryption.sealed(draft) as sink:
            archive.write(sink, metadata, files)
    else:
        with draft.open("xb") as sink:
            archive.write(sink, metadata, files)
    draft.chmod(0o600)


def _put(draft, label, encrypted):
    """Give the complete archive its name; a power cut leaves all of it or none."""
    places.sync(draft)
    while True:
        stamp = datetime.now(UTC).strftime(places.STAMP)
        name = "-".join(filter(None, (stamp, places.stack(), label)))
        name += ".tar.gpg" if encrypted else ".tar"
        if not places.ARCHIVE.fullmatch(name):
            raise BackupError(
                "SLIP-100", f"{label!r} cannot be in a file's name", "letters, digits, - and _, at most 40"
            )
        try:
            # Not a rename, which would replace another one of the same second.
            os.link(draft, places.BACKUPS / name)
        except FileExistsError:
            time.sleep(0.1)
            continue
        draft.unlink()
        places.sync(places.BACKUPS)
        return name
