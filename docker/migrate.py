"""Run ``manage.py migrate`` once, however many processes start it together.

    migrate.py [arguments of `manage.py migrate`]
    migrate.py --back app.name ...          unapply exactly these
    migrate.py --reversal app.name ...      print how each reverses, as JSON
    migrate.py --applied                    print the applied migrations, as JSON

Already unapplied migrations are skipped. Exit code 2: refused, and nothing was done. JSON is the last
line of the output: {"applied": ["app.name", ...]}, or {"reversal": [{"name", "verdict", "detail"}, ...]}.

The migration lock is held from before the plan is made until the command has ended, so a process that
waited for it finds nothing left to do. Read from the environment:
    MIGRATE_LOCK_TIMEOUT    how long to wait for the lock (default 300s)
    MIGRATE_DATABASES       aliases to migrate one after the other, where no arguments are given
                            (default: Django's default alone)

The project's own manage.py runs in this very process: a kill of a parent process would release its lock
while the child went on migrating. The project's settings name the database.
"""

import functools
import json
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path

from django.core.management import ManagementUtility
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.signals import connection_created
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from explain_failure import explain_failure
from migrate_back import BackError, back_plan, name_of, reversals
from migrate_lock import LockError, MigrationLock, end_with_client, lock_timeout, sqlite_lock
from migrate_warnings import plan_warnings

INTERRUPTED = 130
REFUSED = 2  # manage.py's exit code for wrong arguments
QUESTIONS = ("--applied", "--reversal")


def say(line):
    """Print lines of ours, if there are any; to stderr, so that the output stays that of manage.py."""
    if line:
        print(line, file=sys.stderr, flush=True)


def instead(fetch_command, of):
    """Return Django's ``fetch_command``, whose migrate command executes ``of(command.execute)`` instead."""

    @functools.wraps(fetch_command)
    def wrapped(utility, subcommand):
        command = fetch_command(utility, subcommand)
        if subcommand == "migrate":
            command.execute = of(command.execute)
        return command

    return wrapped


class Run:
    """One call of the migrate command. ``entered`` is whether the command has been executed here.

    ``back`` names migrations to unapply; the command's own arguments then do not count.
    """

    def __init__(self, timeout, back=()):
        self._timeout = timeout
        self._back = back
        self._plan_reported = False
        self._lock = None
        self.entered = False

    def wrap(self, fetch_command):
        """Return Django's ``fetch_command``, with the lock around the command called migrate."""
        return instead(fetch_command, lambda execute: functools.partial(self._execute, execute))

    def _execute(self, execute, *arguments, **options):
        self.entered = True
        if options.get("plan") or options.get("check_unapplied"):
            return execute(*arguments, **options)
        connection = connections[options.get("database") or DEFAULT_DB_ALIAS]
        if connection.vendor == "sqlite":
            with sqlite_lock(str(connection.settings_dict["NAME"]), self._timeout, say):
                return execute(*arguments, **options)
        if connection.vendor != "postgresql":
            say(f"migrate: no lock, which is for PostgreSQL and SQLite: this is {connection.display_name}")
            return execute(*arguments, **options)
        self._lock = MigrationLock(without_pool(connection), say)
        try:
            self._lock.acquire(self._timeout)
            return execute(*arguments, **options)
        finally:
            self._lock.release()

    def wrap_plan(self, migration_plan):
        """Return ``MigrationExecutor.migration_plan``, which reports the first plan that is requested."""

        @functools.wraps(migration_plan)
        def wrapped(executor, targets, clean_start=False):
            plan = migration_plan(executor, targets, clean_start)
            if self._back and not clean_start:
                whole = migration_plan(executor, executor.loader.graph.leaf_nodes(), clean_start=True)
                plan = back_plan(executor, whole, self._back)
            if not self._plan_reported:
                self._plan_reported = True
                report_plan(plan, executor.loader)
            return plan

        return wrapped

    def wrap_apply(self, apply):
        """Return ``apply_migration``, which checks the lock first."""

        @functools.wraps(apply)
        def wrapped(executor, *arguments, **options):
            if self._lock:
                self._lock.require(executor.connection)
            return apply(executor, *arguments, **options)

        return wrapped

    def wrap_unapply(self, unapply):
        """Return ``unapply_migration``, which checks the lock, and records in the same transaction.

        Django itself records it afterwards: after a kill between the two, the database would be one
        migration behind its record, and no later run could go on.
        """

        @functools.wraps(unapply)
        def wrapped(executor, state, migration, *arguments, **options):
            if self._back:
                say(f"migrate: unapplying {name_of((migration.app_label, migration.name))}")
            if not self._lock:
                return unapply(executor, state, migration, *arguments, **options)
            self._lock.require(executor.connection)
            if not migration.atomic:
                return unapply(executor, state, migration, *arguments, **options)
            with transaction.atomic(using=executor.connection.alias):
                return unapply(executor, state, migration, *arguments, **options)

        return wrapped


