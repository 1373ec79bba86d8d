"""Migrations run once, whoever starts them and however they end; against PostgreSQL itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.migrations.conftest import Project
from tests.support.polling import eventually

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docker"))
from migrate_lock import LOCK_KEY

ALL = ["0001_initial", "0002_slow", "0003_index"]


def hold(project: Project, name: str) -> subprocess.Popen[bytes]:
    """Hold the lock in a psql session called ``name``, until it is told to stop."""
    sql = f"set application_name = '{name}'; select pg_advisory_lock({LOCK_KEY}); select pg_sleep(300)"
    argv = ["docker", "exec", f"{project.project}-db-1", "psql", "-Uapp", "-dapp"]
    for statement in sql.split(";"):
        argv += ["-c", statement]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    eventually(lambda: project.locks() == "1", "the lock is held")
    return process


def read_until(stream: IO[str] | None, pattern: str) -> str:
    """Read lines until one matches; everything that was read."""
    assert stream
    read = ""
    for line in stream:
        read += line
        if re.search(pattern, line):
            return read
    raise AssertionError(f"no {pattern} in:\n{read}")


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and output."""
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def test_four_at_the_same_moment_apply_everything_once(project: Project) -> None:
    """Red without ``acquire``: duplicate rows, or three runs that fail on what the first one creates.

    Red when a run waits in ``pg_advisory_lock``: the index of 0003 then waits for that run, for ever.
    """
    project.sleeps(2)
    # Held until all four are there: only then do they begin at the same moment, on a slow machine too.
    gate = hold(project, "gate")
    processes = [project.start() for _ in range(4)]
    eventually(lambda: len(project.waiting()) == 4, "all four wait for the lock")
    project.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gate'")
    runs = [finish(process) for process in processes]
    gate.wait(timeout=30)
    assert [code for code, _ in runs] == [0, 0, 0, 0], "\n".join(output for _, output in runs)
    assert project.applied() == ALL
    assert project.sql("select name from ledger_applied") == "slow"
    twice = "select app, name from django_migrations group by app, name having count(*) > 1"
    assert project.sql(twice) == ""
    outputs = [output for _, output in runs]
    assert sum("nothing to apply" in output for output in outputs) == 3, "\n".join(outputs)
    assert sum("waiting for slipway migrate" in output for output in outputs) == 3, "\n".join(outputs)
    assert project.locks() == "0"


def test_a_killed_run_leaves_the_lock_free_and_the_database_as_it_was(project: Project) -> None:
    """Red when the lock outlives its session, or without ``end_with_client``.

    Without that the server goes on with the statement of the dead for five minutes.
    """
    project.invoke("migrate", "--", "ledger", "0001")
    project.sleeps(300)
    process = project.start()
    eventually(project.is_in_the_middle, "the slow migration is in the middle")
    assert project.locks() == "1"
    assert project.killed_containers()
    assert finish(process)[0] != 0
    eventually(lambda: not project.sessions(), "the server has noticed", timeout=30)
    assert project.locks() == "0"
    assert project.applied() == ALL[:1]
    assert project.sql("select count(*) from ledger_applied") == "0"

    project.sleeps(0)
    project.invoke("migrate")
    assert project.applied() == ALL
    assert project.sql("select name from ledger_applied") == "slow"


def test_who_holds_the_lock_is_named_while_waiting(project: Project) -> None:
    """Red when the query for the holder looks for another key, or a run does not wait."""
    holder = hold(project, "backup-of-anna")
    process = project.start(MIGRATE_LOCK_TIMEOUT="60s")
    read = read_until(process.stdout, "waiting for")
    found = re.search(r"waiting for backup-of-anna \(pid (\d+), user app, since 20\d\d-", read)
    assert found, read
    assert project.sql("select to_regclass('django_migrations')") == ""
    project.sql(f"select pg_terminate_backend({found[1]})")
    assert finish(process)[0] == 0
    assert project.applied() == ALL
    holder.wait(timeout=30)


