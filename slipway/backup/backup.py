"""Make and list backups; docker/backup does the work, in a container."""

from __future__ import annotations

import json
import re
from typing import Any

from slipway.backup import backupstore, restorejournal
from slipway.backup.backupservice import ask, prepare, require_database
from slipway.core.errors import SlipwayError
from slipway.core.output import human_size, note, rows
from slipway.orchestrators.session import Session
from slipway.state import deploylock

__all__ = ["listed", "make", "show", "write"]


def make(session: Session, label: str, *, as_json: bool = False) -> None:
    """Write an archive of database, media and DATA_PATHS, print its name, and copy production's to the store.

    Raises ``SlipwayError`` SLIP-006 for a label that cannot be part of a file name, SLIP-103 when the
    database does not run; ``Exit`` when the archive could not be made or copied: the container has said why.
    """
    if label and not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", label):
        raise SlipwayError(
            "SLIP-006",
            f"--label is not letters, digits, - and _, at most 40: {label!r}",
            "for example: --label before-import",
        )
    require_database(session)
    prepare(session)
    if restorejournal.pending(session):
        with deploylock.held(session.settings.root, "db.backup"):
            restorejournal.recover(session)
    made = write(session, label)
    if session.runner.dry:
        return
    print(json.dumps(made, indent=2) if as_json else made["name"], flush=True)
    if session.stack.prod and session.settings.backup_s3_bucket:
        backupstore.copy(session, made["name"])


def write(session: Session, label: str) -> Any:
    """Write the archive; return its metadata with its ``name``. Raises ``Exit`` as ``make`` does."""
    return ask(session, "backup", ["make", *([label] if label else [])])


def show(session: Session, *, remote: bool, as_json: bool) -> None:
    """Print the archives and dumps, newest first; with ``remote`` the archives in the store instead."""
    if remote:
        backupstore.show(session, as_json=as_json)
        return
    prepare(session)
    found = listed(session)
    if session.runner.dry:
        return
    if not as_json:
        for entry in found:
            if entry["problem"]:
                note(f"{entry['name']}: {entry['problem']}")
            entry["size"] = human_size(entry["size"])
            entry["encrypted"] = "yes" if entry["encrypted"] else ""
    rows(found, ("name", "time", "size", "release", "kind", "encrypted", "verified"), as_json=as_json)


def listed(session: Session) -> list[dict[str, Any]]:
    """Return what ``show`` prints, with ``stack``, ``project`` and ``problem`` of each."""
    found: list[dict[str, Any]] = ask(session, "backup", ["list"])
    return found
