"""A container that takes all it can get: it stops at its own limits, and the others are served meanwhile."""

from __future__ import annotations

import json
import subprocess

import pytest
from inside import Container, running

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, base_images, docker

pytestmark = pytest.mark.long

# Children that wait for the end of their parent; how many there were, and what stopped it.
_FORK = """
import os, signal, sys
made, problem = [], ""
try:
    while len(made) < 3000:
        pid = os.fork()
        if not pid:
            signal.pause()
        made.append(pid)
except OSError as refused:
    problem = refused.strerror
print(len(made), problem, flush=True)
sys.stdin.read()
for pid in made:
    os.kill(pid, signal.SIGKILL)
"""

_ALLOCATE = """
held = []
while len(held) < 4096:
    held.append(bytearray(2**20))
    print(len(held), flush=True)
"""


def _python(container: Container, program: str) -> subprocess.Popen[str]:
    """A Python program in a container of the project, as an intruder would start it."""
    argv = ["docker", "exec", "--interactive", container["Id"], "python", "-c", program]
    return subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def test_a_fork_bomb_stops_at_the_limit_and_takes_nobody_down(prod: World, site: Site) -> None:
    """nginx and the database answer while web is full; and so does web when it is over, without a restart.

    Red without `pids:` under the limits of web: all three thousand are made.
    """
    web = running(prod)["web"]
    limit = web["HostConfig"]["PidsLimit"]
    with _python(web, _FORK) as bomb:
        assert bomb.stdout and bomb.stdin
        made, _, problem = bomb.stdout.readline().strip().partition(" ")
        assert problem == "Resource temporarily unavailable"
        assert limit - 100 < int(made) < limit
        assert prod.sql("select 1") == "1"
        assert site.get("/static/admin/css/base.css").status_code == 200
        assert docker("run", "--rm", "--entrypoint", "true", base_images()["PYTHON_IMAGE"]) == "", (
            "the host forks"
        )
        bomb.stdin.close()
    eventually(lambda: site.get("/").status_code == 200, "web to answer", timeout=30)
    eventually(lambda: prod.health("web") == "healthy", "web to be healthy", timeout=60)
    assert prod.container("web")["State"]["StartedAt"] == web["State"]["StartedAt"]
    assert prod.container("web")["RestartCount"] == 0


def test_whoever_takes_all_memory_is_killed_for_it(prod: World, site: Site) -> None:
    """At the limit, swap included; and what serves goes on. Red without `memory:` or memswap_limit of web."""
    web = running(prod)["web"]
    with _python(web, _ALLOCATE) as hog:
        assert hog.stdout
        held = [int(line) for line in hog.stdout.read().split()]
    assert hog.returncode == 137, "killed by the kernel"
    assert held[-1] * 2**20 < web["HostConfig"]["Memory"]
    eventually(lambda: site.get("/").status_code == 200, "web to answer", timeout=30)
    assert prod.sql("select 1") == "1"
    for service in ("db", "nginx"):
        assert prod.container(service)["State"]["StartedAt"] == running(prod)[service]["State"]["StartedAt"]


def test_a_flood_of_log_lines_ends_at_its_limit(prod: World) -> None:
    """Red without max-size and max-file: a container could fill the host's disk."""
    for container in prod.containers():
        options = container["HostConfig"]["LogConfig"]["Config"]
        assert options == {"max-size": "10m", "max-file": "3"}, json.dumps(options)
