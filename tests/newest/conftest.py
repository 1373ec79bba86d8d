"""A bare Debian forky with the engine that it packages, or with Engine 29; and this machine's base images."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from slipway.host import mirrors
from tests.support import engine29
from tests.support.pristine import CA_IN_MACHINE, Machine, pristine
from tests.support.world import base_images, docker

_DEBIAN = "14"
_ENSURE = "from slipway.host import machine; from slipway.core.run import Runner; machine.ensure(Runner())"
_SECONDS = 600
_BUILT = "/opt/engine"
# In the place of Debian's own programs; of the two docker-compose the plugin. What the engine before has left
# decides which image store the next one takes, so it goes.
_TAKE_OVER = f"""
for program in {_BUILT}/*; do
    name=${{program##*/}}
    ln -sf "$program" "$(PATH=/usr/libexec/docker/cli-plugins:$PATH command -v "$name")"
done
rm -rf /var/lib/docker/*
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=("packaged", "29"), default="packaged", help="which one forky has")


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> str:
    """``packaged`` or ``29``."""
    return str(request.config.getoption("--engine"))


@pytest.fixture(scope="module")
def newest(engine: str) -> Iterator[Machine]:
    """The machine, with its engine up; the tests of a module go on in order."""
    # What makes locks for the tests reads no SSL_CERT_FILE (poetry).
    options = [f"--env=REQUESTS_CA_BUNDLE={CA_IN_MACHINE}"] if mirrors.ca_bundle() else []
    options += [f"--volume={engine29.programs()}:{_BUILT}:ro"] if engine == "29" else []
    with pristine(_DEBIAN, "newest" if engine == "packaged" else f"engine{engine}", *options) as machine:
        machine.run("./bootstrap", "invoke", "--list", timeout=_SECONDS)
        machine.run(".venv/bin/python", "-c", _ENSURE, timeout=_SECONDS)
        if engine == "29":
            machine.stop_engine()
            machine.run("sh", "-eu", "-c", _TAKE_OVER)
        start_engine(machine)
        yield machine


def start_engine(machine: Machine) -> None:
    """Start the engine where it does not run, and give it the base images that are here already.

    Else it would pull them, or build stand-ins for minutes.
    """
    machine.run(".venv/bin/python", "-c", _ENSURE, timeout=_SECONDS)
    here = [name for name in base_images().values() if docker("image", "ls", "--quiet", name).strip()]
    if here:
        load = ["docker", "exec", "--interactive", machine.name, "docker", "load", "--quiet"]
        with subprocess.Popen(["docker", "save", *here], stdout=subprocess.PIPE) as saved:
            subprocess.run(load, stdin=saved.stdout, check=True, stdout=subprocess.DEVNULL)
        assert saved.returncode == 0
    machine.run("./bootstrap", "true", timeout=_SECONDS)
