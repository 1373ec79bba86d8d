"""Dump and restore against PostgreSQL itself: the whole of it or nothing, whoever is connected."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.config.settings import load
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.postgres import database
from tests.migrations.conftest import Project
from tests.support.polling import eventually
from tests.support.world import docker

# A restore computes the index again: so long, or so badly, as the server's parameter says.
CONTENT = """
create table marker (generation text); insert into marker values ('dumped');
create table parts (id bigint, text text);
insert into parts select i, md5(i::text) from generate_series(1, 2000) i;
create function slow(value text) returns text language plpgsql immutable as $$ begin
  if current_setting('test.fails', true) = 'yes' then raise 'computed badly'; end if;
  perform pg_sleep(coalesce(nullif(current_setting('test.seconds', true), ''), '0')::float); return value;
end $$;
create index computed on marker (slow(generation));
select lo_from_bytea(4711, 'a large object');
"""


@pytest.fixture
def dumped(project: Project, tmp_path: Path) -> Iterator[Path]:
    """A dump of CONTENT; since then the database has gone on."""
    project.sql(CONTENT)
    target = tmp_path / "one.dump"
    database.dump(session_of(project), target)
    project.sql("update marker set generation = 'serving'; drop table parts; create table later (id int)")
    yield target
    project.sql("alter role app reset all")
    project.sql("select lo_unlink(oid) from pg_largeobject_metadata")


def session_of(project: Project) -> Session:
    return Session(Stack(load(project.root, environ={}), prod=False), Runner())


def restore(project: Project, source: Path) -> None:
    database.restore(session_of(project), source)


def databases(project: Project) -> list[str]:
    return project.sql("select datname from pg_database where not datistemplate order by 1").split()


def state(project: Project) -> tuple[str, str, list[str]]:
    """What serves: its generation and tables; and every database there is."""
    tables = "select string_agg(relname, ' ' order by relname) from pg_class"
    tables += " where relkind = 'r' and relnamespace = 'public'::regnamespace"
    return project.sql("select generation from marker"), project.sql(tables), databases(project)


AS_BEFORE = ("serving", "later marker", ["app", "postgres"])


RESTORED = ("dumped", "marker parts", ["app", "postgres"])


def is_whole(project: Project) -> bool:
    """Whether what serves has the dump's rows, index and large object."""
    seen = project.sql(
        "select count(*) || max(text), convert_from(lo_get(4711), 'utf8'), to_regclass('computed') from parts"
    )
    return seen == "2000ffeed84c7cb1ae7bf4ec4bd78275bb98|a large object|computed"


