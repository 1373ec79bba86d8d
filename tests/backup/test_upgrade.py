"""PostgreSQL 17 to 18 with data in it and visitors on the site; failed, killed and refused upgrades.

One production stack for all of them. Whatever fails must leave it as it was, which the next test relies on.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.load import Load, add_slow_view
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker, world

OLD, NEW = "slipway/postgres:17-trixie", "slipway/postgres:18-trixie"
# What a plain dump of one database's tables would lose: roles, a second database, settings, odd names.
_DATA = (
    "CREATE ROLE reader LOGIN PASSWORD 'a reader''s'",
    "CREATE SCHEMA extra",
    'CREATE TABLE extra."Odd ""Name" (id serial PRIMARY KEY, text text NOT NULL UNIQUE)',
    'INSERT INTO extra."Odd ""Name" (text) SELECT \'row \' || n FROM generate_series(1, 20000) n',
    'GRANT SELECT ON extra."Odd ""Name" TO reader',
    "CREATE EXTENSION pg_trgm",
    "CREATE SEQUENCE extra.tickets START 100",
    "SELECT nextval('extra.tickets'), nextval('extra.tickets')",
    "SELECT lo_from_bytea(0, 'a large object')",
    "ALTER DATABASE app SET work_mem = '5MB'",
    "CREATE DATABASE second OWNER reader",
)
_TOLD = (
    'SELECT count(*), max(id), max(text) FROM extra."Odd ""Name"',
    "SELECT has_table_privilege('reader', 'extra.\"Odd \"\"Name\"', 'SELECT')",
    "SELECT last_value FROM extra.tickets",
    "SELECT extname FROM pg_extension ORDER BY 1",
    "SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata",
    "SHOW work_mem",
    "SELECT datname, pg_get_userbyid(datdba) FROM pg_database ORDER BY 1",
    "SELECT rolname, rolpassword FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1",
    "SELECT app, name FROM django_migrations ORDER BY id",
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A production stack on PostgreSQL 17."""
    assert docker("image", "ls", "--quiet", OLD), f"{OLD} is missing: invoke bases"
    # With a schedule that never comes: the service that follows it needs programs of the server's version.
    settings = {"POSTGRES_IMAGE": OLD, "BACKUP_SCHEDULE": "0 0 29 2 *"}
    with world(tmp_path_factory.mktemp("upgrade"), "upgrade", prod=True, **settings) as own:
        add_slow_view(own)
        own.invoke("up")
        for statement in _DATA:
            own.sql(statement)
        Site(own.url).submit("/", {"text": "written on seventeen"})
        yield own


@pytest.fixture
def prod(own: World) -> World:
    """The stack on PostgreSQL 17 and nothing else, whatever the test before has reached."""
    if version(own) != "17":
        go_back(own)
    return own


def go_back(own: World) -> None:
    """Back to the volume from before the upgrade, as docs/upgrades.md tells a person to do it."""
    own.write_env(POSTGRES_IMAGE=OLD)
    machine = own.root / ".slipway" / "machine.env"
    machine.write_text(machine.read_text().replace("DB_VOLUME_SUFFIX_PROD=-18\n", ""))
    own.invoke("up", "--no-build")
    own.invoke("db.upgrade", "--discard-old", "--yes")
    assert version(own) == "17"


def version(own: World) -> str:
    """The major version that serves."""
    return own.sql("SHOW server_version").split(".")[0]


def told(own: World) -> list[str]:
    """What must be the same on both versions."""
    return [own.sql(query) for query in _TOLD]


def files(own: World) -> dict[str, str]:
    """What the upgrade writes to and must put back."""
    return {name: (own.root / name).read_text() for name in (".env", ".slipway/machine.env")}


def volumes(own: World) -> set[str]:
    """The ends of the names of the database's volumes."""
    found = own.left_behind()["volumes"]
    return {n.removeprefix(f"{own.project}_") for n in found if n.startswith(f"{own.project}_db")}


