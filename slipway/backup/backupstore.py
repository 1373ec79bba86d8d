"""Copies of backups in an S3-compatible store; docker/backup/store.py does the work, in a container."""

from __future__ import annotations

from typing import Any

from invoke.exceptions import Exit

from slipway.backup.backupservice import ask, prepare
from slipway.core.errors import SlipwayError
from slipway.core.output import human_size, note, rows
from slipway.orchestrators import init
from slipway.orchestrators.session import Session

__all__ = ["copy", "fetch", "show"]


def copy(session: Session, name: str) -> None:
    """Copy the archive ``name`` to the store. Raises ``Exit`` when it failed: the container has said why."""
    try:
        ask(session, "backup", ["copy", name])
    except Exit:
        later = "; the schedule will retry" if session.stack.scheduled else ""
        note(f"{name} is in BACKUP_DIR but not in the store{later}")
        raise


def show(session: Session, *, as_json: bool) -> None:
    """Print the archives in the store, newest first. Raises ``SlipwayError`` SLIP-113 without a store."""
    _require(session)
    prepare(session)
    found: list[dict[str, Any]] = ask(session, "backup", ["remote"])
    if session.runner.dry:
        return
    if not as_json:
        for entry in found:
            entry["size"] = human_size(entry["size"])
            entry |= {name: "yes" if entry[name] else "" for name in ("encrypted", "here")}
    rows(found, ("name", "time", "size", "kind", "encrypted", "here"), as_json=as_json)


def fetch(session: Session, name: str) -> None:
    """Bring the archive ``name`` from the store into BACKUP_DIR, checked, and print its full name.

    Raises ``SlipwayError`` SLIP-113 without a store; ``Exit`` when it failed, with the container's message.
    """
    _require(session)
    prepare(session)
    fetched = ask(session, "backup", ["fetch", name])
    if not session.runner.dry:
        print(fetched["name"])


def _require(session: Session) -> None:
    if session.runner.dry:
        return
    if not session.settings.backup_s3_bucket:
        raise SlipwayError(
            "SLIP-113",
            "there is no store for copies of backups: BACKUP_S3_BUCKET is empty",
            "set the variables that docs/backups.md describes",
        )
    init.check(session.settings, session.stack.prod)
