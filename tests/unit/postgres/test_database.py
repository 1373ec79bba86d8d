"""Dump and restore without an engine: the commands of a dry run, and what is read from pg_restore."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.postgres import database

LISTING = """\
;
; Archive created at 2026-03-02 10:15:07 UTC
;     dbname: app
;
; Selected TOC Entries:
;
2; 3079 16384 EXTENSION - pg_trgm 
3; 0 0 COMMENT - EXTENSION pg_trgm 
217; 1259 16390 TABLE public orders app
218; 1259 16395 TABLE audit orders keeper
219; 1259 16398 VIEW public latest app
220; 1259 16399 FOREIGN TABLE public far app
221; 0 0 TABLE ATTACH public orders_2026 app
3420; 0 16390 TABLE DATA public orders app
3421; 0 0 COMMENT public TABLE orders app
"""  # noqa: W291 - as pg_restore prints it


def test_the_contents_of_a_dump_are_counted() -> None:
    """Red when data, views or comments count as tables, or a missing owner as one."""
    found = database._contents(LISTING)
    assert found.tables == 2
    assert found.owners == {"app", "keeper"}


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("pg_restore: error: could not read from input file: end of file\n", "could not read from input"),
        ("pg_restore: while PROCESSING TOC:\npg_restore: error: one\npg_restore: error: two\n", "one"),
        ('service "db" is not running\n', 'service "db" is not running'),
        ("", "no output"),
    ],
)
def test_the_first_error_is_the_reason(output: str, reason: str) -> None:
    """Red when a follow-up is told, or nothing where a program says it in another form."""
    assert database._reason(output).startswith(reason)


def test_a_dry_run_prints_and_asks_nothing(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when a dry restore reads the dump, which may not be there yet, or asks a server."""
    session = Session(Stack(settings, prod=True, cwd=settings.root), Runner(dry=True))
    database.dump(session, Path("backups/one.dump"))
    database.restore(session, Path("backups/one.dump"))
    dump, fill, swap = capsys.readouterr().out.splitlines()
    assert dump.endswith("db pg_dump --format=custom --dbname=app > backups/one.dump")
    for variable in ("'PGAPPNAME=slipway dump'", "PGUSER=app", "PGDATABASE=postgres"):
        assert f"--env {variable} " in dump
    assert "pg_restore --exit-on-error --dbname=slipway_restoring_" in fill
    assert fill.endswith("< backups/one.dump")
    assert "--single-transaction" in swap and 'RENAME TO "app"' in swap


def test_several_databases_change_names_in_one_transaction(
    settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Red when one is left out, or changes by itself. The dumps of a deploy lie beside its own."""
    own = tmp_path / "T-before-1.2.dump"
    for name in (own.name, f"{own.name}.reports", f"{own.name}.reports.part"):
        (tmp_path / name).touch()
    extra = database.beside(own)
    assert extra == {"reports": tmp_path / "T-before-1.2.dump.reports"}
    session = Session(Stack(settings, prod=True, cwd=settings.root), Runner(dry=True))
    database.restore(session, own, extra)
    *fills, swap = capsys.readouterr().out.splitlines()
    assert [line.rsplit("/", 1)[1] for line in fills] == [own.name, f"{own.name}.reports"]
    assert "--single-transaction" in swap
    assert 'RENAME TO "app"' in swap and 'RENAME TO "reports"' in swap


def test_nobody_is_in_the_database_that_is_renamed(settings: Settings) -> None:
    """Red when DB_NAME=postgres: PostgreSQL refuses to rename the database one is in."""
    session = Session(Stack(replace(settings, db_name="postgres"), prod=True), Runner())
    argv = database._Server(session, "slipway restore").psql("SELECT 1")
    assert "PGDATABASE=template1" in argv


class _Engine(Runner):
    """Every command ends with exit code 1; the serving database's oid is ``oids``' next one."""

    def __init__(self, *oids: str) -> None:
        super().__init__(echo=False)
        object.__setattr__(self, "oids", list(oids))
        object.__setattr__(self, "swaps", 0)

    def run(self, argv: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        object.__setattr__(self, "swaps", self.swaps + 1)
        return subprocess.CompletedProcess(argv, 1, "", "")

    def capture(self, argv: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 0, self.oids.pop(0) + "\n", "")


def _swap(settings: Settings, engine: _Engine) -> None:
    session = Session(Stack(settings, prod=True, cwd=settings.root), engine)
    database._Server(session, "slipway restore").swap([database._Part("app", Path("a.dump"))], "2")


def test_what_serves_decides_whether_the_names_have_changed(settings: Settings) -> None:
    """Red when a connection that broke after the commit counts as a failure: nothing is as before then."""
    engine = _Engine("1", "1", "2")
    _swap(settings, engine)
    assert engine.swaps == 2


def test_changing_the_names_is_given_up(settings: Settings) -> None:
    """Red when a session that cannot be ended keeps the site closed for ever."""
    engine = _Engine(*["1"] * 50)
    with pytest.raises(SlipwayError, match=r"SLIP-093.*as before.*do not end"):
        _swap(settings, engine)
    assert engine.swaps == database._SWAP_ATTEMPTS
