"""SQLite in production: one file in the volume, whoever comes and goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.world import ROOT, World, world

sys.path.insert(0, str(ROOT / "docker" / "backup"))

import archive as archives  # the writer that is in the image

PROJECT = ROOT / "tests" / "images" / "projects" / "habits"
SETTINGS = {
    "PROJECT_ROOT": "project",
    "DATABASE": "none",
    "DATA_PATHS": "'db.sqlite3 keep/'",
    "SETTINGS_OVERLAY": "'ALLOWED_HOSTS DEBUG STATIC_ROOT STATIC_URL'",
    "HEALTH_READY_PATH": "/healthz/live",
    "WEB_REPLICAS": "2",
    "PROCESS_SHARING": "'sh -c \"date >keep/shared; sleep 1000\"'",
}


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("sqlite"), "sqlite", prod=True, **SETTINGS) as own:
        shutil.copytree(PROJECT, own.root / "project")
        (own.root / "app.env").write_text("API_TOKEN=x\nBATCH=5\nPEERS=a,b\nPAGE_SIZE=3\n")
        own.invoke("up")
        yield own


def get(own: World, path: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{own.url}{path}", timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def enter(own: World) -> int:
    return int(str(get(own, "/enter")["visitors"]))


def test_the_file_is_one_and_lasts(prod: World) -> None:
    """Red when a service lacks the volume, or the link leads into the container."""
    assert get(prod, "/healthz/live")["debug"] is False
    # Two replicas, asked in turn.
    assert [enter(prod) for _ in range(4)] == [1, 2, 3, 4]
    shared = prod.docker("exec", f"{prod.project}-web-1", "ls", "keep/").split()
    assert shared == ["first.txt", "shared"]
    prod.invoke("down")
    prod.invoke("up", "--no-build")
    assert enter(prod) == 5
    views = prod.root / "project" / "config" / "urls.py"
    views.write_text(views.read_text() + "\n# another release\n")
    prod.invoke("deploy", "--release", "second")
    assert enter(prod) == 6
    prod.invoke("rollback")
    assert enter(prod) == 7
    assert f"{prod.project}_data" in prod.invoke("volumes").stdout


def visitors(own: World) -> int:
    return int(
        inside(
            own,
            "print(sqlite3.connect('db.sqlite3').execute('select count(*) from auth_user').fetchone()[0])",
        )
    )


def replica(own: World) -> dict[str, Any]:
    service = "com.docker.compose.service"
    return next(c for c in own.containers() if c["Config"]["Labels"][service] == "web")


def inside(own: World, script: str) -> str:
    """What ``script`` prints in a replica, beside the project."""
    return own.docker(
        "exec", replica(own)["Id"], "python", "-c", f"import os, shutil, sqlite3\n{script}"
    ).strip()


def backup(own: World, label: str) -> Path:
    return own.root / "backups" / own.invoke("db.backup", "--label", label).stdout.strip()


# A database whose rows are in its write-ahead log alone, and one that a crash has left with its journal.
ODD = """
os.makedirs("keep/tmp", exist_ok=True)
def commits(path, mode, end):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {mode}")
    database.execute("CREATE TABLE t (x)")
    database.execute("PRAGMA cache_size = 1")
    database.execute("BEGIN")
    database.executemany("INSERT INTO t VALUES (?)", [["good" * 100]] * 500)
    database.execute("COMMIT")
    end(database)
def crash(database):
    database.execute("BEGIN")
    database.execute("UPDATE t SET x = 'bad' || x")
    for suffix in ("", "-journal"):
        shutil.copyfile(f"keep/tmp/source.db{suffix}", f"keep/crashed.db{suffix}")
def log(database):
    for suffix in ("", "-wal"):
        shutil.copyfile(f"keep/tmp/log.db{suffix}", f"keep/log.db{suffix}")
commits("keep/tmp/source.db", "delete", crash)
commits("keep/tmp/log.db", "wal", log)
shutil.rmtree("keep/tmp")
assert os.path.getsize("keep/crashed.db-journal") and os.path.getsize("keep/log.db-wal") > 100000
"""
GOOD = """
for name in ("crashed", "log"):
    database = sqlite3.connect(f"keep/{name}.db")
    print(database.execute("select count(*) from t where x like 'good%'").fetchone()[0])