def assert_serves(own: World, major: str) -> None:
    """The site is open and takes entries, on ``major``; nothing of an upgrade is left but volumes."""
    assert version(own) == major
    text = f"entry {time.monotonic_ns()}"
    assert Site(own.url).submit("/", {"text": text}).status_code == 302
    assert text in Site(own.url).get("/").text
    assert own.invoke("maintenance", "status").stdout.strip() == "maintenance is off"
    names = {c["Config"]["Labels"]["com.docker.compose.service"]: c["Name"] for c in own.containers()}
    assert len(own.containers()) == len(names), "a container was left behind"
    assert names["db"] == f"/{own.project}-db-1"
    left = [p.name for p in (own.root / ".slipway").iterdir() if "-upgrade" in p.name]
    assert left == [], "files were left behind"


@contextlib.contextmanager
def unchanged(own: World) -> Iterator[None]:
    """Seventeen serves before and after, with the same files and volumes."""
    before = told(own), files(own), volumes(own)
    yield
    assert_serves(own, "17")
    assert (told(own), files(own), volumes(own)) == before
    assert volumes(own) == {"db"}


class Saboteur:
    """A ``docker`` before the real one on PATH that acts once, at the first command that contains a text."""

    def __init__(self, folder: Path, at: str, act: str) -> None:
        self.marker = folder / "done"
        program = folder / "bin" / "docker"
        program.parent.mkdir()
        # The words of the command, after the image that Compose is told to use.
        program.write_text(
            f"""#!/bin/bash
real={shutil.which("docker")}
if [ ! -e {self.marker} ] && [[ "${{POSTGRES_IMAGE:-}} $*" == *{at!r}* ]]; then
    touch {self.marker}
    {act}
fi
exec "$real" "$@"
"""
        )
        program.chmod(0o755)
        self.env = {"PATH": f"{program.parent}:{os.environ['PATH']}"}