class Question:
    """A question about migrations, asked in place of the migrate command; it changes nothing."""

    def __init__(self, what, names):
        self._what = what
        self._names = names
        self.entered = False

    def wrap(self, fetch_command):
        """Return Django's ``fetch_command``, with the question in place of the command called migrate."""
        return instead(fetch_command, lambda _execute: self._answer)

    def _answer(self, *_arguments, **_options):
        self.entered = True
        loader = MigrationLoader(connections[DEFAULT_DB_ALIAS])
        if self._what == "--applied":
            answer = {"applied": sorted(name_of(pair) for pair in loader.applied_migrations)}
        else:
            answer = {"reversal": reversals(loader, self._names)}
        print(json.dumps(answer), flush=True)


def without_pool(connection):
    """Return a wrapper for the same database with a session of its own, outside of pool and transactions."""
    own = connection.copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    # Otherwise its session would be idle in a transaction, which blocks vacuum and concurrent indexes.
    own.settings_dict["AUTOCOMMIT"] = True
    return own


def report_plan(plan, loader):
    """Print how many migrations there are, and which operations are unsafe while old code runs."""
    if not plan:
        say("migrate: nothing to apply")
        return
    what = "unapply" if all(backwards for _, backwards in plan) else "apply"
    say(f"migrate: {len(plan)} to {what}, from {plan[0][0]} to {plan[-1][0]}")
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    # A fresh database has served no code yet.
    if applied:
        for line in plan_warnings(plan, loader.project_state(applied)):
            say(f"warning: not safe while old code runs: {line}")


def report_other_databases():
    """Print the databases that are not migrated, unless MIGRATE_DATABASES is set."""
    others = [alias for alias in connections if alias != DEFAULT_DB_ALIAS]
    if others and not os.environ.get("MIGRATE_DATABASES"):
        say(f"migrate: only {DEFAULT_DB_ALIAS}; DATABASES has {', '.join(others)} too: see MIGRATE_DATABASES")


def each_database(aliases):
    """Migrate one after the other, each in a process of its own that holds its lock; return the exit code."""
    if not aliases:
        return main([])
    for alias in aliases:
        say(f"migrate: database {alias}")
        code = subprocess.run([sys.executable, __file__, "--database", alias], check=False).returncode
        if code:
            # A negative code is the signal that ended it.
            return code if code > 0 else INTERRUPTED
    return 0


def main(arguments):
    """Run the migrate command with ``arguments``; return its exit code."""
    # As `python manage.py` has it; our folder would hide modules of the project.
    sys.path[0] = str(Path.cwd())
    sys.argv = ["manage.py", "migrate", "--noinput", *manage_arguments(arguments)]
    if not Path("manage.py").is_file():
        say(f"SLIP-008: there is no manage.py in {Path.cwd()}; fix: set MANAGE_DIR to its folder")
        return 1
    try:
        run = begin(arguments)
        code = run_manage(run)
    except LockError as problem:
        say(problem)
        return 1
    except BackError as problem:
        say(problem)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    if not code and not run.entered and not {"-h", "--help", "--version"} & set(arguments):
        say(
            "SLIP-087: manage.py ran the migrate command in another process, without the migration lock; "
            "fix: let manage.py call execute_from_command_line itself"
        )
        return 1
    if not arguments and not code:
        report_other_databases()
    return code


def manage_arguments(arguments):
    """Return those of ``arguments`` that manage.py gets."""
    if arguments[:1] == ["--back"]:
        # It would print "apply all migrations", which is wrong here.
        return ["--verbosity", "0"]
    return [] if arguments[:1] and arguments[0] in QUESTIONS else arguments


def begin(arguments):
    """Return the object to hook into manage.py."""
    if arguments[:1] and arguments[0] in QUESTIONS:
        return Question(arguments[0], arguments[1:])
    back = arguments[1:] if arguments[:1] == ["--back"] else []
    if arguments == ["--back"]:
        raise BackError("SLIP-088: --back names no migration; fix: migrate.py --back app.name ...")
    run = Run(lock_timeout(os.environ.get("MIGRATE_LOCK_TIMEOUT")), back)
    MigrationExecutor.migration_plan = run.wrap_plan(MigrationExecutor.migration_plan)
    MigrationExecutor.apply_migration = run.wrap_apply(MigrationExecutor.apply_migration)
    MigrationExecutor.unapply_migration = run.wrap_unapply(MigrationExecutor.unapply_migration)
    connection_created.connect(end_with_client)
    return run


def run_manage(run):
    """Run manage.py as ``python manage.py`` would, with ``run`` hooked in; return its exit code."""
    ManagementUtility.fetch_command = run.wrap(ManagementUtility.fetch_command)
    try:
        runpy.run_path("manage.py", run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            say(end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (LockError, BackError):
        raise
    except Exception:
        said = traceback.format_exc().rstrip()
        say(said)
        say(explain_failure(said))
        return 1
    return 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(given) if given else each_database(os.environ.get("MIGRATE_DATABASES", "").split()))
