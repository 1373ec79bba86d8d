"""One stack with a database and nothing else running; its database is new for every test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from slipway.config.settings import load
from slipway.orchestrators.compose import Stack
from tests.support.polling import eventually
from tests.support.world import World, docker

LEDGER = Path(__file__).parent / "ledger"


class Project(World):
    """A world whose project has the app `ledger`."""

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` as the tasks would."""
        argv = Stack(load(self.root, environ={}), prod=False, cwd=self.root).command(*arguments)
        return subprocess.run(argv, cwd=self.root, capture_output=True, text=True, check=False)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Begin `invoke migrate`; both streams of its output are one."""
        return self.begin([sys.executable, "-m", "invoke", "migrate", *arguments], **env)

    def begin(self, argv: Sequence[str], **env: str) -> subprocess.Popen[str]:
        """Begin a command in the copy; both streams of its output are one."""
        return subprocess.Popen(
            argv,
            cwd=self.root,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def sleeps(self, seconds: float) -> None:
        """How long ledger's slow migration takes."""
        (self.root / "example" / "ledger" / "migrations" / "seconds").write_text(str(seconds))

    def applied(self) -> list[str]:
        """The migrations of `ledger` that are recorded, once per row."""
        rows = self.sql("select name from django_migrations where app = 'ledger' order by id")
        return rows.split()

    def sessions(self) -> list[str]:
        """What clients do on the server, besides asking this."""
        return self.sql(
            "select application_name || ': ' || query from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        ).splitlines()

    def waiting(self) -> list[str]:
        """The lock sessions of runs, whether they have the lock or wait for it."""
        return [line for line in self.sessions() if line.startswith("slipway migrate ")]

    def is_in_the_middle(self) -> bool:
        """Whether the slow migration has begun and not ended."""
        return any("pg_sleep" in line for line in self.sessions())

    def locks(self) -> str:
        """How many advisory locks there are."""
        return self.sql("select count(*) from pg_locks where locktype = 'advisory'")

    def killed_containers(self) -> list[str]:
        """Kill every container that runs migrations; the ids."""
        label = f"label=com.docker.compose.project={self.project}"
        service = "label=com.docker.compose.service=migrate"
        ids = docker("ps", "--quiet", "--filter", label, "--filter", service).split()
        for container in ids:
            docker("kill", "--signal", "KILL", container)
        return ids


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Project]:
    """The database, running, and the project's image; gone afterwards, with its logs kept on failure."""
    own = Project(tmp_path_factory.mktemp("migrations"), prod=False)
    try:
        settings = own.root / "example" / "config" / "settings.py"
        settings.write_text(settings.read_text() + '\nINSTALLED_APPS.append("ledger")\n')
        own.invoke("build")
        started = own.compose("up", "--detach", "--wait", "db")
        assert started.returncode == 0, started.stderr
        yield own
    finally:
        if request.session.testsfailed:
            own.save("migrations")
        own.remove()


@pytest.fixture
def project(stack: Project) -> Iterator[Project]:
    """An empty database, and `ledger` as it stands here."""
    place = stack.root / "example" / "ledger"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(LEDGER, place, ignore=shutil.ignore_patterns("__pycache__"))
    stack.sleeps(0)
    stack.sql("drop schema public cascade; create schema public")
    yield stack
    stack.killed_containers()
    stack.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    eventually(lambda: not stack.sessions(), "the sessions of the test have ended")
