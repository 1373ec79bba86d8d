"""Verify a backup by restoring it into throw-away containers."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.backup.backupservice import ask, folder, prepare
from slipway.core.errors import SlipwayError
from slipway.core.output import note, rows
from slipway.core.run import Terminated, terminated_as_interrupted
from slipway.orchestrators.session import Session
from slipway.state import deploylock

__all__ = ["LOCK", "verify"]

LOCK = "verify"


def verify(session: Session, name: str, *, as_json: bool) -> None:
    """Restore the archive ``name`` into throw-away containers, compare with its metadata, print the result.

    Raises ``SlipwayError``: SLIP-102 when something differs, SLIP-094 for a dump, SLIP-077 while another
    verification runs; ``Exit`` for what the container refuses and explains.
    """
    if name.endswith(".dump"):
        raise SlipwayError(
            "SLIP-094",
            f"{name} is a deploy's dump: it has no metadata to compare with",
            "invoke db.backup makes an archive, which can be verified",
        )
    settings = session.settings
    command = ["unpack", Path(name).name, "verify"]
    if session.runner.dry:
        ask(session, "backup", command)
        ask(session, "verify", ["verify"])
        return
    with deploylock.held(settings.root, "db.verify", LOCK), terminated_as_interrupted(Terminated):
        prepare(session)
        try:
            archive = ask(session, "backup", command)["archive"]
            found = ask(session, "verify", ["verify"])["rows"]
        finally:
            shutil.rmtree(folder(settings) / ".work" / "verify", ignore_errors=True)
    _print_result(archive, found, as_json=as_json)
    differing = [row["what"] for row in found if not row["same"]]
    if differing:
        raise SlipwayError(
            "SLIP-102",
            f"{archive['name']} differs once restored: {', '.join(differing)}",
            "do not rely on it: make another backup and verify that one",
        )
    _record(folder(settings), archive["name"])


def _print_result(archive: dict[str, Any], found: list[dict[str, Any]], *, as_json: bool) -> None:
    shown = found if as_json else [{name: _cell(value) for name, value in row.items()} for row in found]
    rows(shown, ("what", "expected", "found", "same"), as_json=as_json)
    note(f"{archive['name']}: made {archive['created']}, of release {archive['release']}")


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{len(value)} applied" if isinstance(value, list) else value


def _record(where: Path, name: str) -> None:
    """Record the archive with its size and mtime, which identify it should another file get its name."""
    state = (where / name).stat()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"name": name, "size": state.st_size, "mtime_ns": state.st_mtime_ns, "time": now}
    with (where / "verified.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
