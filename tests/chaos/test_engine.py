"""The engine and the machine end and come back: on a machine of their own, with an engine of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaoskit import endured, init_pid, kill
from conftest import SETTINGS

from slipway.host.enginepackages import DEBIAN
from tests.rollout.rolloutkit import release
from tests.support.polling import eventually
from tests.support.pristine import Machine, pristine
from tests.support.site import Site
from tests.support.world import World, docker, free_port

_INSTALL = f"apt-get -q update && apt-get -qy install --no-install-recommends {' '.join(DEBIAN)}"
# What a service manager does after a crash, after `stop` and at boot. /run is empty at boot.
_LOG = "/var/log/dockerd.log"
_START = f"setsid dockerd >>{_LOG} 2>&1 </dev/null &"
_PID = "/var/run/docker.pid"


class Elsewhere(World):
    """A world whose stack runs on the engine of ``machine``."""

    def __init__(self, folder: Path, machine: Machine, outside: int, **settings: str) -> None:
        super().__init__(folder, prod=True, **settings)
        self.machine = machine
        self._outside = outside

    @property
    def url(self) -> str:
        """Published by the machine: its own address may be another after a loss of power."""
        return f"http://localhost:{self._outside}"

    @property
    def engine(self) -> tuple[str, ...]:  # type: ignore[override]
        """Its socket, by way of the machine's root folder."""
        return ("--host", f"unix:///proc/{self.inspect('{{.State.Pid}}')}/root/run/docker.sock")

    def inspect(self, what: str) -> str:
        """What this host's engine knows of the machine."""
        return docker("inspect", f"--format={what}", self.machine.name).strip()

    def start_engine(self) -> None:
        """Start the engine and wait until it answers."""
        self.machine.run("sh", "-c", _START)
        eventually(lambda: self.docker("version"), "the engine to answer")

    def install(self, original: World) -> None:
        """Bring the release of another world up here, from its images."""
        images = [f"{original.project}-{name}:{release(original)}" for name in ("web", "nginx-configuration")]
        for image in images:
            docker("tag", image, image.replace(original.project, self.project))
        own = [image.replace(original.project, self.project) for image in images]
        bases = [original.container(service)["Config"]["Image"] for service in ("db", "nginx")]
        archive = self.root.parent / "images.tar"
        docker("save", f"--output={archive}", *own, *bases)
        docker("rmi", *own)
        self.docker("load", f"--input={archive}")
        archive.unlink()
        self.write_env(RELEASE=release(original))
        self.invoke("init")
        # Compose mounts secrets from the folder it finds them in, on the machine of the engine.
        self.machine.run("mkdir", "-p", str(self.root.parent))
        docker("cp", str(self.root), f"{self.machine.name}:{self.root.parent}/")
        self.invoke("up", "--no-build", env={"DOCKER_HOST": self.engine[1]})


def test_what_starts_in_the_wrong_order_finds_the_rest(prod: World) -> None:
    """Red when nginx looks names up at its start alone (no `resolve` in upstream.conf), or when `web` ends
    without a database.
    """
    database, *web = (f"{prod.project}-{name}" for name in ("db-1", "web-1", "web-2"))
    with endured(prod, "wrong-order") as ordeal:
        # What somebody stops stays stopped: so the order is ours.
        docker("stop", database, *web)
        kill(init_pid(prod, "nginx"))
        eventually(lambda: Site(prod.url).get("/").status_code == 502, "nginx to be there without web")
        docker("start", *web)
        eventually(lambda: Site(prod.url).get("/").status_code == 500, "web to be there without a database")
        docker("start", database)
        ordeal.end()


@pytest.fixture(scope="module")
def elsewhere(
    prod: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Elsewhere]:
    """The same release on a machine of its own."""
    outside, inside = free_port(), free_port()
    with pristine("13", "chaos", f"--publish=127.0.0.1:{outside}:{inside}") as machine:
        machine.run("sh", "-c", _INSTALL, timeout=300)
        own = Elsewhere(
            tmp_path_factory.mktemp("elsewhere"), machine, outside, HTTP_PORT=str(inside), **SETTINGS
        )
        own.start_engine()
        own.install(prod)
        yield own
        if request.session.testsfailed:
            own.save("chaos-elsewhere")
            # Goes to the machine's log, beside the others.
            machine.run("cat", _LOG)


def test_a_killed_engine_comes_back_with_everything(elsewhere: Elsewhere) -> None:
    """Red with `restart: "no"`: the engine ends what it finds running, and starts what it should."""
    with endured(elsewhere, "engine-killed") as ordeal:
        elsewhere.machine.run("sh", "-c", f"kill -KILL $(cat {_PID})")
        elsewhere.start_engine()
        ordeal.end()


def test_a_restarted_engine_comes_back_with_everything(elsewhere: Elsewhere) -> None:
    """Red with `restart: "no"`."""
    with endured(elsewhere, "engine-restarted") as ordeal:
        elsewhere.machine.stop_engine()
        elsewhere.start_engine()
        ordeal.end()


def test_a_machine_that_lost_its_power_comes_back_with_everything(elsewhere: Elsewhere) -> None:
    """Red with `restart: "no"`, or an nginx that does not start while the name of `web` is unknown."""
    with endured(elsewhere, "power-lost") as ordeal:
        docker("kill", elsewhere.machine.name)
        docker("start", elsewhere.machine.name)
        elsewhere.machine.run("sh", "-c", "rm -rf /run/docker* /run/containerd")
        elsewhere.start_engine()
        ordeal.end()