def test_waiting_ends_with_a_message(project: Project) -> None:
    """Red when the variable does not reach the container, or the deadline is not looked at."""
    hold(project, "forgotten")
    code, output = finish(project.start(MIGRATE_LOCK_TIMEOUT="1s"))
    assert code == 1
    last = output.strip().splitlines()[-1]
    assert last.startswith("SLIP-086: migrations have waited 1 s for forgotten (pid "), output
    assert "fix:" in last and "pg_terminate_backend" in last
    assert project.sql("select to_regclass('django_migrations')") == ""


def test_a_lost_lock_stops_the_run_before_the_next_migration(project: Project) -> None:
    """Red without ``require``: 0003 would be applied while another run may have begun."""
    project.invoke("migrate", "--", "ledger", "0001")
    project.sleeps(5)
    process = project.start()
    eventually(project.is_in_the_middle, "the slow migration is in the middle")
    project.sql("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
    code, output = finish(process)
    assert code == 1 and "SLIP-087" in output, output
    assert project.applied() == ALL[:2]


def test_plan_and_check_apply_nothing_and_say_what_is_unsafe(project: Project) -> None:
    """Red when an operation's judgement is dropped, a harmless one is reported, or --plan applies.

    It applies when it runs in `web`, whose one-off containers wait for the service `migrate`.
    """
    fresh = project.invoke("migrate", "--plan")
    assert "not safe" not in fresh.stderr, fresh.stderr
    assert project.sql("select to_regclass('django_migrations')") == ""
    project.invoke("migrate")
    done = project.invoke("migrate", "--check")
    assert "nothing to apply" in done.stderr

    migrations = project.root / "example" / "ledger" / "migrations"
    shutil.copy(Path(__file__).with_name("unsafe.py"), migrations / "0004_unsafe.py")
    plan = project.invoke("migrate", "--plan")
    warned = [line.split("0004_unsafe: ")[1] for line in plan.stderr.splitlines() if "not safe" in line]
    assert [line.split(";")[0].split(",")[0] for line in warned] == [
        "adds the column applied.required NOT NULL without db_default",
        "makes the column applied.note NOT NULL",
        "renames the column applied.name to title",
        "removes the column applied.note",
        "renames the table ledger_applied to ledger_entries",
        "RunSQL: cannot be judged",
    ], plan.stderr
    assert "Rename field name on applied to title" in plan.stdout
    pending = project.invoke("migrate", "--check", check=False)
    assert pending.returncode == 1 and "1 to apply" in pending.stderr, pending.stderr
    assert project.applied() == ALL

    project.invoke("migrate")
    # What the first warning says, by the server itself.
    with pytest.raises(AssertionError, match='null value in column "required"'):
        project.sql("insert into ledger_entries (title, filled) values ('by old code', '')")
    back = project.invoke("migrate", "--plan", "--", "ledger", "0003")
    assert "reversed, it removes the column applied.required" in back.stderr, back.stderr


def test_sqlite_needs_no_server_for_its_lock(project: Project) -> None:
    """Red when PostgreSQL's lock is asked of it."""
    shutil.rmtree(project.root / "example" / "ledger" / "migrations")
    sqlite = ("-e", "POSTGRES_HOST=", "-e", "SQLITE_PATH=/tmp/site.sqlite3")
    done = project.compose("run", "--rm", "-T", *sqlite, "migrate")
    assert done.returncode == 0, done.stderr
    assert "no lock" not in done.stderr
    assert "Applying guestbook.0001_initial... OK" in done.stdout


def test_a_failing_migration_fails_the_run_and_frees_the_lock(project: Project) -> None:
    """Red when the exit code of manage.py is lost, or ``release`` is."""
    (project.root / "example" / "ledger" / "migrations" / "0004_broken.py").write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        '    dependencies = [("ledger", "0003_index")]\n'
        '    operations = [migrations.RunSQL("SELECT no_such_column")]\n'
    )
    done = project.invoke("migrate", check=False)
    assert done.returncode == 1
    assert 'column "no_such_column" does not exist' in done.stderr
    assert project.applied() == ALL
    eventually(lambda: project.locks() == "0", "the lock is free")
