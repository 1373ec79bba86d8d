"""A bare Debian forky with the newest engine that Debian packages, and this machine's base images."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from slipway import mirrors
from tests.support.pristine import CA_IN_MACHINE, Machine, pristine
from tests.support.world import base_images, docker

_DEBIAN = "14"
_ENSURE = "from slipway import machine; from slipway.run import Runner; machine.ensure(Runner())"
_SECONDS = 600


@pytest.fixture(scope="module")
def newest() -> Iterator[Machine]:
    """The machine, with its engine up; the tests of a module go on in order."""
    # What makes locks for the tests reads no SSL_CERT_FILE (poetry).
    ca = [f"--env=REQUESTS_CA_BUNDLE={CA_IN_MACHINE}"] if mirrors.ca_bundle() else []
    with pristine(_DEBIAN, "newest", *ca) as machine:
        machine.run("./bootstrap", "invoke", "--list", timeout=_SECONDS)
        start_engine(machine)
        yield machine


def start_engine(machine: Machine) -> None:
    """Install or start the engine, and give it the base images that are here already.

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
