"""The ledger of releases: one JSON line each in ``.slipway/releases.jsonl``, which tasks only append to."""

from __future__ import annotations

import dataclasses
import getpass
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.output import rows

__all__ = ["Release", "append", "backup_before", "live", "newest_before", "read", "show", "who"]

LEDGER = Path(".slipway/releases.jsonl")


@dataclass(frozen=True)
class Release:
    """One deploy or rollback: its release, its time (UTC, ISO 8601), who ran it, how it ended."""

    id: str
    image: str
    """The image's id (sha256 digest of its configuration)."""
    result: str
    """``live`` if traffic was switched to it, ``failed`` if the release before it kept serving."""
    kind: str = "deploy"
    """``deploy``, ``rollback``, or ``up`` for a start that changed the release."""
    migrations: tuple[str, ...] = ()
    """The migrations that this deploy applied, as ``app.name``."""
    schema: tuple[str, ...] = ()
    """Every migration that was applied when this release started to serve."""
    step: str = ""
    """The step that failed."""
    backup: str = ""
    """The dump that this deploy made before any migration; relative to the kit's folder."""
    time: str = ""
    who: str = ""


def read(root: Path) -> list[Release]:
    """Every entry, oldest first; a line cut short by a crash is skipped."""
    path = root / LEDGER
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        lists = {name: tuple(entry[name]) for name in ("migrations", "schema")}
        found.append(Release(**{**entry, **lists}))
    return found


def who() -> str:
    """The person and the machine, as the ledger and the lock name them."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def append(root: Path, release: Release) -> None:
    """Append ``release`` with the current time and the person."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = dataclasses.asdict(dataclasses.replace(release, time=now, who=who()))
    path = root / LEDGER
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(entry) + "\n")


def show(root: Path, *, as_json: bool) -> None:
    """Print the ledger of the checkout at ``root``, newest first."""
    data = [
        {
            "release": entry.id,
            "time": entry.time,
            "kind": entry.kind,
            "result": f"{entry.result}: {entry.step}" if entry.step else entry.result,
            "migrations": entry.migrations,
            "who": entry.who,
            "image": entry.image,
            "backup": entry.backup,
        }
        for entry in reversed(read(root))
    ]
    rows(data, ("release", "time", "kind", "result", "migrations", "who"), as_json=as_json)


def live(entries: Sequence[Release]) -> Release | None:
    """The entry that was switched to last."""
    return next((entry for entry in reversed(entries) if entry.result == "live"), None)


def newest_before(entries: Sequence[Release], current: str, wanted: str = "") -> Release:
    """The release to roll back to: ``wanted``, else the one that was live before ``current``.

    Raises ``SlipwayError`` SLIP-082 when there is none.
    """
    for entry in reversed(entries):
        if entry.result == "live" and entry.id != current and wanted in {"", entry.id}:
            return entry
    what = f"release {wanted!r}" if wanted else "earlier release"
    raise SlipwayError("SLIP-082", f"there is no {what} in the ledger", "invoke releases --prod lists them")


def backup_before(entries: Sequence[Release], target: Release) -> str:
    """The first dump made after ``target`` went live: the database as that release left it; or empty."""
    after = entries[max(i for i, entry in enumerate(entries) if entry is target) + 1 :]
    return next((entry.backup for entry in after if entry.backup), "")
