"""The journal of a running restore, by which a killed one is finished or reverted."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.backup.backupservice import ask, folder, require_database
from slipway.config.settings import write_if_changed
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.orchestrators.session import Session
from slipway.postgres import database
from slipway.services import extracontainers, front, maintenance, migrations, replicas

__all__ = ["Journal", "begin", "pending", "recover", "settle"]


@dataclass(frozen=True)
class Journal:
    """One restore: its source, and the state that it found."""

    name: str
    oid: str
    """The database that served before (its oid); empty when none is restored."""
    migrations: tuple[str, ...]
    """The migrations that were applied in it."""
    media: bool
    """Whether media are restored."""
    closed: bool
    """Whether the restore closes the site, and so reopens it."""
    committed: bool = False
    """Without a database: whether to exchange the media. With one, its oid decides."""
    exchanged: bool = False
    """Whether the new media are all in place."""
    processes: tuple[str, ...] = ()
    """The containers of workers and other processes that the restore stops, and so starts again."""
    data: bool = False
    """Whether what DATA_PATHS keeps is restored."""
    web: tuple[str, ...] = ()
    """With ``data``, the containers of web, which the restore stops and starts again: SQLite finds its
    journal by the database's file name, so no process may have the file open while it is replaced."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the folders that are restored, as ``docker/backup/parts.py`` has them."""
        return (("media",) if self.media else ()) + (("data",) if self.data else ())


def begin(session: Session, journal: Journal) -> None:
    """Write ``journal``, before the first step that may have to be undone."""
    write_if_changed(_path(session), json.dumps(dataclasses.asdict(journal)))


def pending(session: Session) -> bool:
    """Whether files of a running or interrupted restore exist."""
    return _path(session).exists() or _work(session).exists()


def recover(session: Session) -> None:
    """Finish or revert an interrupted restore, all of it. The caller holds the lock.

    Raises ``SlipwayError`` SLIP-103 when the database does not run, and what ``settle`` raises.
    """
    path = _path(session)
    if not path.exists():
        shutil.rmtree(_work(session), ignore_errors=True)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    journal = Journal(**{**found, **lists})
    note(f"== finishing or reverting an interrupted restore of {journal.name}")
    require_database(session)
    taken = settle(session, journal)
    note(f"== {journal.name} {'has been restored' if taken else 'was not restored: nothing has changed'}")


def settle(session: Session, journal: Journal) -> bool:
    """Finish the restore if the databases have changed names, else revert it; return whether they had.

    It can be repeated after any failure. Raises ``SlipwayError`` SLIP-101 when media could not be exchanged,
    SLIP-060 when the server does not answer: the site stays closed.
    """
    taken = database.settled(session) != journal.oid if journal.oid else journal.committed
    if taken and journal.parts and not journal.exchanged:
        if journal.data:
            # A reboot may have started them.
            extracontainers.stop(session)
            replicas.stop(session, [c.id for c in _web(session) if c.state == "running"])
        for part in journal.parts:
            ask(session, "restore-media", ["swap", part])
        # "discard" below removes the staged files, so a repeated run could not swap them.
        journal = replace(journal, exchanged=True)
        begin(session, journal)
    if taken and (journal.oid or journal.data):
        fits = _fits(session, journal)
    else:
        stopped = [c for c in _web(session) if c.id in journal.web and c.state != "running"]
        fits = not stopped or _restart_web(session, stopped, wait=True)
    if journal.closed and fits:
        maintenance.reopen(session)
    elif (
        session.stack.prod
        and engine.running(session.stack.project, "nginx")
        and maintenance.is_closed(session)
    ):
        note("the site is closed; to open it: invoke maintenance off --prod")
    if fits or not session.stack.prod:
        extracontainers.wake(session, journal.processes)
    elif journal.processes:
        names = ",".join(c.service for c in extracontainers.containers(session.stack))
        note(f"{names} stay stopped until that is done; then: invoke start --services {names} --prod")
    for part in journal.parts:
        ask(session, "restore-media", ["discard", part])
    shutil.rmtree(_work(session), ignore_errors=True)
    _path(session).unlink()
    return taken


def _fits(session: Session, journal: Journal) -> bool:
    """Report migrations on which code and restored database differ; return whether they agree."""
    prod = " --prod" if session.stack.prod else ""
    agree = False
    try:
        plan = migrations.planned(session, session.stack)
        # Removed apps leave records, which the previous database had too: those do no harm.
        more = set(ask(session, "backup", ["applied"])) - plan.keys() - set(journal.migrations)
    except SlipwayError as silent:
        note(f"cannot read the migrations of the code here: {silent}")
    else:
        missing = [name for name, is_applied in plan.items() if not is_applied]
        agree = not (missing or more)
        if missing:
            note(f"the restored database lacks migrations: {', '.join(missing)}\n  fix: invoke migrate{prod}")
        if more:
            note(
                "the restored database has migrations that the code here does not have: "
                f"{', '.join(sorted(more))}\n"
                "  fix: deploy, or roll back to, the release that the backup was made of"
            )
    web = [c for c in _web(session) if c.state == "running" or c.id in journal.web]
    return _restart_web(session, web, wait=agree) and agree


def _web(session: Session) -> list[ContainerState]:
    return [c for c in engine.containers(session.stack.project) if c.service == "web"]


def _restart_web(session: Session, web: Sequence[ContainerState], *, wait: bool) -> bool:
    """Restart these containers of web; return whether they become ready, if ``wait`` is set."""
    stack = session.stack
    replicas.restart(session, [container.id for container in web])
    try:
        if wait:
            replicas.wait_ready(session, web)
        if wait and web and stack.prod and engine.running(stack.project, "nginx"):
            front.wait_for_peers(session, replicas.addresses(stack, web))
    except SlipwayError as unwell:
        note(str(unwell))
        return False
    return True


def _work(session: Session) -> Path:
    return folder(session.settings) / ".work" / "restore"


def _path(session: Session) -> Path:
    return session.settings.root / ".slipway" / f"restore-{session.stack.project}.json"
