"""Looking at the stack's containers from the engine, and from inside."""

from __future__ import annotations

import json
from typing import Any

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
found = {}
for target in json.loads(sys.argv[1]):
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 1.5).close()
        found[target] = True
    except OSError:
        found[target] = False
print(json.dumps(found))
"""


def reached_from(network: str, targets: set[str]) -> set[str]:
    """Those of ``targets`` (``host:port``) that accept a connection from ``network``.

    ``network`` is that of a container, ``container:ID``, so that what the container may do is what is
    found, whatever programs it holds; or the name of any other network.
    """
    python = ("--entrypoint", "python3", base_images()["PYTHON_IMAGE"])
    argv = ("run", "--rm", "--network", network, *python, "-c", _PROBE, json.dumps(sorted(targets)))
    found: dict[str, bool] = json.loads(docker(*argv))
    return {target for target, reached in found.items() if reached}
