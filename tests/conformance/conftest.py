"""The same probes on any family of base images.

``PYTHON_IMAGE``, ``POSTGRES_IMAGE``, ``NGINX_IMAGE`` and ``REDIS_IMAGE`` name the family; without them
it is the stand-ins. Most tests say in their docstring which change to an image turned them red.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from engine_probe import LABEL, Container, docker, remove_everything

DEFAULTS = {
    "PYTHON_IMAGE": "slipway/python:3.13-slim-trixie",
    "POSTGRES_IMAGE": "slipway/postgres:17-trixie",
    "NGINX_IMAGE": "slipway/nginx:1.30-trixie",
    "REDIS_IMAGE": "slipway/valkey:8.1-trixie",
}


def _present(variable: str) -> str:
    image = os.environ.get(variable) or DEFAULTS[variable]
    if docker("image", "inspect", image, check=False).returncode != 0:
        pytest.fail(f"{variable}: {image} is not on this machine; run: invoke bases", pytrace=False)
    return image


@pytest.fixture(scope="session")
def python_image() -> str:
    return _present("PYTHON_IMAGE")


@pytest.fixture(scope="session")
def postgres_image() -> str:
    return _present("POSTGRES_IMAGE")


@pytest.fixture(scope="session")
def nginx_image() -> str:
    return _present("NGINX_IMAGE")


@pytest.fixture(scope="session")
def valkey_image() -> str:
    return _present("REDIS_IMAGE")


@pytest.fixture(scope="session", params=["python", "postgres", "nginx", "valkey"])
def image(request: pytest.FixtureRequest) -> str:
    value: str = request.getfixturevalue(f"{request.param}_image")
    return value


@pytest.fixture(scope="session", autouse=True)
def _clean_engine() -> Iterator[None]:
    yield
    remove_everything()


@pytest.fixture
def start() -> Iterator[Callable[..., Container]]:
    """Start containers that are gone, with their volumes, when the test is over."""
    started: list[Container] = []

    def _start(image: str, *command: str, options: tuple[str, ...] = ()) -> Container:
        started.append(Container(image, *command, options=options))
        return started[-1]

    yield _start
    for container in started:
        docker("rm", "--force", "--volumes", container.id, check=False)


@pytest.fixture
def volume() -> Iterator[str]:
    name = docker("volume", "create", "--label", LABEL).stdout.strip()
    yield name
    docker("volume", "rm", "--force", name, check=False)
