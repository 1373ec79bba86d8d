"""Remove backups that retention does not keep."""

from __future__ import annotations

import shutil
from pathlib import Path

from slipway.backup import restorejournal
from slipway.backup.backup import listed
from slipway.backup.backupservice import ask, folder, prepare
from slipway.backup.backupverify import LOCK
from slipway.core.consent import require_consent
from slipway.core.output import human_size, note, rows
from slipway.orchestrators.session import Session
from slipway.postgres import database
from slipway.state import deploylock, releases

__all__ = ["prune"]


def prune(session: Session, *, yes: bool, as_json: bool) -> None:
    """Show, then remove, archives that BACKUP_KEEP_* do not keep, and dumps of releases no longer kept.

    Files left by killed runs are removed too. Raises ``SlipwayError`` SLIP-069 without consent, SLIP-077
    while a deploy, a restore or a verification runs.
    """
    settings, runner = session.settings, session.runner
    if runner.dry:
        ask(session, "backup", ["expired"])
        ask(session, "backup", ["prune", "NAME"])
        return
    with deploylock.held(settings.root, "db.prune"), deploylock.held(settings.root, "db.prune", LOCK):
        prepare(session)
        restorejournal.recover(session)
        archives: list[str] = ask(session, "backup", ["expired"])
        dumps = _old_dumps(session) if session.stack.prod else []
        leftovers = _leftovers(folder(settings))
        going = {*archives, *dumps}
        shown = [entry for entry in listed(session) if entry["name"] in going]
        if as_json:
            rows(shown, ("name",), as_json=True)
        elif shown:
            data = [{**entry, "size": human_size(entry["size"])} for entry in shown]
            rows(data, ("name", "time", "size", "release", "kind"), as_json=False)
        if not shown and not leftovers:
            note("nothing to remove: retention keeps every backup")
            return
        if shown:
            require_consent(f"Remove these {len(shown)}?", yes)
        # Also without a name: it removes unfinished archives of killed runs.
        ask(session, "backup", ["prune", *archives])
        paths = [folder(settings) / name for name in dumps]
        for path in [*paths, *(p for dump in paths for p in database.beside(dump).values()), *leftovers]:
            if path.is_file():
                path.unlink()
            # "make" was cleared above, under its lock: the schedule may be using it again.
            elif path.name != "make":
                shutil.rmtree(path, ignore_errors=True)


def _old_dumps(session: Session) -> list[str]:
    """Return the dumps that no ledger entry of the last KEEP_RELEASES live releases names."""
    settings = session.settings
    entries = releases.read(settings.root)
    ids = list(dict.fromkeys(entry.id for entry in reversed(entries) if entry.result == "live"))
    kept = set(ids[: settings.keep_releases])
    named = {Path(entry.backup).name for entry in entries if entry.id in kept and entry.backup}
    return sorted(path.name for path in folder(settings).glob("*-before-*.dump") if path.name not in named)


def _leftovers(where: Path) -> list[Path]:
    """Return what killed deploys, restores and verifications left: the held locks show that none runs."""
    work = where / ".work"
    return [
        *where.glob("*.dump.part"),
        *where.glob("*.dump.*.part"),
        *(path for path in work.glob("*") if path.name in {"restore", "verify", "make"}),
    ]