_FAIL = "echo sabotaged >&2; exit 1"
# At which command, what happens there, and the step that must be said to have failed.
_FAULTS = {
    "new-volume": ("run --detach --no-deps", _FAIL, "new volume"),
    "new-server-does-not-start": (
        "run --detach --no-deps",
        # The marker of first-start.sh is a folder: the container's own start fails.
        '"$real" volume create --label com.docker.compose.project={project}'
        ' --label com.docker.compose.volume=db {project}_db-18 >&2;'
        ' "$real" run --rm --user=0 --entrypoint=mkdir -v {project}_db-18:/v {image} -p /v/.first-start',
        "new volume",
    ),
    "close": ("maintenance on", _FAIL, "close the site"),
    "cut-off": ("network disconnect", _FAIL, "cut off"),
    "dump": ("pg_dump ", _FAIL, "dump"),
    "dump-of-roles": ("pg_dumpall", _FAIL, "dump"),
    "restore": ("pg_restore", _FAIL, "restore"),
    "restore-half": (
        "pg_restore",
        '"$real" "$@" & sleep 0.2; "$real" restart -t 0 {project}-db-upgrade >&2; wait; exit 1',
        "restore",
    ),
    "compare-a-row": (
        "vacuumdb",
        '"$real" exec {project}-db-upgrade psql -U app -d app -qc'
        ' "DELETE FROM guestbook_entry WHERE id = (SELECT max(id) FROM guestbook_entry)" >&2',
        "compare",
    ),
    "compare-a-sequence": (
        "vacuumdb",
        '"$real" exec {project}-db-upgrade psql -U app -d app -qc "SELECT setval(\'extra.tickets\', 1)" >&2',
        "compare",
    ),
    "compare-an-index": (
        "vacuumdb",
        '"$real" exec {project}-db-upgrade psql -U app -d app -qc "DROP INDEX guestbook_entry_mine" >&2',
        "compare",
    ),
    "switch": ("stop -t 60 ", _FAIL, "switch"),
    "start": (
        f"{NEW} compose",
        "case \"$*\" in *' up '*) echo sabotaged >&2; exit 1;; *) rm {marker};; esac",
        "start",
    ),
    "start-unhealthy": (
        f"{NEW} compose",
        "case \"$*\" in *' up '*) \"$real\" run --rm --user=0 --entrypoint=rm -v {project}_db-18:/v {image}"
        " -rf /v/pgdata/global >&2;; *) rm {marker};; esac",
        "start",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(_FAULTS))
def test_a_failure_at_any_step_leaves_the_old_server_in_use(prod: World, tmp_path: Path, name: str) -> None:
    """Red when a step's failure is not noticed, or `take_back` leaves out one of: the container beside, the
    new volume, .env and machine.env, the networks of `db`, the closed site, the dumps.
    """
    at, act, step = _FAULTS[name]
    if name == "compare-an-index":
        prod.sql("CREATE INDEX IF NOT EXISTS guestbook_entry_mine ON guestbook_entry (text)")
    act = act.replace("{project}", prod.project).replace("{image}", OLD)
    saboteur = Saboteur(tmp_path, at, act.replace("{marker}", str(tmp_path / "done")))
    with unchanged(prod):
        failed = prod.invoke("db.upgrade", "--to", "18", "--yes", check=False, env=saboteur.env)
        assert saboteur.marker.exists(), "nothing was sabotaged"
        assert failed.returncode != 0
        assert f"SLIP-107: the step '{step}' failed" in failed.stderr
        assert "PostgreSQL 17 is in use" in failed.stderr


def _begin(own: World, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", "db.upgrade", "--to", "18", "--prod", "--yes"], cwd=own.root,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, **env},
    )  # fmt: skip


def _wait_for_step(process: subprocess.Popen[str], step: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip() == f"== {step}":
            return
    raise AssertionError(f"the upgrade ended before {step}")


_STEPS = (
    "check room", "new volume", "close the site", "cut off", "dump", "restore", "compare", "switch", "start",
    "open the site",
)  # fmt: skip


@pytest.mark.parametrize("alone", [False, True], ids=["with-its-commands", "alone"])
@pytest.mark.parametrize("step", _STEPS)
def test_an_upgrade_that_is_killed_is_taken_back_without_a_hand(prod: World, step: str, alone: bool) -> None:
    """Nobody runs a command afterwards; the site opens by itself, on one version or the other.

    Red without the guard: the site stays closed. Red when it does not wait for commands that go on, or when
    the journal is written after what it is about.
    """
    before = told(prod), files(prod)
    killed = _begin(prod)
    _wait_for_step(killed, step)
    delay = random.uniform(0, 0.8)
    print(f"killed {delay:.2f} s after the begin of {step}")
    time.sleep(delay)
    if alone:
        os.kill(killed.pid, signal.SIGKILL)
    else:
        os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(timeout=30)
    journal = prod.root / ".slipway" / f"{prod.project}-upgrade.json"
    eventually(lambda: not journal.exists(), "the journal to go", timeout=120)
    eventually(lambda: Site(prod.url).get("/").status_code == 200, "the site to be open", timeout=60)
    assert told(prod) == before[0]
    if version(prod) == "18":
        assert step in {"start", "open the site"}
        assert_serves(prod, "18")
        return
    assert_serves(prod, "17")
    assert files(prod) == before[1]
    assert volumes(prod) == {"db"}


def test_a_power_cut_is_made_good_by_the_next_command(prod: World) -> None:
    """The guard is killed too. Red when `up` does not take back what it finds, or `doctor` does not tell."""
    before = files(prod)
    with_ = "compare"
    killed = _begin(prod)
    _wait_for_step(killed, with_)
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    guards = [p for p in children if b"upgradeguard" in Path(f"/proc/{p}/cmdline").read_bytes()]
    assert len(guards) == 1
    os.kill(int(guards[0]), signal.SIGKILL)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(timeout=30)
    assert Site(prod.url).get("/").status_code == 503
    assert "warning: SLIP-107: an upgrade" in prod.invoke("doctor", check=False).stdout
    prod.invoke("up", "--no-build")
    assert_serves(prod, "17")
    assert files(prod) == before
    assert volumes(prod) == {"db"}


def test_an_upgrade_that_is_terminated_cleans_up(prod: World) -> None:
    """Red when SIGTERM, a CI's or a service manager's, is not taken for an interrupt."""
    with unchanged(prod):
        ended = _begin(prod)
        _wait_for_step(ended, "restore")
        os.kill(ended.pid, signal.SIGTERM)
        assert ended.stderr is not None
        said = ended.stderr.read()
        assert ended.wait(timeout=60) != 0
        assert "PostgreSQL 17 is in use" in said


def test_another_major_version_is_refused_before_anything_runs(prod: World) -> None:
    """Running, stopped and removed. Red when the check is left out of up, deploy, restart or a one-off, or
    believes that a volume without a container is of the image's version.
    """
    containers = {c["Id"]: c["State"]["StartedAt"] for c in prod.containers()}
    prod.write_env(POSTGRES_IMAGE=NEW)
    command = "invoke db.upgrade --to 18 --prod"

    def refused(*arguments: str) -> None:
        done = prod.invoke(*arguments, check=False)
        assert done.returncode != 0, arguments
        assert "SLIP-104" in done.stderr and command in done.stderr, done.stderr
        assert "docker compose" not in done.stderr, "a command was run"

    try:
        refused("up")
        refused("deploy", "--release", "other")
        assert {c["Id"]: c["State"]["StartedAt"] for c in prod.containers()} == containers
        prod.invoke("stop")
        refused("up")
        refused("manage", "check")
        prod.invoke("down")
        refused("up")
        assert prod.containers() == []
    finally:
        prod.write_env(POSTGRES_IMAGE=OLD)
        prod.invoke("up", "--no-build")
    assert_serves(prod, "17")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--to", "16"), "SLIP-105"),
        (("--to", "latest"), "SLIP-105"),
        ((), "SLIP-105"),
        (("--to", "18", "--image", OLD), "SLIP-105"),
    ],
)
def test_a_wrong_version_is_refused(prod: World, arguments: tuple[str, ...], code: str) -> None:
    """Red when the image's own version is not looked at, or a downgrade is tried."""
    with unchanged(prod):
        done = prod.invoke("db.upgrade", *arguments, "--yes", check=False)
        assert done.returncode != 0 and code in done.stderr


