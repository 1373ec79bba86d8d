"""Commands by their schedule, in production: each in its own container, told in its log, never doubled."""

from __future__ import annotations

import re

from serviceskit import images, since

from tests.support.polling import eventually
from tests.support.world import World, docker

# Two of the minutes that cron counts in, and what a busy machine adds.
_SECONDS = 240


def _log(own: World, service: str) -> str:
    return own.invoke("logs", "--services", service).stdout


def _runs(own: World) -> int:
    """How many runs of the slow one are going on; its schedule has the command among its words, too."""
    listed = docker("top", f"{own.project}-slow-1", "-eo", "pid,args").splitlines()
    return sum(line.split()[1:] == ["sleep", "100"] for line in listed)


def test_a_command_runs_each_minute(prod: World) -> None:
    """It writes into the database as web does. Red when schedule, variables or code do not reach it."""
    release = images(prod)["tidy"]
    eventually(lambda: since(prod, release, "tidied") > 1, "two runs", timeout=_SECONDS)
    run = r"tidy: begins: python manage.py note tidied --code 3\n.*tidy: ended with exit code 3 after"
    eventually(lambda: re.search(run, _log(prod, "tidy")), "their lines")
    assert prod.health("tidy") == "healthy", "a failed run is no failed container"


def test_a_run_that_goes_on_is_not_doubled_and_may_finish(prod: World) -> None:
    """Red when the next time begins another, or a restart ends it without a word."""
    eventually(lambda: "skips" in _log(prod, "slow"), "a second time", timeout=_SECONDS)
    eventually(lambda: _runs(prod), "a run", timeout=_SECONDS)
    assert _runs(prod) == 1
    prod.invoke("restart", "--services", "slow")
    said = _log(prod, "slow")
    assert re.search(r"gets SIGTERM.*\n(.*\n)*.*ended with exit code \d+ ", said)
    assert re.search(r"the next run is due", said.rpartition("gets SIGTERM")[2]), "and it goes on"


def test_they_are_processes_to_the_tasks(prod: World) -> None:
    """Red when one has no limit, is not hardened, or an engine's socket."""
    found = prod.container("tidy")
    assert found["HostConfig"]["Memory"] and found["HostConfig"]["ReadonlyRootfs"]
    assert found["Config"]["User"] == prod.container("worker")["Config"]["User"]
    mounts = {mount["Destination"] for mount in found["Mounts"]}
    assert "/srv/cron" in mounts and not any("docker.sock" in mount for mount in mounts)
    assert "/srv/cron" not in {mount["Destination"] for mount in prod.container("worker")["Mounts"]}
