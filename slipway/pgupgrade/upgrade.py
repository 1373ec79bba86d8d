"""Upgrade to another major version of PostgreSQL: dump the old server, restore, compare, switch.

The new server runs next to the old one, on its own volume, until it replaces the old one. Everything can be
reverted (``upgradeundo``) until it works there; the old volume is kept even then.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from invoke.exceptions import Exit

from slipway.backup import backupservice, restorejournal
from slipway.config import postgres
from slipway.config.settings import change, load
from slipway.core import values
from slipway.core.consent import require_consent
from slipway.core.errors import SlipwayError
from slipway.core.output import human_size, note
from slipway.core.run import Runner, Terminated, terminated_as_interrupted
from slipway.engine import engine
from slipway.host import enginecheck, machinereport
from slipway.images import bases
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.pgupgrade import dbmajor, upgradecompare, upgradeundo
from slipway.pgupgrade.upgradeguard import guarded
from slipway.pgupgrade.upgradeundo import Journal
from slipway.postgres import database
from slipway.services import diagnosis, extracontainers, front, maintenance
from slipway.state import deploylock

__all__ = ["discard_old", "upgrade"]

# A new cluster, and the write-ahead log of a restore: max_wal_size is 1 GB.
_SPARE_DISK = 1200 * 1000**2
_POLL_SECONDS = 0.5
_SHOWN_DIFFERENCES = 10


def upgrade(session: Session, to: str, image: str, *, yes: bool) -> None:
    """Upgrade the stack's database to the major version ``to``, as typed.

    ``image`` is needed only if it cannot be derived from the present one. Asks first, unless ``yes``. Raises
    ``SlipwayError`` with nothing changed: SLIP-105 for a wrong ``to`` or an image of another version,
    SLIP-106 when no image can be derived from the present one, SLIP-108 when this database cannot be
    upgraded here, SLIP-110 for a wrong DB_VOLUME_TARGET, SLIP-069 without consent, SLIP-077 while another
    command runs. SLIP-107 names the step that failed: the old server is in use again.
    """
    major = _major(to)
    if session.settings.database != "postgres":
        raise _impossible("DATABASE=none: the kit has no database here", "upgrade it where it runs")
    if session.runner.dry:
        _print_plan(session, major, image)
        return
    enginecheck.check_versions(session.runner)
    with deploylock.held(session.settings.root, "db.upgrade"), guarded(session) as watched:
        if journal := upgradeundo.read(session.settings, session.stack.prod):
            note("an earlier upgrade was interrupted")
            upgradeundo.take_back(watched, journal)
        restorejournal.recover(session)
        plan = _plan(watched, major, image)
        if plan is None:
            print(f"{session.stack.project} is on PostgreSQL {major} already")
            return
        closes = "the site is closed during it" if session.stack.prod else "the site fails during it"
        require_consent(f"PostgreSQL {plan.written} to {major}: {closes}. Go on?", yes)
        _Upgrade(watched, plan).run()
        backupservice.follow(replace(session, stack=Stack(load(session.settings.root), session.stack.prod)))


def discard_old(session: Session, *, yes: bool) -> None:
    """Delete the old volumes that upgrades have kept, after asking.

    Raises ``SlipwayError`` SLIP-069 without consent, SLIP-077 while an upgrade runs.
    """
    settings, stack, runner = session.settings, session.stack, session.runner
    if not runner.dry:
        upgradeundo.take_back_interrupted(session)
    old = [name for name in engine.volumes(stack.project, "db") if name != settings.db_volume(stack.prod)]
    if not old:
        print(f"{stack.project} has no database volume of an earlier version")
        return
    note(f"to be deleted: {', '.join(old)}; in use: {settings.db_volume(stack.prod)}")
    if not runner.dry:
        require_consent("Delete the database from before the upgrade?", yes)
    runner.run(["docker", "volume", "rm", *old])


@dataclass(frozen=True)
class _Plan:
    """Both versions; ``old`` and ``new`` are the variables with which Compose starts each server."""

    written: int
    major: int
    old: dict[str, str]
    new: dict[str, str]
    settings: dict[str, str]
    """The variables that change at the end, with their present values."""
    new_volume: str


def _major(text: str) -> int:
    try:
        return values.integer(10, 99)(text)
    except ValueError as wrong:
        raise SlipwayError(
            "SLIP-105", f"--to is {wrong}: {text!r}", "name a major version of PostgreSQL: --to 18"
        ) from None


def _impossible(why: str, fix: str) -> SlipwayError:
    return SlipwayError("SLIP-108", why, fix)


def _plan(session: Session, major: int, image: str) -> _Plan | None:
    """Return the plan; ``None`` when the database is on ``major`` already."""
    settings, stack = session.settings, session.stack
    prod = stack.prod
    own = settings.postgres_image
    volume = settings.db_volume(prod)
    flag = " --prod" if prod else ""
    if settings.origins["POSTGRES_IMAGE"] == "environment":
        raise _impossible(
            "POSTGRES_IMAGE is set in the environment, where the new image cannot be recorded",
            f"unset it; put it into {settings.env_file} or leave it to invoke db.upgrade",
        )
    written = dbmajor.of_volume(session, volume)
    if written is None:
        raise _impossible(
            f"{stack.project} has no database yet", f"invoke up{flag} creates one with POSTGRES_IMAGE"
        )
    if written > major:
        raise SlipwayError(
            "SLIP-105",
            f"{stack.project} is on PostgreSQL {written}; --to {major} is older",
            "there is no way back to an older version but a dump of that time",
        )
    if written == major:
        # The image in the settings may still be of another version: this checks it.
        dbmajor.check(session)
        return None
    dbmajor.check_target(settings, major)
    suffix = f"DB_VOLUME_SUFFIX_{'PROD' if prod else 'DEV'}"
    new_volume = f"{stack.project}_db-{major}"
    if new_volume in engine.volumes(stack.project):
        raise _impossible(
            f"there is a volume {new_volume} already, which is not in use",
            f"if its data is not needed: invoke db.upgrade --discard-old{flag}",
        )
    old_image = _old_image(session, written)
    new_image = _new_image(session, old_image, major, image)
    own_target = settings.is_in_env_file("DB_VOLUME_TARGET")

    def variables(reference: str, of: int, ending: str) -> dict[str, str]:
        target = settings.db_volume_target if own_target else postgres.mount_target(of)
        return {"POSTGRES_IMAGE": reference, "DB_VOLUME_TARGET": target, suffix: ending}

    present = settings.db_volume_suffix_prod if prod else settings.db_volume_suffix_dev
    return _Plan(
        written=written,
        major=major,
        old=variables(old_image, written, present),
        new=variables(new_image, major, f"-{major}"),
        settings={
            "POSTGRES_IMAGE": "" if settings.origins["POSTGRES_IMAGE"] == "default" else own,
            "DB_VOLUME_TARGET": settings.db_volume_target,
            suffix: present,
        },
        new_volume=new_volume,
    )


def _old_image(session: Session, written: int) -> str:
    """Return an image of the version that wrote the volume, present on the engine."""
    own = session.settings.postgres_image
    used = [c.image for c in engine.containers(session.stack.project) if c.service == "db"]
    for reference in [*used, own]:
        if engine.image_id(reference) and dbmajor.of_image(reference) == written:
            return reference
    wanted = own if dbmajor.of_image(own) == written else postgres.with_major(own, written)
    if wanted is None:
        raise _impossible(
            f"no image of PostgreSQL {written}, which wrote the volume, can be derived from {own}",
            "set POSTGRES_IMAGE to the one that was in use",
        )
    return bases.ensure({"POSTGRES_IMAGE": wanted}, session.runner).get("POSTGRES_IMAGE", wanted)


def _new_image(session: Session, old: str, major: int, image: str) -> str:
    """Return the image of the new server, present on the engine."""
    settings = session.settings
    own = settings.postgres_image
    # A person may have set the new image already, and learned from the error to upgrade: use that one.
    wanted = image or (own if dbmajor.of_image(own) == major else postgres.with_major(old, major))
    if not wanted:
        raise SlipwayError(
            "SLIP-106",
            f"the image of PostgreSQL {major} cannot be derived from {old}",
            f"name it: invoke db.upgrade --to {major} --image REFERENCE",
        )
    named = bool(image) or settings.is_in_env_file("POSTGRES_IMAGE")
    pinned = ["POSTGRES_IMAGE"] if named else []
    found = bases.ensure({"POSTGRES_IMAGE": wanted}, session.runner, pinned).get("POSTGRES_IMAGE", wanted)
    if dbmajor.of_image(found) != major:
        raise SlipwayError(
            "SLIP-105",
            f"{found} is PostgreSQL {dbmajor.of_image(found) or 'of an unknown version'}, not {major}",
            "name an image of that version with --image",
        )
    return found


class _Server:
    """A server in a container, reached over its local socket."""

    def __init__(self, runner: Runner, container: str, user: str) -> None:
        self.runner = runner
        self.container = container
        env = (f"PGUSER={user}", "PGDATABASE=template1", database.NO_LIMITS)
        self._flags = [word for variable in env for word in ("--env", variable)]

    def program(self, name: str, *arguments: str) -> list[str]:
        """Return the argv of a PostgreSQL program, which reads standard input."""
        return ["docker", "exec", "--interactive", *self._flags, self.container, name, *arguments]

    def ask(self, query: str) -> list[str]:
        """Return the rows of ``query``. Raises SLIP-060."""
        argv = self.program("psql", "-XqAt", "--set=ON_ERROR_STOP=1", "--command", query)
        return self.runner.capture(argv, check=True).stdout.splitlines()

    def databases(self) -> list[str]:
        """Return every database except the templates of each server."""
        return self.ask(
            "SELECT datname FROM pg_database WHERE datallowconn AND datname NOT IN ('template0', 'template1')"
            " ORDER BY 1"
        )

    def facts(self, name: str, script: Path) -> list[str]:
        """Return the facts on a database by ``script``, ``upgradecompare.FACTS``. Raises SLIP-060."""
        argv = self.program("psql", "-XqAt", "--set=ON_ERROR_STOP=1", f"--dbname={name}", "--file=-")
        return self.runner.capture(argv, check=True, stdin=script).stdout.splitlines()

    def roles(self) -> list[str]:
        """Return the names of all roles that are not PostgreSQL's own."""
        return self.ask("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1")