def test_nobody_to_ask(prod: World) -> None:
    """Red when it begins without consent."""
    with unchanged(prod):
        done = prod.invoke("db.upgrade", "--to", "18", check=False)
        assert done.returncode != 0 and "SLIP-069" in done.stderr


def test_what_no_dump_holds_is_refused(prod: World) -> None:
    """A prepared transaction would be lost. Red when nobody looks for one."""
    prod.sql("ALTER SYSTEM SET max_prepared_transactions = 1")
    prod.invoke("restart", "--services", "db")
    eventually(lambda: prod.health("db") == "healthy", "the database to be back")
    try:
        docker(
            "exec", f"{prod.project}-db-1", "psql", "-U", "app", "-d", "app", "-c", "BEGIN", "-c",
            "INSERT INTO guestbook_entry (text, created, image) VALUES ('prepared', now(), '')", "-c",
            "PREPARE TRANSACTION 'open'",
        )  # fmt: skip
        done = prod.invoke("db.upgrade", "--to", "18", "--yes", check=False)
        assert done.returncode != 0 and "1 prepared transactions are open" in done.stderr
    finally:
        prod.sql("ROLLBACK PREPARED 'open'")
        prod.sql("ALTER SYSTEM RESET ALL")
        prod.invoke("restart", "--services", "db")
        eventually(lambda: Site(prod.url).get("/").status_code == 200, "the site to be back")
    assert_serves(prod, "17")


def test_seventeen_to_eighteen_while_the_site_is_used(prod: World) -> None:
    """As the refusal told: the image was named first. Visitors find the site open or closed, nothing else.

    Red when the site stays open (an acknowledged entry is lost), when roles or settings are forgotten, when
    .env or machine.env do not say what serves, when scheduled backups go on with the old programs.
    """
    before = told(prod)
    prod.write_env(POSTGRES_IMAGE=NEW)
    with Load(prod.url) as load:
        eventually(lambda: len(load.acknowledged) > 10, "the load to run")
        prod.invoke("db.upgrade", "--to", "18", "--yes")
        count = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > count + 10, "the load to go on")
    stored = prod.sql(f"SELECT text FROM guestbook_entry WHERE text LIKE 'entry-{load.run}-%'").splitlines()
    assert set(load.acknowledged) <= set(stored), "an acknowledged entry was lost"
    assert len(stored) == len(set(stored))
    assert load.failures, "the site was never closed"
    assert {failure.kind for failure in load.failures} == {"503"}, load.failures
    assert told(prod) == before
    assert_serves(prod, "18")
    assert volumes(prod) == {"db", "db-18"}
    assert "PG_MAJOR=18" in prod.container("backup")["Config"]["Env"]