@contextlib.contextmanager
def clients(project: Project, *commands: str) -> Iterator[list[list[str]]]:
    """Shell commands repeated in the database's container; what each printed is there afterwards."""
    container, printed = f"{project.project}-db-1", list[list[str]]()
    again = "export PGUSER=app PGDATABASE=app; until [ -e /tmp/stop ]; do {}; done 2>&1"
    loops = [
        subprocess.Popen(
            ["docker", "exec", container, "sh", "-c", again.format(command)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        yield printed
    finally:
        docker("exec", container, "touch", "/tmp/stop")
        asleep = "query ~ 'pg_sleep' and pid <> pg_backend_pid()"
        while any(loop.poll() is None for loop in loops):
            project.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {asleep}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                printed[:] = [loop.communicate(timeout=1)[0].splitlines() for loop in loops]
        docker("exec", container, "rm", "/tmp/stop")


def test_what_was_dumped_comes_back(project: Project, dumped: Path) -> None:
    """Red when the names are not changed, the former database is kept, or large objects are left out."""
    assert dumped.stat().st_mode & 0o777 == 0o600
    assert state(project) == AS_BEFORE
    restore(project, dumped)
    assert state(project) == RESTORED and is_whole(project)
    # Statistics are in no dump.
    assert project.sql("select reltuples from pg_class where relname = 'parts'") == "2000"


def test_what_belongs_to_the_database_stays(project: Project, dumped: Path) -> None:
    """Red without ``_PROPERTIES``: no dump has them. Red when a list is quoted as one name."""
    project.sql("create role reader")
    project.sql(
        """alter database app set search_path to "$user", public, extra;
        alter database app set work_mem = '7MB'; comment on database app is 'it''s ours';
        alter role reader in database app set statement_timeout to '3s';
        revoke connect on database app from public; grant connect on database app to reader with grant option;
        alter database app connection limit 50"""
    )
    query = (
        "select datacl, datconnlimit, shobj_description(d.oid, 'pg_database'),"
        " (select array_agg(setrole::regrole || ' ' || setconfig::text order by setrole)"
        " from pg_db_role_setting where setdatabase = d.oid) from pg_database d where datname = 'app'"
    )
    try:
        before = project.sql(query)
        assert all(part in before for part in ("reader=c*/app", "50", "it's ours", "7MB", "extra", "3s"))
        restore(project, dumped)
        assert project.sql(query) == before
    finally:
        project.sql(
            "alter database app reset all; alter database app connection limit -1;"
            " grant connect, temporary on database app to public; comment on database app is null"
        )
        project.sql("drop owned by reader; drop role reader")


def test_owners_that_are_gone_do_not_hinder(project: Project, tmp_path: Path) -> None:
    """Red when a dump of another server, or of earlier times, ends at its first owner."""
    target = tmp_path / "owned.dump"
    project.sql(
        "create role former; create role reader; create table owned (id int); create table mine (id int);"
        "alter table owned owner to former; grant select on owned to reader"
    )
    try:
        database.dump(session_of(project), target)
        restore(project, target)
        assert project.sql("select tableowner from pg_tables where tablename = 'owned'") == "former"
        assert project.sql("select has_table_privilege('reader', 'owned', 'select')") == "t"
        project.sql("drop owned by former, reader; drop role former, reader")
        restore(project, target)
        assert project.sql("select tableowner from pg_tables where tablename = 'owned'") == "app"
    finally:
        project.sql("drop role if exists former, reader")


def test_clients_see_the_old_then_the_new_and_nothing_else(project: Project, dumped: Path) -> None:
    """Red without ``_END_SESSIONS`` beside the change of names: an idle session hinders it for ever."""
    ask = 'psql -XAtc "select generation from marker"'
    stay = 'psql -XAtc begin -c "select generation from marker" -c "select pg_sleep(300)"'
    with clients(project, ask, ask, ask, stay) as printed:
        eventually(lambda: any("pg_sleep" in line for line in project.sessions()), "somebody stays connected")
        restore(project, dumped)
        now = project.sql("select now()")
        newer = f"select count(*) from pg_stat_activity where datname = 'app' and backend_start > '{now}'"
        eventually(lambda: project.sql(newer) != "0", "clients are back")
    assert state(project) == RESTORED and is_whole(project)
    for seen in printed[:3]:
        served = [line for line in seen if line in {"serving", "dumped"}]
        assert served == sorted(served, reverse=True)
        assert set(served) == {"serving", "dumped"}
        expected = r"does not exist|renamed|terminat|closed|connection|before or while"
        assert [line for line in seen if line not in served and not re.search(expected, line)] == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda whole: whole[: len(whole) // 2], "end of file"),
        (lambda whole: whole[:-3], "end of file"),
        (lambda _: b"", "it is empty"),
        (lambda _: b"select 1;\n" * 100, "not appear to be a valid archive"),
        (None, "there is no such file"),
    ],
    ids=["half", "its last bytes missing", "empty", "foreign", "missing"],
)
def test_what_is_no_whole_dump_is_refused(project: Project, dumped: Path, spoil: object, why: str) -> None:
    """Red when the table of contents alone is read: it is whole in the first two."""
    if callable(spoil):
        dumped.write_bytes(spoil(dumped.read_bytes()))
    else:
        dumped.unlink()
    with pytest.raises(SlipwayError, match=f"(?s)SLIP-089.*{why}"):
        restore(project, dumped)
    assert state(project) == AS_BEFORE


def test_a_dump_that_cannot_be_read_back_is_none(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the file is not read back, or left where it looks like a dump."""
    whole = Runner.run

    def cut(runner: Runner, *arguments: object, stdout: Path, **options: object) -> object:
        done = whole(runner, *arguments, stdout=stdout, **options)  # type: ignore[arg-type]
        os.truncate(stdout, stdout.stat().st_size - 3)
        return done

    project.sql(CONTENT)
    monkeypatch.setattr(Runner, "run", cut)
    with pytest.raises(SlipwayError, match="SLIP-089"):
        database.dump(session_of(project), tmp_path / "cut.dump")
    assert list(tmp_path.iterdir()) == []
    project.sql("select lo_unlink(4711)")


def test_a_dump_that_does_not_restore_changes_nothing(project: Project, dumped: Path) -> None:
    """Red when pg_restore's exit code is not looked at, or the new database is kept."""
    project.sql("alter role app set test.fails to 'yes'")
    with pytest.raises(SlipwayError, match="SLIP-093"):
        restore(project, dumped)
    assert state(project) == AS_BEFORE


def test_both_names_change_or_none(project: Project, dumped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without ``--single-transaction``: `app` would be gone when its successor cannot take the name."""
    monkeypatch.setattr(database, "_SWAP_ATTEMPTS", 1)
    project.sql("alter role app set test.seconds to '3'")
    find = "select datname from pg_database where datname ~ '^slipway_restoring'"
    intrude = f'name=$(psql -XAtc "{find}"); [ -z "$name" ] || psql -X -d "$name" -c "select pg_sleep(300)"'
    with clients(project, intrude), pytest.raises(SlipwayError, match="SLIP-093"):
        restore(project, dumped)
    assert state(project) == AS_BEFORE


def _restore_alone(project: Project, dumped: Path) -> None:
    os.setsid()
    restore(project, dumped)


def test_a_killed_restore_is_repeated(project: Project, dumped: Path) -> None:
    """Red when leftovers are not recognised, or something else is taken for one.

    Red when a program that goes on in the container is not ended: it could still change the names.
    """
    project.sql("alter role app set test.seconds to '300'")
    # A process of its own, with the commands it runs; what they have started in the container goes on.
    process = multiprocessing.get_context("fork").Process(target=_restore_alone, args=(project, dumped))
    process.start()
    eventually(lambda: any("INDEX computed" in line for line in project.sessions()), "it is in the middle")
    assert process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.join(timeout=30)
    assert project.sql("select generation from marker") == "serving"
    [left] = set(databases(project)) - {"app", "postgres"}
    assert left.startswith("slipway_restoring_")

    env, elsewhere = ["--env", "PGAPPNAME=slipway restore"], ["psql", "-U", "app", "-d", "postgres"]
    argv = ["docker", "exec", *env, f"{project.project}-db-1", *elsewhere, "-c", "select pg_sleep(300)"]
    going_on = subprocess.Popen(argv)
    eventually(lambda: any("pg_sleep" in line for line in project.sessions()), "it goes on")
    project.sql("create database slipway_replaced_0123abcd")
    project.sql("create database slipway_replaced_by_me")
    project.sql("alter role app reset all")
    try:
        restore(project, dumped)
        assert set(databases(project)) == {"app", "postgres", "slipway_replaced_by_me"}
    finally:
        project.sql("drop database slipway_replaced_by_me")
    assert going_on.wait(timeout=30) != 0
    assert state(project) == RESTORED and is_whole(project)