"""


def test_a_backup_brings_it_back(prod: World) -> None:
    """Red when a database is copied as a file, is not looked through, or comes back while it is in use."""
    inside(prod, ODD)
    inside(prod, "open('keep/note.txt', 'w').write('then')")
    before = visitors(prod)
    kept = backup(prod, "kept")
    with tarfile.open(kept) as archive:
        metadata = json.load(archive.extractfile("metadata.json"))  # type: ignore[arg-type]
    assert metadata["members"].keys() == {"media.tar.zst", "data.tar.zst"}
    assert metadata["data"]["sqlite"] == [
        "app/db.sqlite3", "app/keep/crashed.db", "app/keep/log.db",
    ]  # fmt: skip
    # The three, and first.txt, note.txt and shared: no journal and no log.
    assert metadata["data"]["files"] == 6
    rows = {row["what"]: row for row in json.loads(prod.invoke("db.verify", kept.name, "--json").stdout)}
    assert all(row["same"] for row in rows.values())
    assert rows["SQLite app/keep/log.db"]["found"] == "ok" and rows["data files"]["found"] == 6
    enter(prod)
    inside(prod, "open('keep/note.txt', 'w').write('since')\nopen('keep/new.txt', 'w')")
    prod.invoke("db.restore", kept.name, "--yes")
    assert visitors(prod) == before
    assert enter(prod) == before + 1
    assert inside(prod, GOOD).split() == ["500", "500"]
    assert inside(prod, "print(open('keep/note.txt').read(), os.path.exists('keep/new.txt'))") == "then False"
    assert (
        inside(prod, "print(sorted(os.listdir('/srv/data')), os.stat('db.sqlite3').st_uid)")
        == "['app'] 10001"
    )
    sharing = prod.container("sharing")
    assert sharing["State"]["Running"]


def test_a_scheduled_backup_has_it(prod: World) -> None:
    """Red when only the tasks' own containers see the volume."""
    backups = prod.root / "backups"
    there = set(backups.glob("*.tar"))
    state = {"covered": "2020-01-01T00:00:00+00:00", "running": None, "failures": 0, "problem": ""}
    (backups / ".work" / "schedule.json").write_text(json.dumps(state))
    (backups / ".work" / "schedule.json").chmod(0o666)
    prod.write_env(BACKUP_SCHEDULE="'0 0 1 1 *'")
    try:
        prod.invoke("up", "--no-build")
        eventually(lambda: set(backups.glob("*.tar")) - there, "the run that was missed")
    finally:
        prod.write_env(BACKUP_SCHEDULE="")
        prod.invoke("up", "--no-build")
    [made] = set(backups.glob("*.tar")) - there
    rows = json.loads(prod.invoke("db.verify", made.name, "--json").stdout)
    assert {"SQLite app/db.sqlite3", "data files"} <= {row["what"] for row in rows}


def test_a_damaged_database_is_seen(prod: World) -> None:
    """Red when verifying counts bytes alone, or damage here keeps a good backup from coming back."""
    good = backup(prod, "good")
    inside(prod, "f = open('keep/log.db', 'r+b'); f.seek(4096); f.write(b'x' * 4096)")
    bad = backup(prod, "bad")
    refused = prod.invoke("db.verify", bad.name, check=False)
    assert refused.returncode == 1
    assert "SLIP-102" in refused.stderr and "SQLite app/keep/log.db" in refused.stderr.splitlines()[-2]
    prod.invoke("db.restore", good.name, "--yes")
    assert inside(prod, GOOD).split() == ["500", "500"]


def test_a_restore_that_fails_is_undone(prod: World) -> None:
    """Red when web stays stopped, the site closed, or anything of the backup is there."""
    kept = backup(prod, "undone")
    now = enter(prod)
    began = replica(prod)["State"]["StartedAt"]
    # The backup that is made before stumbles over it, and web has been stopped by then.
    inside(prod, "os.symlink('/etc/hostname', 'keep/out')")
    failed = prod.invoke("db.restore", kept.name, "--yes", check=False)
    assert failed.returncode == 1 and "SLIP-100" in failed.stderr and "keep/out" in failed.stderr
    assert replica(prod)["State"]["StartedAt"] > began, "it was not stopped"
    assert visitors(prod) == now
    assert enter(prod) == now + 1
    inside(prod, "os.unlink('keep/out')")
    assert prod.container("sharing")["State"]["Running"]
    assert inside(prod, "print(os.listdir('/srv/data'))") == "['app']"


def test_a_restore_that_is_killed_is_ended(prod: World) -> None:
    """Red when the next run does not put the volume in place, or leaves web or the processes stopped."""
    kept = backup(prod, "killed")
    was = visitors(prod)
    enter(prod)
    argv = [sys.executable, "-m", "invoke", "db.restore", kept.name, "--yes", "--prod"]
    with subprocess.Popen(
        argv, cwd=prod.root, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as task:
        assert task.stderr is not None
        assert any("restore-media swap media" in line for line in task.stderr)
        os.killpg(task.pid, signal.SIGKILL)
    assert "has been restored" in prod.invoke("db.backup").stderr
    assert visitors(prod) == was
    assert enter(prod) == was + 1
    assert prod.container("sharing")["State"]["Running"]


def test_an_older_archive_leaves_the_volume_alone(prod: World) -> None:
    """Red when an archive without the part is refused, or empties the volume."""
    kept = backup(prod, "whole")
    old = kept.with_name("20200101T000000Z-prod.tar")
    _without_data(kept, old)
    now = enter(prod)
    assert "DATA_PATHS keeps, which stays as it is" in prod.invoke("db.restore", old.name, "--yes").stderr
    assert enter(prod) == now + 1


def _without_data(whole: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as name, whole.open("rb") as stream:
        reader = archives.Reader(stream, whole.name)
        metadata = reader.metadata()
        reader.members(metadata, Path(name))
        for facts in (metadata, metadata["members"]):
            facts.pop("data", None)
            facts.pop(archives.DATA, None)
        metadata["format"] = archives.FORMAT
        with target.open("wb") as sink:
            archives.write(sink, metadata, {member: Path(name) / member for member in metadata["members"]})
    shutil.chown(target, whole.stat().st_uid)


def test_a_stack_without_data_paths_refuses_it(prod: World) -> None:
    """Red when what cannot be put back is left out silently."""
    kept = backup(prod, "refused")
    prod.write_env(DATA_PATHS="")
    try:
        refused = prod.invoke("db.restore", kept.name, "--yes", check=False)
    finally:
        prod.write_env(DATA_PATHS=SETTINGS["DATA_PATHS"])
    assert refused.returncode == 1 and "SLIP-159" in refused.stderr
    assert enter(prod)


def test_it_goes_with_the_volumes(prod: World) -> None:
    """Red when the volume is not Compose's own: ``down --volumes`` would leave it."""
    prod.invoke("down", "--volumes", "--yes")
    assert prod.left_behind()["volumes"] == []
