"""Switch back to a kept release, in the way of a deploy, and handle the migrations applied since."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from slipway.core.consent import require_consent
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine
from slipway.orchestrators.session import Session
from slipway.postgres import database
from slipway.release import switchover
from slipway.release.deploy import back_up, migrate, require_running
from slipway.release.switchover import Step, Switchover
from slipway.services import front, migrations
from slipway.services.maintenance import close, is_closed, reopen
from slipway.services.migrations import Reversal
from slipway.state import deploylock, releases
from slipway.state.releases import Release

__all__ = ["Database", "rollback"]


class Database(enum.Enum):
    """How to handle migrations that were applied since."""

    UNDECIDED = ""
    KEEP_SCHEMA = "--keep-schema"
    MIGRATE_BACK = "--migrate-back"
    RESTORE_BACKUP = "--restore-backup"


def chosen(*, keep_schema: bool, migrate_back: bool, restore_backup: bool) -> Database:
    """Return the one flag that was given. Raises ``SlipwayError`` SLIP-083 for two."""
    flags = {
        Database.KEEP_SCHEMA: keep_schema,
        Database.MIGRATE_BACK: migrate_back,
        Database.RESTORE_BACKUP: restore_backup,
    }
    given = [choice for choice, is_set in flags.items() if is_set]
    if len(given) > 1:
        raise SlipwayError(
            "SLIP-083", f"{given[0].value} and {given[1].value} exclude each other", "give one of them"
        )
    return given[0] if given else Database.UNDECIDED


def rollback(session: Session, *, release: str, choice: Database, yes: bool) -> None:
    """Switch back to a kept release, by default the one that was live before.

    Raises ``SlipwayError``: SLIP-082 when there is no such release or an image of it is missing; SLIP-083
    when migrations lie between and ``choice`` is undecided; SLIP-088 or SLIP-089 when the choice is not
    possible; SLIP-069 without consent to a restore; and what ``Switchover.run`` raises.
    """
    settings = session.settings
    if session.runner.dry:
        switchover.plan(session, release or "RELEASE")
        return
    with deploylock.held(settings.root, "rollback"):
        require_running(session)
        entries = releases.read(settings.root)
        live = front.live(session)
        serving = session.stack.for_release(live)
        target = releases.newest_before(entries, live, release)
        work = Switchover(session, target.id, live, "rollback")
        _require_images(work)
        applied = migrations.applied(session, serving)
        between = sorted(applied - set(target.schema))
        before: list[Step] = [
            ("publish nginx configuration", lambda: work.one_shot("nginx-configuration")),
            ("publish static files", lambda: work.one_shot("static")),
        ]
        after: list[Step] = []
        if choice is Database.RESTORE_BACKUP:
            before += _restoring(work, releases.backup_before(entries, target), yes)
        elif between:
            reversals = migrations.how_they_reverse(session, serving, between)
            _require_decision(target, reversals, choice)
            if choice is Database.MIGRATE_BACK:
                after.append(("migrate back", lambda: _migrate_back(work, between)))
        # The ledger names the dump that a restore makes of the state before it.
        if choice is not Database.RESTORE_BACKUP and set(target.schema) - applied:
            # Forward again after a rollback: the target has migrations that the database lacks.
            before.append(("back up", lambda: back_up(work)))
        # Last, when everything else is ready. Usually there is nothing to apply.
        before.append(("migrate", lambda: migrate(work)))
        work.run(before, after)


def _require_decision(target: Release, reversals: Sequence[Reversal], choice: Database) -> None:
    if choice is Database.KEEP_SCHEMA:
        return
    for one in reversals:
        note(f"  {one.name}: {one.verdict}" + (f": {one.detail}" if one.detail else ""))
    if choice is Database.UNDECIDED:
        raise SlipwayError(
            "SLIP-083",
            f"migrations were applied after {target.id}; above is whether each can be reversed: "
            + ", ".join(one.name for one in reversals),
            "--keep-schema if its code runs on the present schema; --migrate-back to reverse them once it "
            "serves; --restore-backup to lose what was stored since; or deploy a corrected version",
        )
    impossible = [one.name for one in reversals if not one.possible]
    if impossible:
        raise SlipwayError(
            "SLIP-088",
            f"these migrations cannot be reversed: {', '.join(impossible)}",
            "--keep-schema, or --restore-backup",
        )


def _migrate_back(work: Switchover, names: Sequence[str]) -> None:
    """Reverse with the newer release's image, which alone has these migrations; it no longer serves."""
    newer = work.session.stack.for_release(work.previous)
    migrations.migrate_back(work.session, newer, names)
    work.schema = tuple(sorted(migrations.applied(work.session, work.stack)))


def _restoring(work: Switchover, backup: str, yes: bool) -> list[Step]:
    session = work.session
    dump = session.settings.root / backup
    if not backup or not dump.is_file():
        raise SlipwayError(
            "SLIP-089",
            f"there is no dump from before the deploy that followed {work.release}"
            + (f": {backup} is missing" if backup else ""),
            "--keep-schema or --migrate-back; or put the file back",
        )
    require_consent(f"Everything stored since {backup} is lost (a dump of it is made first). Go on?", yes)

    def close_site() -> None:
        if not is_closed(session):
            close(session)
            work.undo.append(lambda: reopen(session))
            work.finally_.append(lambda: reopen(session))
        # Finish requests in flight first: what they store belongs in the dump.
        front.rest(session)
        front.drain(session)
        # The data that workers store while they finish belongs in it too.
        work.processes.stop()

    def restore() -> None:
        safety = session.settings.root / work.backup
        extra = database.beside(dump)
        if others := sorted(set(session.settings.extra_databases) - extra.keys()):
            note(f"{backup} was made before there was {', '.join(others)}, which is not changed")
        database.restore(session, dump, extra)
        work.undo.append(lambda: database.restore(session, safety, database.beside(safety)))

    return [("close the site", close_site), ("back up", lambda: back_up(work)), ("restore", restore)]


def _require_images(work: Switchover) -> None:
    for image in work.stack.images():
        if not engine.image_id(image):
            raise SlipwayError(
                "SLIP-082", f"the image {image} is missing", "check out that revision and run invoke deploy"
            )
