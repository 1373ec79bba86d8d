"""Looking at the stack's containers from the engine, and from inside."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.support.world import World, base_images, docker

Container = dict[str, Any]


def service(container: Container) -> str:
    """The Compose service of a container."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def by_service(prod: World) -> dict[str, Container]:
    """One container of every service, those that have ended too."""
    return {service(container): container for container in prod.containers()}


def running(prod: World) -> dict[str, Container]:
    """One container of every service that runs."""
    return {name: c for name, c in by_service(prod).items() if c["State"]["Running"]}


def execute(container: Container, *command: str) -> str:
    """What a command prints in a container, both outputs, whether or not it succeeds."""
    return docker("exec", container["Id"], "sh", "-c", '"$@" 2>&1 || true', "sh", *command)


def addresses(container: Container) -> dict[str, str]:
    """The addresses of a running container by the names of its networks."""
    networks = container["NetworkSettings"]["Networks"]
    return {name: network["IPAddress"] for name, network in networks.items() if network["IPAddress"]}


_PROBE = """
import json, socket, sys
found = []
for host, port, question, answer in json.loads(sys.argv[1]):
    try:
        with socket.create_connection((host, port), 1.5) as connection:
            connection.sendall(question.encode("latin-1"))
            if answer.encode("latin-1") in connection.recv(4096):
                found.append([host, port, question, answer])
    except OSError:
        pass
print(json.dumps(found))
"""


class Target(NamedTuple):
    """A service at an address: what to say to it, and what it then says, which tells it from anything else.

    Some networks accept every connection on behalf of whoever is meant.
    """

    host: str
    port: int
    question: str
    answer: str


def reached_from(network: str, targets: Iterable[Target]) -> set[Target]:
    """Those of ``targets`` that answer to ``network``.

    ``network`` is that of a container, ``container:ID``, so that what the container may do is what is
    found, whatever programs it holds; or the name of any other network.
    """
    python = ("--entrypoint", "python3", base_images()["PYTHON_IMAGE"])
    argv = ("run", "--rm", "--network", network, *python, "-c", _PROBE, json.dumps(sorted(targets)))
    return {Target(*found) for found in json.loads(docker(*argv))}
