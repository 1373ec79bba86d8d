"""Backups by a schedule, and their copies in a store: made, pruned, copied, made up for, never by halves.

The stack is its database and the service `backup` alone: nothing here asks the site.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from backupkit import folder
from storekit import BUCKET, Store, store

from slipway.config.settings import load
from slipway.orchestrators.compose import Stack
from tests.support.polling import eventually
from tests.support.world import World, docker, world

# A run is due every minute; this machine may be busy.
_SOON = 240.0
_NEVER = "0 0 29 2 *"  # not in the time of a test
_SLEEP = "pg_sleep(600)"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with store(tmp_path_factory.mktemp("store")) as own:
        yield own


@pytest.fixture(scope="module")
def prod(
    tmp_path_factory: pytest.TempPathFactory, bucket: Store, request: pytest.FixtureRequest
) -> Iterator[World]:
    """Database and schedule, with one table and a store; no run is due."""
    with world(
        tmp_path_factory.mktemp("schedule"), "schedule", prod=True,
        BACKUP_SCHEDULE=_NEVER, BACKUP_KEEP_DAILY="1", BACKUP_KEEP_WEEKLY="0", BACKUP_KEEP_MONTHLY="0",
        BACKUP_S3_BUCKET=BUCKET, BACKUP_S3_ENDPOINT=bucket.url, BACKUP_S3_CA_FILE=str(bucket.certificate),
    ) as own:  # fmt: skip
        own.invoke("init")
        (own.root / "secrets" / "backup").mkdir()
        give_keys(own, bucket)
        own.invoke("db.backups")  # makes the folder and the image
        start(own)
        eventually(lambda: own.health("db") == "healthy", "the database", timeout=_SOON)
        own.sql("create table held (id int); insert into held select generate_series(1, 1000)")
        release(own, "r1")
        yield own
        if request.session.testsfailed:
            own.save("schedule")


def start(own: World, schedule: str = _NEVER) -> None:
    """Start the service as `up` does, without the site's."""
    own.write_env(BACKUP_SCHEDULE=f"'{schedule}'")
    stack = Stack(load(own.root, environ={}), prod=True, cwd=own.root)
    argv = stack.up_only("db", "backup")
    done = subprocess.run(argv, cwd=own.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def give_keys(own: World, bucket: Store) -> None:
    """Write the store's keys in place: a mounted file is an inode."""
    for name, key in (("s3_access_key", bucket.access_key), ("s3_secret_key", bucket.secret_key)):
        path = own.root / "secrets" / "backup" / name
        path.write_text(key + "\n")
        path.chmod(0o444)


def release(own: World, name: str) -> None:
    """Have nginx's volume say that this release serves, as a deploy does."""
    argv = ["run", "--rm", "--user=0", "--entrypoint=ln", f"--volume={own.project}_nginx-configuration:/v"]
    docker(*argv, f"{own.project}-backup", "-sfn", f"releases/{name}", "/v/live")


def archives(own: World) -> list[str]:
    return sorted(path.name for path in folder(own).glob("*.tar"))


def copies(own: World, bucket: Store) -> list[str]:
    return sorted(key.removeprefix(f"{own.name}/") for key in bucket.objects())


def log(own: World) -> str:
    done = subprocess.run(
        ["docker", "logs", f"{own.project}-backup-1"], capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def missed(own: World) -> None:
    """Stop the service, and start it years later."""
    docker("stop", f"{own.project}-backup-1")
    path = folder(own) / ".work" / "schedule.json"
    state = json.loads(path.read_text())
    state["covered"] = (datetime.now(UTC) - timedelta(days=3000)).isoformat()
    path.write_text(json.dumps(state))
    docker("start", f"{own.project}-backup-1")


def new_archive(own: World, before: list[str]) -> str:
    """The name of the one archive that was not there before."""
    return eventually(
        lambda: max(set(archives(own)) - set(before), default=""), "a new archive", timeout=_SOON
    )


def healthy(own: World) -> None:
    """No run is under way, or was missed, and the last one has succeeded."""
    eventually(lambda: at_rest(own), "the run to end well", timeout=_SOON)
    eventually(lambda: own.health("backup") == "healthy", "a healthy service", timeout=_SOON)


def at_rest(own: World) -> bool:
    state = json.loads((folder(own) / ".work" / "schedule.json").read_text())
    recent = datetime.fromisoformat(state["covered"]) > datetime.now(UTC) - timedelta(days=1)
    return recent and state["running"] is None and state["failures"] == 0


def unhealthy(own: World) -> None:
    eventually(lambda: own.health("backup") == "unhealthy", "an unhealthy service", timeout=_SOON)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def sleeping(own: World, statement: str, locks: str) -> Iterator[None]:
    """A session that has taken ``locks`` (a condition on pg_locks) and keeps them, until ``let_go``."""
    argv = ["docker", "exec", f"{own.project}-db-1", "psql", "--username=app", "--dbname=app"]
    argv += ["-c", f"{statement} SELECT {_SLEEP}"]
    session = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        query = f"select count(*) from pg_locks where granted and {locks}"
        eventually(lambda: own.sql(query) == "1", "the lock to be taken")
        yield
    finally:
        let_go(own)
        session.wait(timeout=60)


def let_go(own: World) -> None:
    """End the sessions of ``sleeping``."""
    asleep = f"query like '%{_SLEEP}' and pid <> pg_backend_pid()"
    own.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {asleep}")


@pytest.fixture
def hanging(prod: World) -> Iterator[None]:
    """Every backup waits for a table, until ``let_go``."""
    statement = "BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE;"
    with sleeping(prod, statement, "mode = 'AccessExclusiveLock' and relation = 'held'::regclass"):
        yield


def in_the_making(own: World) -> bool:
    waiting = "select count(*) from pg_locks where not granted and relation = 'held'::regclass"
    return (folder(own) / ".work" / "make").is_dir() and own.sql(waiting) != "0"


def test_nothing_is_made_before_its_time(prod: World) -> None:
    """Red when a first start makes an archive, or is unhealthy before any run was due."""
    healthy(prod)
    assert archives(prod) == []


def test_a_missed_run_is_made_up_for_once(prod: World, bucket: Store) -> None:
    """With its copy. Red when the state is forgotten by a restart, or a restart is a run."""
    missed(prod)
    name = new_archive(prod, [])
    eventually(lambda: copies(prod, bucket) == [name], "the copy", timeout=_SOON)
    healthy(prod)
    docker("restart", f"{prod.project}-backup-1")
    eventually(lambda: log(prod).count("waiting until") >= 3, "the third start to wait")
    assert archives(prod) == [name]
    assert digest(bucket.read(f"{prod.name}/{name}")) == digest((folder(prod) / name).read_bytes())


def test_without_a_schedule_it_goes(prod: World) -> None:
    """Red when Compose, to which a service of a profile is no orphan, is left to find it."""
    prod.write_env(BACKUP_SCHEDULE="")
    prod.invoke("down")
    assert prod.containers() == []
    start(prod)
    healthy(prod)


def test_it_runs_like_everything_else(prod: World) -> None:
    """Red when the service that stays has a right that the one-off has not, or the database a way out."""
    found = prod.container("backup")
    host = found["HostConfig"]
    assert found["Config"]["User"] not in {"", "0", "0:0"}
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] and host["CpuShares"] and host["PidsLimit"]
    assert host["RestartPolicy"]["Name"] == "always"
    assert set(found["NetworkSettings"]["Networks"]) == {f"{prod.project}_data", f"{prod.project}_store"}
    assert set(prod.container("db")["NetworkSettings"]["Networks"]) == {f"{prod.project}_data"}


def test_the_keys_are_nowhere_else(prod: World, bucket: Store) -> None:
    """Red when they are in an environment, a command line or a log, or mounted into another container."""
    config = subprocess.run(
        Stack(load(prod.root, environ={}), prod=True, cwd=prod.root).config(),
        cwd=prod.root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    seen = config + log(prod) + json.dumps(prod.containers())
    seen += docker("history", "--no-trunc", f"{prod.project}-backup")
    for container in prod.containers(everything=False):
        seen += docker("top", container["Id"], "-eo", "pid,args")
        seen += docker("exec", container["Id"], "env")
        mounted = "s3_secret_key" in docker("exec", container["Id"], "ls", "-R", "/run")
        assert mounted == ("backup" in container["Name"]), container["Name"]
    assert bucket.secret_key not in seen
    assert bucket.access_key not in seen


def test_by_hand_it_is_copied_listed_and_brought_back(prod: World, bucket: Store) -> None:
    """Red when a backup made by hand stays here alone, or what is fetched cannot be restored."""
    name = prod.invoke("db.backup", "--label", "by-hand").stdout.strip()
    original = folder(prod) / name
    content = original.read_bytes()
    assert bucket.read(f"{prod.name}/{name}") == content
    listed = json.loads(prod.invoke("db.backups", "--remote", "--json").stdout)
    assert {entry["name"]: (entry["size"], entry["here"]) for entry in listed}[name] == (len(content), True)
    original.unlink()
    assert prod.invoke("db.fetch", name.removesuffix(".tar")).stdout.strip() == name
    assert original.read_bytes() == content
    assert prod.invoke("db.fetch", "latest").stdout.strip() == name
    prod.invoke("db.verify", name)


def test_what_is_damaged_in_the_store_is_not_brought_back(prod: World, bucket: Store) -> None:
    """Red when a fetch believes the store, or takes the place of what is here."""
    name = archives(prod)[-1]
    whole = (folder(prod) / name).read_bytes()
    middle = len(whole) // 2
    altered = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    bucket.client("s3").put_object(Bucket=BUCKET, Key=f"{prod.name}/{name}", Body=altered)
    (folder(prod) / name).unlink()
    refused = prod.invoke("db.fetch", name, check=False)
    assert refused.returncode == 1
    assert "SLIP-095" in refused.stderr
    assert not (folder(prod) / name).exists()
    assert not (folder(prod) / ".work" / "fetch").exists()
    (folder(prod) / name).write_bytes(whole)
    bucket.client("s3").put_object(Bucket=BUCKET, Key=f"{prod.name}/{name}", Body=whole + b"x")
    assert "SLIP-095" in prod.invoke("db.fetch", name, check=False).stderr
    assert (folder(prod) / name).read_bytes() == whole
    assert "SLIP-114" in prod.invoke("db.fetch", "20200101T000000Z-prod", check=False).stderr


def test_every_run_prunes_in_both_places_and_knows_the_release(prod: World, bucket: Store) -> None:
    """Red when retention is not applied in one of them, or a container that stays misses a deploy."""
    start(prod, "* * * * *")
    container = prod.container("backup")["Id"]
    first = new_archive(prod, archives(prod))
    eventually(lambda: copies(prod, bucket) == archives(prod) == [first], "only the newest", timeout=_SOON)
    release(prod, "r2")
    second = new_archive(prod, [first])
    metadata = subprocess.run(
        ["tar", "--extract", "--to-stdout", f"--file={folder(prod) / second}", "metadata.json"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert json.loads(metadata)["release"] == "r2"
    assert prod.container("backup")["Id"] == container
    healthy(prod)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_an_interrupted_run_leaves_nothing_and_comes_again(
    prod: World, hanging: None, number: signal.Signals
) -> None:
    """Red when SIGTERM is waited out, a part of an archive is left, or the run is taken for done."""
    start(prod)
    before = archives(prod)
    missed(prod)
    eventually(lambda: in_the_making(prod), "a backup that hangs", timeout=_SOON)
    if number is signal.SIGTERM:
        begun = time.monotonic()
        docker("stop", "--time", "60", f"{prod.project}-backup-1")
        assert time.monotonic() - begun < 50
        assert not (folder(prod) / ".work" / "make").exists()
    else:
        docker("kill", f"{prod.project}-backup-1")
    assert archives(prod) == before
    let_go(prod)
    docker("start", f"{prod.project}-backup-1")
    new_archive(prod, before)
    eventually(lambda: not (folder(prod) / ".work" / "make").exists(), "the work to be cleared")
    healthy(prod)


def test_two_are_never_made_at_once(prod: World, hanging: None) -> None:
    """Red when the schedule and a person do not wait for each other."""
    start(prod)
    before = archives(prod)
    missed(prod)
    eventually(lambda: in_the_making(prod), "a backup that hangs", timeout=_SOON)
    told = prod.root / "by-hand.log"
    argv = [sys.executable, "-m", "invoke", "db.backup", "--prod", "--label", "second"]
    with told.open("wb") as log_file:
        by_hand = subprocess.Popen(argv, cwd=prod.root, stdout=log_file, stderr=log_file)
    eventually(lambda: "waiting for another one" in told.read_text(), "the second to wait", timeout=_SOON)
    assert archives(prod) == before
    let_go(prod)
    assert by_hand.wait(timeout=_SOON) == 0, told.read_text()
    healthy(prod)


def test_migrations_are_waited_for(prod: World) -> None:
    """Red when both may run at once: they then wait for each other, for ever."""
    start(prod)
    before = archives(prod)
    lock = f"SELECT pg_advisory_lock({int.from_bytes(b'SLIPWAY', 'big')});"
    with sleeping(prod, lock, "locktype = 'advisory'"):
        missed(prod)
        eventually(lambda: "waiting for migrations" in log(prod), "the backup to wait", timeout=_SOON)
        assert archives(prod) == before
    new_archive(prod, before)
    healthy(prod)


def test_a_failed_run_is_told_and_tried_again(prod: World) -> None:
    """Red when a failure is silent, healthy, or the end of the schedule."""
    start(prod)
    before = archives(prod)
    docker("stop", f"{prod.project}-db-1")
    missed(prod)
    unhealthy(prod)
    line = next(line for line in reversed(log(prod).splitlines()) if "SLIP-111" in line)
    assert "again at" in line
    assert "SLIP-100" in line
    docker("start", f"{prod.project}-db-1")
    new_archive(prod, before)
    healthy(prod)


def test_a_store_that_fails_delays_nothing_but_the_copy(prod: World, bucket: Store) -> None:
    """Red when no archive is made without it, the cause is not told, or the copy is forgotten."""
    start(prod)
    before = archives(prod)
    bucket.stop()
    missed(prod)
    new_archive(prod, before)
    unhealthy(prod)
    assert "SLIP-112" in log(prod)
    by_hand = prod.invoke("db.backup", check=False)
    assert (by_hand.returncode, "SLIP-112" in by_hand.stderr) == (1, True)
    name = by_hand.stdout.strip()
    assert name in archives(prod)
    bucket.start()  # with other keys
    docker("restart", f"{prod.project}-backup-1")
    eventually(lambda: "SLIP-113" in log(prod), "the refusal to be told", timeout=_SOON)
    assert prod.health("backup") != "healthy"
    refused = prod.invoke("db.backups", "--remote", check=False)
    assert refused.returncode == 1
    assert "SLIP-113" in refused.stderr
    assert "secrets/backup/s3_access_key" in refused.stderr
    give_keys(prod, bucket)
    # Untouched it tries again by itself.
    eventually(lambda: name in copies(prod, bucket), "the copy", timeout=_SOON)
    healthy(prod)
    assert archives(prod) == [name]
