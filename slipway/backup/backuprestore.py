"""Replace the present database, media and DATA_PATHS with a backup."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from slipway.backup import restorejournal
from slipway.backup.backup import write
from slipway.backup.backupservice import ask, folder, prepare, require_database
from slipway.backup.restorejournal import Journal
from slipway.core.consent import require_consent
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import Terminated, terminated_as_interrupted, uninterrupted
from slipway.engine import engine
from slipway.orchestrators.session import Session
from slipway.postgres import database
from slipway.services import extracontainers, front, maintenance, replicas
from slipway.state import deploylock

__all__ = ["Part", "Source", "alone", "exchange", "restore", "workplace"]


@dataclass(frozen=True)
class Part:
    """The tar file of ``media`` or ``data``, compressed or not, and how many files and bytes it holds."""

    name: str
    packed: Path
    files: int
    size: int


@dataclass(frozen=True)
class Source:
    """A checked backup to restore, and where its parts are."""

    name: str
    made: str
    dump: Path | None
    parts: tuple[Part, ...] = ()
    extra: Mapping[str, Path] = field(default_factory=dict)
    """The dumps of EXTRA_DATABASES, by name."""
    migrations: tuple[str, ...] = ()
    """The migrations that are applied in the present database."""
    roles: frozenset[str] | None = None
    """The roles that a dump in plain SQL names; None for a dump that pg_restore reads."""


def restore(session: Session, name: str, *, from_project: str, yes: bool) -> None:
    """Replace the present data with the backup ``name``, an archive or a deploy's dump.

    ``from_project`` names another Compose project whose archive is accepted; empty: only this one's own.
    Raises ``SlipwayError``: SLIP-077 while a deploy or another restore runs, SLIP-094 when there is no such
    backup, SLIP-069 without consent, SLIP-103 when the database does not run, SLIP-101 when the restore
    could not be finished, and what ``database.restore`` raises. Raises ``Exit`` for what the container
    refuses and explains (SLIP-095 to SLIP-099). After every error but SLIP-101 nothing has changed.
    """
    if session.runner.dry:
        _plan(session, name)
        return
    with alone(session, "db.restore"):
        source = _open(session, name, from_project)
        _announce(session, source)
        require_consent("Everything stored since then is lost (a backup of it is made first). Go on?", yes)
        exchange(session, source)
    print(f"{session.stack.project}: {source.name} has been restored")


@contextmanager
def alone(session: Session, task: str) -> Iterator[None]:
    """Lock out deploys and other restores while the body calls ``exchange``; first finish an interrupted one.

    Raises ``SlipwayError``: SLIP-077 while another runs, SLIP-103 when the database does not run.
    """
    with deploylock.held(session.settings.root, task), terminated_as_interrupted(Terminated):
        require_database(session)
        prepare(session)
        restorejournal.recover(session)
        try:
            yield
        finally:
            shutil.rmtree(workplace(session), ignore_errors=True)


def _open(session: Session, name: str, from_project: str) -> Source:
    """Check the whole backup; the decrypted and unpacked files are kept for the restore."""
    path = folder(session.settings) / Path(name).name
    if name.endswith(".dump"):
        if not path.is_file():
            raise SlipwayError("SLIP-094", f"there is no dump {path}", "invoke db.backups lists the backups")
        if session.settings.database != "postgres":
            raise SlipwayError(
                "SLIP-096", f"{path.name} is a database, and this stack has none", "DATABASE=none in .env"
            )
        applied = ask(session, "backup", ["applied"])
        made, extra = path.name.split("-")[0], database.beside(path)
        return Source(path.name, made, path, (), extra, migrations=tuple(applied))
    found = ask(session, "backup", ["unpack", path.name, "restore", from_project])
    archive, members = found["archive"], found["archive"]["members"]
    return Source(
        name=archive["name"],
        made=f"{archive['created']}, of release {archive['release']} of {archive['project']}",
        dump=workplace(session) / "database.dump" if "database.dump" in members else None,
        parts=tuple(_part(session, name, archive[name]) for name in _restored(session, members)),
        extra={n: workplace(session) / f"database-{n}.dump" for n in archive.get("extra_databases", {})},
        migrations=tuple(found["migrations"]),
    )


def _restored(session: Session, members: Mapping[str, Any]) -> list[str]:
    """Return the names of the folders to restore from an archive with these ``members``."""
    held = [name for name in ("media", "data") if _packed(name) in members]
    if "data" in held and not session.stack.keeps_data:
        note("Its DATA_PATHS files are not restored: in development they are in your folder.")
        held.remove("data")
    return held


def _part(session: Session, name: str, facts: Mapping[str, int]) -> Part:
    return Part(name, workplace(session) / _packed(name), facts["files"], facts["bytes"])


def _packed(name: str) -> str:
    return f"{name}.tar.zst"


def _announce(session: Session, source: Source) -> None:
    note(f"{source.name} is whole. It was made {source.made}.")
    names = [part.name for part in source.parts]
    if not names:
        note("It is a dump of the database: media are not changed.")
    elif source.dump is None and session.settings.database == "postgres":
        note("It holds no database: the present one is not changed.")
    if session.stack.keeps_data and "data" not in names:
        note("It does not hold what DATA_PATHS keeps, which stays as it is.")
    if source.dump and (others := sorted(set(session.settings.extra_databases) - source.extra.keys())):
        note(f"It does not hold {', '.join(others)}, which stays as it is.")


def exchange(session: Session, source: Source, label: str = "before-restore") -> None:
    """Replace the present data with ``source``, after making a backup of it with ``label``.

    Call it only inside ``alone``. Raises what ``restore`` does.
    """
    stack = session.stack
    serves = stack.prod and engine.running(stack.project, "nginx")
    names = [part.name for part in source.parts]
    web = [c.id for c in engine.containers(stack.project) if c.service == "web" and c.state == "running"]
    journal = Journal(
        name=source.name,
        oid=database.settled(session) if source.dump else "",
        migrations=source.migrations,
        media="media" in names,
        closed=serves and not maintenance.is_closed(session),
        processes=tuple(c.id for c in extracontainers.containers(stack, running=True)),
        data="data" in names,
        web=tuple(web) if "data" in names else (),
    )
    restorejournal.begin(session, journal)
    with ExitStack() as at_end:
        # Also after an error or an interrupt: it checks which database serves, and finishes or reverts.
        at_end.callback(lambda: _settle(session, journal))
        for part in source.parts:
            receive = ["receive", part.name, str(part.files), str(part.size)]
            ask(session, "restore-media", receive, stdin=part.packed)
        if journal.closed:
            maintenance.close(session)
        if serves:
            # Finish requests in flight first: what they store belongs in the backup.
            front.rest(session)
            front.drain(session)
        # Workers would go on writing into data that is being replaced.
        extracontainers.stop(session)
        replicas.stop(session, journal.web)
        write(session, label)
        if source.dump:
            database.restore(session, source.dump, source.extra, roles=source.roles)
        else:
            journal = replace(journal, committed=True)
            restorejournal.begin(session, journal)


def _settle(session: Session, journal: Journal) -> None:
    try:
        with uninterrupted():
            restorejournal.settle(session, journal)
    except BaseException:
        note(
            "the restore is not finished, and the site may be closed: "
            "the next db.backup or db.restore finishes or reverts it"
        )
        raise


def workplace(session: Session) -> Path:
    """Return the folder on the host that holds the parts during a restore."""
    return folder(session.settings) / ".work" / "restore"


def _plan(session: Session, name: str) -> None:
    """Print the commands."""
    work = workplace(session)
    ask(session, "backup", ["unpack", name, "restore"])
    names = ["media", *(["data"] if session.stack.keeps_data else [])]
    for part in names:
        receive = ["receive", part, "FILES", "BYTES"]
        ask(session, "restore-media", receive, stdin=work / _packed(part))
    if session.stack.prod:
        maintenance.close(session)
    write(session, "before-restore")
    if session.settings.database == "postgres":
        database.restore(session, work / "database.dump")
    for part in names:
        ask(session, "restore-media", ["swap", part])
    if session.stack.prod:
        maintenance.reopen(session)
