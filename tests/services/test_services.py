"""Redis, Celery's worker and beat, a process of the project's own and a second database, in production."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

from serviceskit import BESIDE, SCHEDULED, appended, images, query, seen, send, since

from tests.support.polling import eventually
from tests.support.world import World, docker


def test_everything_beside_web_works(prod: World) -> None:
    """A task goes through Redis and writes into both databases; beat sends; the line of `.env` runs.

    Red when one of them is left out of the compose files, or MIGRATE_DATABASES is not read.
    """
    send(prod, "hello")
    found = eventually(lambda: (a := seen(prod, "hello"))["reports"] == 1 and a, "the worker to write")
    assert found["asked"] == "asked" and len(found["entries"]) == 1
    assert query(prod, "reports", "select count(*) from jobs_report where word = 'hello'") == "1"
    assert query(prod, "reports", "select to_regclass('jobs_entry') is null") == "t"
    release = images(prod)["web"]
    for word in ("tick", "a word"):
        eventually(lambda word=word: since(prod, release, word) > 1, f"{word} to be written twice")
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'reports'"
    assert query(prod, "app", owner) == "app"


def test_the_tasks_know_them(prod: World) -> None:
    """Red when ps, logs or exec take them for strangers, or exec passes the entrypoint by."""
    listed = {row["service"] for row in json.loads(prod.invoke("ps", "--json").stdout)}
    assert {*BESIDE, "redis"} <= listed
    assert "celery@" in prod.invoke("logs", "--services", "worker").stdout
    said = prod.invoke("exec", "worker", "--", "printenv", "DATABASE_PASSWORD").stdout
    assert len(said.strip()) > 40, "the secret, not its placeholder"
    before = prod.container("heart-beat")["State"]["StartedAt"]
    prod.invoke("restart", "--services", "heart-beat")
    assert prod.container("heart-beat")["State"]["StartedAt"] != before
    unknown = prod.invoke("logs", "--services", "mailer", check=False)
    assert "SLIP-067" in unknown.stderr and "heart-beat" in unknown.stderr


def test_a_queue_outlives_redis(prod: World) -> None:
    """Red without `--appendonly yes`; Redis is killed, and starts again by itself."""
    prod.invoke("stop", "--services", "worker")
    send(prod, "queued")
    # What was acknowledged more than a second ago is on the disk.
    flushed = "aof_pending_bio_fsync:0"
    eventually(lambda: flushed in _redis(prod, "info", "persistence"), "the file to be flushed")
    before = prod.container("redis")
    docker("exec", before["Id"], "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)", check=False)
    eventually(
        lambda: (
            prod.container("redis")["State"]["StartedAt"] != before["State"]["StartedAt"]
            and prod.health("redis") == "healthy"
        ),
        "Redis to be back",
    )
    prod.invoke("start", "--services", "worker")
    eventually(lambda: seen(prod, "queued")["reports"] == 1, "the task to be done")


def _redis(prod: World, *command: str) -> str:
    return docker("exec", f"{prod.project}-redis-1", "valkey-cli", *command)


def test_a_full_redis_drops_what_may_go_and_keeps_the_queue(prod: World) -> None:
    """Red without the bound of docker/redis/start.sh (the kernel kills it then), and with `noeviction`."""
    _redis(prod, "lpush", "kept", "a task")
    started = prod.container("redis")["State"]["StartedAt"]
    # From another container: in Redis's own it would share the memory.
    filling = ["-n", "3000", "-r", "1000000", "set", "cache:__rand_int__", "x" * 100_000, "ex", "600"]
    image = prod.container("redis")["Config"]["Image"]
    client = ["--rm", "--network", f"{prod.project}_data", image, "valkey-benchmark", "-h", "redis", "-q"]
    docker("run", *client, *filling)
    assert _redis(prod, "lrange", "kept", "0", "-1").strip() == "a task"
    assert int(_redis(prod, "info", "stats").split("evicted_keys:")[1].split()[0]) > 0
    assert prod.container("redis")["State"]["StartedAt"] == started, "it was killed"


@dataclass
class _Watch:
    """Looks at the containers of the stack as long as the block lasts: the most of each service at a time."""

    own: World
    most: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> _Watch:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        label = f"label=com.docker.compose.project={self.own.project}"
        columns = '{{.Label "com.docker.compose.service"}}'
        while not self._end.wait(0.1):
            names = docker("ps", "--filter", label, "--format", columns).split()
            for name in names:
                self.most[name] = max(self.most.get(name, 0), names.count(name))

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def test_a_deploy_changes_them_and_loses_no_task(prod: World) -> None:
    """A task in the middle of its work is finished by the release that began it; there are never two beats.

    Red when they are not replaced, when the old ones are killed, or when the new start beside the old; seen
    without the step `processes`.
    """
    old = images(prod)["web"]
    send(prod, "long", 5)
    eventually(lambda: "jobs.tasks.note" in docker("logs", f"{prod.project}-worker-1"), "the task to begin")
    with _Watch(prod) as watch:
        prod.invoke("deploy", "--release", "second")
    assert images(prod) == dict.fromkeys([*BESIDE, "web"], "second")
    assert watch.most["web"] == 2, "the watch looks often enough to see two of web"
    assert {name: watch.most[name] for name in BESIDE} == dict.fromkeys(BESIDE, 1)
    assert seen(prod, "long")["entries"] == [old]
    send(prod, "after")
    eventually(lambda: seen(prod, "after")["entries"] == ["second"], "the new worker to write")
    eventually(lambda: since(prod, "second", "tick") > 1, "the new beat to send")


def test_a_deploy_whose_worker_does_not_stay_changes_nothing(prod: World) -> None:
    """Red when the switch does not wait for them, or `self.processes.restore()` is left out."""
    broken = '\nimport sys\nif "worker" in sys.argv:\n    raise RuntimeError("this worker is broken")\n'
    before = images(prod)
    with appended(prod, "project/config/celery.py", broken):
        failed = prod.invoke("deploy", "--release", "broken", check=False)
    assert failed.returncode == 1
    assert "SLIP-080" in failed.stderr and "this worker is broken" in failed.stderr
    assert images(prod) == before
    send(prod, "still")
    eventually(lambda: seen(prod, "still")["entries"] == [before["worker"]], "the old worker to write")
    eventually(lambda: prod.health("beat") == "healthy", "beat to be back")


def test_a_deploy_that_fails_earlier_leaves_them_alone(prod: World) -> None:
    """Red when they are stopped before the new web is known to be well."""
    started = {name: prod.container(name)["State"]["StartedAt"] for name in BESIDE}
    with appended(prod, "project/config/wsgi.py", '\nraise RuntimeError("no web")\n'):
        failed = prod.invoke("deploy", "--release", "no-web", check=False)
    assert "SLIP-080" in failed.stderr
    assert {name: prod.container(name)["State"]["StartedAt"] for name in BESIDE} == started


def test_a_rollback_takes_them_back(prod: World) -> None:
    """Red when rollback changes web alone."""
    prod.invoke("rollback")
    assert set(images(prod)) == {*BESIDE, "web"}
    assert len(set(images(prod).values())) == 1 and "second" not in images(prod).values()
    prod.invoke("deploy", "--release", "third")


def test_a_restore_brings_both_databases_back(prod: World) -> None:
    """What was written after the backup is gone from both, and in the backup that the restore makes first.

    Red when the archive has one database, or when the two are not exchanged together; seen without
    `source.extra` in backuprestore.
    """
    send(prod, "before")
    eventually(lambda: seen(prod, "before")["reports"] == 1, "the worker to write")
    name = prod.invoke("db.backup").stdout.strip().splitlines()[-1]
    rows = {row["what"]: row for row in json.loads(prod.invoke("db.verify", name, "--json").stdout)}
    assert rows["reports: public.jobs_report"]["same"] and rows["public.jobs_entry"]["same"]
    send(prod, "later")
    eventually(lambda: seen(prod, "later")["reports"] == 1, "the worker to write")
    prod.invoke("db.restore", name, "--yes")
    assert seen(prod, "before")["reports"] == 1 and len(seen(prod, "before")["entries"]) == 1
    assert seen(prod, "later")["reports"] == 0 and seen(prod, "later")["entries"] == []
    assert set(images(prod)) == {*BESIDE, "web"}, "they work again"
    safety = next((prod.root / "backups").glob("*-before-restore.tar")).name
    prod.invoke("db.restore", safety, "--yes")
    assert seen(prod, "later")["reports"] == 1


def test_going_back_with_the_dump_of_a_deploy_takes_both_databases(prod: World) -> None:
    """Red when a deploy dumps, or a rollback restores, the project's own database alone."""
    send(prod, "kept")
    eventually(lambda: seen(prod, "kept")["reports"] == 1, "the worker to write")
    prod.invoke("deploy", "--release", "fourth")
    send(prod, "gone")
    eventually(lambda: seen(prod, "gone")["reports"] == 1, "the worker to write")
    prod.invoke("rollback", "--restore-backup", "--yes")
    assert seen(prod, "kept")["reports"] == 1 and seen(prod, "gone")["reports"] == 0
    assert set(images(prod).values()) == {"third"}