class _Upgrade:
    """One upgrade from the old server to the new one. ``run`` runs the steps."""

    def __init__(self, session: Session, plan: _Plan) -> None:
        self.session = session
        self.runner = session.runner
        self.stack: Stack = session.stack
        self.plan = plan
        self.journal = Journal(
            root=session.settings.root,
            project=self.stack.project,
            old=plan.old,
            settings=plan.settings,
            new_volume=plan.new_volume,
            was_running=engine.running(self.stack.project, "db"),
        )
        self._step = ""

    def run(self) -> None:
        """Run all steps. Raises ``SlipwayError`` SLIP-107 with the step that failed, after reverting."""
        steps = (
            ("start old server", self._start_old),
            ("check room", self._check_room),
            ("new volume", self._start_new),
            ("close the site", self._close_site),
            ("cut off", self._cut_off),
            ("dump", self._dump),
            ("restore", self._restore),
            ("compare", self._compare),
            ("switch", self._switch),
            ("start", self._start),
            ("open the site", self._finish),
        )
        begun = time.monotonic()
        try:
            with terminated_as_interrupted(Terminated):
                self.journal.write()
                for name, act in steps:
                    self._step = name
                    started = time.monotonic()
                    note(f"== {name}")
                    act()
                    note(f"== {name}: {time.monotonic() - started:.1f} s")
        except (SlipwayError, Exit, KeyboardInterrupt) as failed:
            raise self._give_up(failed) from None
        except BaseException as failed:
            self._give_up(failed)
            raise
        flag = " --prod" if self.stack.prod else ""
        print(
            f"{self.stack.project} is on PostgreSQL {self.plan.major},"
            f" after {time.monotonic() - begun:.0f} s.\n"
            f"The old data is kept; to delete it later: invoke db.upgrade --discard-old{flag}"
        )

    def _give_up(self, failed: BaseException) -> SlipwayError:
        why = failed.problem if isinstance(failed, SlipwayError) else str(failed) or "interrupted"
        note(f"== {self._step} failed: {why}")
        done = self.journal.done
        upgradeundo.take_back(self.session, self.journal)
        version = self.plan.major if done else self.plan.written
        return SlipwayError(
            "SLIP-107",
            f"the step {self._step!r} failed: {why}",
            f"PostgreSQL {version} is in use and nothing is lost; fix the cause and rerun the command",
        )

    # -- steps -----------------------------------------------------------------------------------------

    @cached_property
    def _old(self) -> _Server:
        return _Server(self.runner, self._db().id, self.session.settings.db_user)

    @cached_property
    def _new(self) -> _Server:
        return _Server(self.runner, self.journal.new_container, self.session.settings.db_user)

    def _db(self) -> engine.ContainerState:
        """Return the container of ``db``. Raises what ``diagnosis.failure`` returns if it is not ready."""
        timeout = self.session.settings.wait_timeout
        states = engine.wait(self.stack.project, ["db"], timeout, lambda _summaries: None)
        if len(states) != 1 or not states[0].ready:
            raise diagnosis.failure(self.session, states)
        return states[0]

    def _start_old(self) -> None:
        if not self.journal.was_running:
            self.journal = self.journal.updated(touched=True)
            old = self.stack.with_variables(self.plan.old)
            self.runner.run(old.command("up", "--detach", "--no-deps", "--no-build", "db"))
        self._db()

    def _check_room(self) -> None:
        [[size, lost, places]] = [
            row.split("|")
            for row in self._old.ask(
                "SELECT (SELECT sum(pg_database_size(oid)) FROM pg_database),"
                " (SELECT count(*) FROM pg_prepared_xacts),"
                " (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global'))"
            )
        ]
        if lost != "0":
            raise _impossible(
                f"{lost} prepared transactions are open; no dump contains them",
                "COMMIT or ROLLBACK PREPARED them",
            )
        if places != "0":
            raise _impossible(
                f"{places} tablespaces lie outside the volume", "move what is in them, then drop them"
            )
        folder = self.session.settings.root
        if shutil.disk_usage(folder).free < int(size):
            raise SlipwayError(
                "SLIP-109",
                f"a dump of {human_size(int(size))} may not fit on the disk of {folder}",
                "free some space there; the dump is deleted when the upgrade ends",
            )
        # For a dump on the same disk, and for the new volume.
        machinereport.check_disk(2 * int(size) + _SPARE_DISK)
        note(f"databases of {human_size(int(size))}")

    def _start_new(self) -> None:
        stack = self.stack.with_variables(self.plan.new)
        name = self.journal.new_container
        # Not quietly: errors must show. It has its own network name, so no client mistakes it for `db`.
        self.runner.run(stack.command("run", "--detach", "--no-deps", "-T", "--name", name, "db"))
        deadline = time.monotonic() + self.session.settings.wait_timeout
        while True:
            state = engine.container(name)
            if state and state.state == "running" and state.health == "healthy":
                return
            if state is None or state.state != "running" or state.failed or time.monotonic() > deadline:
                raise diagnosis.failure(self.session, [state] if state else [])
            time.sleep(_POLL_SECONDS)

    def _close_site(self) -> None:
        web = [c.id for c in engine.containers(self.stack.project) if c.service == "web"]
        ready = [c for c in web if upgradeundo.is_ready(self.session, c)]
        others = [c.id for c in extracontainers.containers(self.stack, running=True)]
        self.journal = self.journal.updated(web=ready, processes=others)
        if self.stack.prod and engine.running(self.stack.project, "nginx"):
            self._close_nginx()
        # Before they lose the database: running tasks would fail and be lost.
        extracontainers.stop(self.session)

    def _close_nginx(self) -> None:
        if not maintenance.is_closed(self.session):
            # Recorded first, so that the site is reopened even after a kill in between.
            self.journal = self.journal.updated(closed=True)
            maintenance.close(self.session)
        # Finish requests in flight first: what they store belongs in the dump.
        front.rest(self.session)
        front.drain(self.session)

    def _cut_off(self) -> None:
        """End every client connection, also of workers and shells: later writes would miss the dump."""
        self.journal = self.journal.updated(touched=True)
        for network in self._db().addresses:
            self.runner.run(["docker", "network", "disconnect", network, self._old.container])
        self._old.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def _dump(self) -> None:
        folder = self.journal.folder
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "facts.sql").write_text(upgradecompare.FACTS, encoding="utf-8")
        self.runner.run(self._old.program("pg_dumpall", "--roles-only"), stdout=folder / "roles.sql")
        for number, name in enumerate(self._old.databases()):
            argv = self._old.program("pg_dump", "--format=custom", f"--dbname={name}")
            self.runner.run(argv, stdout=folder / f"{number}.dump")

    def _restore(self) -> None:
        folder = self.journal.folder
        roles = folder / "roles.sql"
        # The new cluster has this role from its first start; its attributes follow in later statements.
        user = self.session.settings.db_user
        lines = roles.read_text(encoding="utf-8").splitlines(keepends=True)
        made = {f"CREATE ROLE {user};", f'CREATE ROLE "{user}";'}
        roles.write_text("".join(line for line in lines if line.strip() not in made), encoding="utf-8")
        argv = self._new.program("psql", "-Xq", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-")
        self.runner.run(argv, stdin=roles)
        for number, _name in enumerate(self._old.databases()):
            # Recreate each database to keep its encoding, locale, owner, privileges and settings.
            flags = ("--create", "--clean", "--if-exists", "--exit-on-error", "--dbname=template1")
            self.runner.run(self._new.program("pg_restore", *flags), stdin=folder / f"{number}.dump")
        # The dumps have no planner statistics; without them the first queries get poor plans.
        self.runner.run(self._new.program("vacuumdb", "--all", "--analyze-only", "--quiet"))

    def _compare(self) -> None:
        script = self.journal.folder / "facts.sql"
        found = upgradecompare.differences(
            [f"role {name}|1" for name in self._old.roles()]
            + [f"database {n}|1" for n in self._old.databases()],
            [f"role {name}|1" for name in self._new.roles()]
            + [f"database {n}|1" for n in self._new.databases()],
        )
        compared = 0
        for name in [] if found else self._old.databases():
            before, after = self._old.facts(name, script), self._new.facts(name, script)
            compared += len(before)
            found += [f"{name}: {fact}" for fact in upgradecompare.differences(before, after)]
        if found:
            for line in found[:_SHOWN_DIFFERENCES]:
                note(f"  {line}")
            raise SlipwayError(
                "SLIP-107", f"the restored database differs in {len(found)} facts: {found[0]}", "see above"
            )
        note(f"{compared} facts are the same")

    def _switch(self) -> None:
        # The new one first: a clean shutdown puts its data on the disk before it is used.
        upgradeundo.stop_and_remove(self.session, [self.journal.new_container])
        upgradeundo.stop(self.session, [self._old.container])
        change(self.session.settings, {name: self.plan.new[name] for name in self.plan.settings})

    def _start(self) -> None:
        stack = self.stack.with_variables(self.plan.new)
        self.runner.run(stack.command("up", "--detach", "--no-deps", "--no-build", "db"))
        server = _Server(self.runner, self._db().id, self.session.settings.db_user)
        [version] = server.ask("SELECT current_setting('server_version_num')::int / 10000")
        if int(version) != self.plan.major:
            raise SlipwayError("SLIP-107", f"PostgreSQL {version} has started", "see the log above")
        waiting: Sequence[str] = self.journal.web
        wait = upgradeundo.restart_web if self.journal.closed else upgradeundo.wait_for_web
        if wait(self.session, waiting, self.session.settings.wait_timeout):
            raise diagnosis.failure(
                self.session, [c for c in engine.containers(self.stack.project) if c.id in waiting]
            )
        if not self.journal.was_running:
            self.runner.run(stack.command("stop", "db"))

    def _finish(self) -> None:
        settings = self.session.settings
        self.journal = self.journal.updated(done=True)
        if (
            settings.is_in_env_file("POSTGRES_IMAGE")
            and settings.postgres_image != self.plan.new["POSTGRES_IMAGE"]
        ):
            note(f"{settings.env_file}: POSTGRES_IMAGE is {self.plan.new['POSTGRES_IMAGE']} now")
        # From here on the rest is the same as after a kill: reopen the site and clean up.
        upgradeundo.take_back(self.session, self.journal)


def _print_plan(session: Session, major: int, image: str) -> None:
    """Print the commands (the runner is dry)."""
    stack, runner = session.stack, session.runner
    own = session.settings.postgres_image
    reference = image or postgres.with_major(own, major) or "IMAGE"
    suffix = f"DB_VOLUME_SUFFIX_{'PROD' if stack.prod else 'DEV'}"
    target = postgres.mount_target(major)
    new = stack.with_variables({"POSTGRES_IMAGE": reference, "DB_VOLUME_TARGET": target, suffix: f"-{major}"})
    new_container = f"{stack.project}-db-upgrade"
    servers = [_Server(runner, name, session.settings.db_user) for name in ("OLD", new_container)]
    note("== new volume")
    runner.run(new.command("run", "--detach", "--no-deps", "-T", "--name", new_container, "db"))
    if stack.prod:
        note("== close the site")
        maintenance.close(session)
    note("== dump")
    runner.run(servers[0].program("pg_dump", "--format=custom", f"--dbname={session.settings.db_name}"))
    note("== restore")
    runner.run(servers[1].program("pg_restore", "--create", "--clean", "--if-exists", "--exit-on-error"))
    note("== switch")
    runner.run(["docker", "stop", new_container, "OLD"])
    note("== start")
    runner.run(new.command("up", "--detach", "--no-deps", "--no-build", "db"))
    if stack.prod:
        note("== open the site")
        maintenance.reopen(session)
