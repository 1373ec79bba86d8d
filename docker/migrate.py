"""Run ``manage.py migrate`` so that it happens once, however many start it together.

    migrate.py [what `manage.py migrate` takes]

The migration lock is held from before the plan is made until the command has ended, so whoever waited
for it finds nothing left to do. Read from the environment:
    MIGRATE_LOCK_TIMEOUT    how long to wait for the lock (default 300s)

The project's own manage.py runs in this very process: a lock in a parent process would be free when the
parent is killed, while the child went on migrating. The project's settings say which database.
"""

import functools
import os
import runpy
import sys
from pathlib import Path

from django.core.management import ManagementUtility
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.signals import connection_created
from django.db.migrations.executor import MigrationExecutor
from migrate_lock import LockError, MigrationLock, end_with_client, lock_timeout
from migrate_warnings import plan_warnings

INTERRUPTED = 130


def say(line):
    """Print one line of ours; to stderr, so that the output stays that of manage.py."""
    print(line, file=sys.stderr, flush=True)


class Run:
    """One call of the migrate command. ``entered`` says whether it came by here at all."""

    def __init__(self, timeout):
        self._timeout = timeout
        self._told = False
        self._lock = None
        self.entered = False

    def wrap(self, fetch_command):
        """Return Django's ``fetch_command``, with the lock around the command called migrate."""

        @functools.wraps(fetch_command)
        def wrapped(utility, subcommand):
            command = fetch_command(utility, subcommand)
            if subcommand == "migrate":
                command.execute = functools.partial(self._execute, command.execute)
            return command

        return wrapped

    def _execute(self, execute, *arguments, **options):
        self.entered = True
        if options.get("plan") or options.get("check_unapplied"):
            return execute(*arguments, **options)
        connection = connections[options.get("database") or DEFAULT_DB_ALIAS]
        if connection.vendor != "postgresql":
            say(f"migrate: no lock, which is for PostgreSQL only: this is {connection.display_name}")
            return execute(*arguments, **options)
        self._lock = MigrationLock(without_pool(connection), say)
        try:
            self._lock.acquire(self._timeout)
            return execute(*arguments, **options)
        finally:
            self._lock.release()

    def wrap_plan(self, migration_plan):
        """Return ``MigrationExecutor.migration_plan``, which tells about the plan that is asked for first."""

        @functools.wraps(migration_plan)
        def wrapped(executor, targets, clean_start=False):
            plan = migration_plan(executor, targets, clean_start)
            if not self._told:
                self._told = True
                tell(plan, executor.loader)
            return plan

        return wrapped

    def wrap_step(self, apply):
        """Return ``apply_migration`` or ``unapply_migration``, which begins by looking at the lock."""

        @functools.wraps(apply)
        def wrapped(executor, *arguments, **options):
            if self._lock:
                self._lock.require(executor.connection)
            return apply(executor, *arguments, **options)

        return wrapped


def without_pool(connection):
    """Return a wrapper for the same database with a session of its own, outside of pool and transactions."""
    own = connection.copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    # Else its session would be idle in a transaction, which holds up vacuum and concurrent indexes.
    own.settings_dict["AUTOCOMMIT"] = True
    return own


def tell(plan, loader):
    """Say how much there is to do, and what in it is unsafe while old code runs."""
    if not plan:
        say("migrate: nothing to apply")
        return
    say(f"migrate: {len(plan)} to apply, from {plan[0][0]} to {plan[-1][0]}")
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    # A fresh database has served no code yet.
    if applied:
        for line in plan_warnings(plan, loader.project_state(applied)):
            say(f"warning: not safe while old code runs: {line}")


def main(arguments):
    """Run the migrate command with ``arguments``; return its exit code."""
    # What `python manage.py` has there; ours would hide modules of the project.
    sys.path[0] = str(Path.cwd())
    sys.argv = ["manage.py", "migrate", "--noinput", *arguments]
    if not Path("manage.py").is_file():
        say(f"SLIP-008: there is no manage.py in {Path.cwd()}; fix: set MANAGE_DIR to its folder")
        return 1
    try:
        run = Run(lock_timeout(os.environ.get("MIGRATE_LOCK_TIMEOUT")))
        code = run_manage(run)
    except LockError as problem:
        say(problem)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    if not code and not run.entered and not {"-h", "--help", "--version"} & set(arguments):
        say(
            "SLIP-087: manage.py ran the migrate command in another process, without the migration lock; "
            "fix: let manage.py call execute_from_command_line itself"
        )
        return 1
    return code


def run_manage(run):
    """Run manage.py as ``python manage.py`` would, with ``run`` hooked in; return its exit code."""
    ManagementUtility.fetch_command = run.wrap(ManagementUtility.fetch_command)
    MigrationExecutor.migration_plan = run.wrap_plan(MigrationExecutor.migration_plan)
    MigrationExecutor.apply_migration = run.wrap_step(MigrationExecutor.apply_migration)
    MigrationExecutor.unapply_migration = run.wrap_step(MigrationExecutor.unapply_migration)
    connection_created.connect(end_with_client)
    try:
        runpy.run_path("manage.py", run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            say(end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