def test_an_upgrade_of_the_database_keeps_them_out(prod: World) -> None:
    """They stop before the old server is cut off, and work on the new one.

    Red when a task fails meanwhile, or they do not come back.
    """
    failures = docker("logs", f"{prod.project}-worker-1").count("raised unexpected")
    ids = {name: prod.container(name)["Id"] for name in BESIDE}
    prod.invoke("db.upgrade", "--to", "18", "--yes")
    assert {name: prod.container(name)["Id"] for name in BESIDE} == ids
    send(prod, "upgraded")
    eventually(lambda: seen(prod, "upgraded")["reports"] == 1, "the worker to write")
    assert query(prod, "reports", "show server_version").startswith("18")
    logs = prod.docker("logs", f"{prod.project}-worker-1")
    assert logs.count("raised unexpected") == failures


def test_a_name_is_added_and_a_line_taken_out(prod: World) -> None:
    """Another database without a restart of the server; a process that is gone from `.env` is gone.

    Red when a name that is added later is not created, or the container stays.
    """
    server = prod.container("db")["State"]["StartedAt"]
    lines = (prod.root / ".env").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("PROCESS_HEART_BEAT")]
    (prod.root / ".env").write_text("\n".join(kept) + "\n")
    prod.write_env(EXTRA_DATABASES="'reports archive'")
    prod.invoke("deploy", "--release", "fifth")
    assert query(prod, "archive", "select current_database()") == "archive"
    assert prod.container("db")["State"]["StartedAt"] == server
    assert set(images(prod)) == {"beat", *SCHEDULED, "worker", "web"}


def test_a_process_that_ends_is_told(prod: World) -> None:
    """Red when one that ends without an error counts as started."""
    prod.write_env(PROCESS_ONCE="python manage.py check")
    failed = prod.invoke("up", check=False)
    assert failed.returncode == 1
    assert "SLIP-064" in failed.stderr and "once does not stay" in failed.stderr