def test_eighteen_is_what_everything_uses_from_then_on(prod: World) -> None:
    """.env named 17. Red when one of image, volume and mount path is not recorded: `up`, a deploy or plain
    docker compose would bring another database.
    """
    before = told(prod)
    env = (prod.root / ".env").read_text()
    prod.write_env(**{"# kept": "with its comment"})
    prod.invoke("db.upgrade", "--to", "18", "--yes")
    after = (prod.root / ".env").read_text()
    assert after == env.replace(OLD, NEW) + "# kept=with its comment\n"
    container = prod.container("db")["Id"]
    flags = prod.invoke("--dry", "ps").stdout.split(" ps")[0]
    subprocess.run(f"{flags} up --detach --no-build db", shell=True, check=True, cwd=prod.root)
    prod.invoke("up", "--no-build")
    prod.invoke("deploy", "--release", "after-the-upgrade")
    assert prod.container("db")["Id"] == container, "the database's container was replaced"
    prod.invoke("down")
    prod.invoke("up", "--no-build")
    assert_serves(prod, "18")
    assert told(prod) == before
    mounts = [(m["Type"], m["Destination"]) for m in prod.container("db")["Mounts"] if m["Type"] == "volume"]
    assert mounts == [("volume", "/var/lib/postgresql")]
    again = prod.invoke("db.upgrade", "--to", "18", "--yes")
    assert "is on PostgreSQL 18 already" in again.stdout
    older = prod.invoke("db.upgrade", "--to", "17", "--yes", check=False)
    assert older.returncode != 0 and "SLIP-105" in older.stderr
    prod.write_env(POSTGRES_IMAGE=OLD)
    refused = prod.invoke("up", check=False)
    assert "SLIP-104" in refused.stderr and "no way back" in refused.stderr
    prod.write_env(POSTGRES_IMAGE=NEW)


def test_the_old_volume_is_kept_until_it_is_discarded(prod: World) -> None:
    """Red when the upgrade deletes it, when --discard-old does not ask, or takes the one in use."""
    prod.invoke("db.upgrade", "--to", "18", "--yes")
    assert volumes(prod) == {"db", "db-18"}
    unasked = prod.invoke("db.upgrade", "--discard-old", check=False)
    assert unasked.returncode != 0 and "SLIP-069" in unasked.stderr
    assert volumes(prod) == {"db", "db-18"}
    go_back(prod)
    assert volumes(prod) == {"db"}
    prod.invoke("db.upgrade", "--to", "18", "--yes")
    prod.invoke("db.upgrade", "--discard-old", "--yes")
    assert volumes(prod) == {"db-18"}
    assert_serves(prod, "18")
    assert "no database volume of an earlier" in prod.invoke("db.upgrade", "--discard-old", "--yes").stdout


def test_development_too_and_from_scratch(tmp_path: Path) -> None:
    """A stopped stack is upgraded and stays stopped; after `down --volumes` 18 starts from nothing.

    Red when DB_VOLUME_TARGET does not follow the image, when `down --volumes` leaves one of the two volumes,
    or the next start looks for the second one.
    """
    with world(tmp_path, "upgrade-dev", prod=False, POSTGRES_IMAGE=OLD) as dev:
        dev.invoke("up")
        Site(dev.url).submit("/", {"text": "of development"})
        dev.invoke("stop")
        dev.invoke("db.upgrade", "--to", "18", "--yes")
        assert all(c["State"]["Status"] != "running" for c in dev.containers())
        assert volumes(dev) == {"db", "db-18"}
        dev.invoke("up", "--no-build")
        assert version(dev) == "18"
        assert "of development" in Site(dev.url).get("/").text
        dev.invoke("down", "--volumes", "--yes")
        assert volumes(dev) == set()
        dev.invoke("up")
        assert version(dev) == "18"
        assert volumes(dev) == {"db"}
        mounts = [m for m in dev.container("db")["Mounts"] if m["Type"] == "volume"]
        assert [(m["Name"], m["Destination"]) for m in mounts] == [
            (f"{dev.project}_db", "/var/lib/postgresql")
        ]
