"""Copies of SQLite databases: as of one moment, whoever writes, and whatever a crash has left."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from kitfiles import load


@pytest.fixture(scope="module")
def sqlitefile() -> ModuleType:
    return load("backup/sqlitefile")


def made(path: Path, mode: str = "delete") -> sqlite3.Connection:
    """A database of two tables that every transaction keeps alike; the connection stays open."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute(f"PRAGMA journal_mode = {mode}")
    database.execute("BEGIN")
    for table in ("one", "two"):
        database.execute(f"CREATE TABLE {table} (x)")
        database.executemany(f"INSERT INTO {table} VALUES (?)", [["0" * 400]] * 500)
    database.execute("COMMIT")
    return database


def tables(path: Path) -> set[tuple[str, int]]:
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT x, count(*) FROM one GROUP BY x UNION SELECT x, count(*) FROM two GROUP BY x"
        return set(database.execute(query))


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_copy_is_of_one_moment(sqlitefile: ModuleType, tmp_path: Path, mode: str) -> None:
    """Red when the file is copied as files are: half of a transaction, or none of the log."""
    source, ended = tmp_path / "a?b#.db", threading.Event()
    database = made(source, mode)

    def write() -> None:
        number = 0
        while not ended.wait(0.02):
            number += 1
            database.execute("BEGIN")
            for table in ("one", "two"):
                database.execute(f"UPDATE {table} SET x = ?", [str(number) * 100])
            database.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            target = tmp_path / f"copy-{number}"
            sqlitefile.copy(source, target)
            [(_, rows)] = tables(target)
            assert rows == 500 and sqlitefile.problems(target) == "ok"
    finally:
        ended.set()
        writer.join()
        database.close()


def test_a_crash_is_undone_in_the_copy(sqlitefile: ModuleType, tmp_path: Path) -> None:
    """Red without the copy under a lock: what reads alone may not roll the journal back."""
    with closing(made(tmp_path / "a.db")) as database:
        # Then it writes into the file before the transaction ends.
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN")
        database.execute("UPDATE one SET x = 'half' || x")
        for suffix in ("", "-journal"):
            shutil.copyfile(tmp_path / f"a.db{suffix}", tmp_path / f"crashed.db{suffix}")
    before = (tmp_path / "crashed.db").read_bytes()
    assert b"half" in before
    sqlitefile.copy(tmp_path / "crashed.db", tmp_path / "copy")
    assert tables(tmp_path / "copy") == {("0" * 400, 500)}
    assert (tmp_path / "crashed.db").read_bytes() == before and (tmp_path / "crashed.db-journal").exists()
    assert not list(tmp_path.glob("copy-*"))


def test_what_is_a_database(sqlitefile: ModuleType, tmp_path: Path) -> None:
    """Red when a file is taken for what it is not: it would be left out, or come back as another."""
    made(tmp_path / "a.db", "wal").close()
    for name in ("a.db-wal", "b.db", "b.db-wal", "a.db-shm.txt"):
        (tmp_path / name).write_bytes(b"text")
    (tmp_path / "link").symlink_to("a.db")
    os.mkfifo(tmp_path / "pipe")
    found = {path.name for path in tmp_path.iterdir() if sqlitefile.is_database(path)}
    assert found == {"a.db"}
    assert {path.name for path in tmp_path.iterdir() if sqlitefile.is_sibling(path)} == {"a.db-wal"}


def test_damage_is_found(sqlitefile: ModuleType, tmp_path: Path) -> None:
    """Red when only the header is looked at; or a damaged one cannot be backed up at all."""
    made(tmp_path / "a.db").close()
    assert sqlitefile.problems(tmp_path / "a.db") == "ok"
    whole = (tmp_path / "a.db").read_bytes()
    for name, bad in {"page": whole[:4096] + b"x" * 4096 + whole[8192:], "cut": whole[:2000]}.items():
        (tmp_path / name).write_bytes(bad)
        sqlitefile.copy(tmp_path / name, tmp_path / f"{name}.copy")
        assert sqlitefile.problems(tmp_path / f"{name}.copy") != "ok"
