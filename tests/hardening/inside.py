"""Looking at the stack's containers from the engine, and from inside."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


_HTTP = "GET /healthz/live HTTP/1.0\r\nHost: localhost\r\n\r\n"
# By service: the port on which others may reach it, a question, and what tells its answer from another's.
# PostgreSQL is asked for a version of its protocol that it does not have.
LISTENING = {
    "db": (5432, "\0\0\0\x09\0\x01\0\0\0", "frontend protocol"),
    "redis": (6379, "PING\r\n", "+PONG"),
    "web": (8000, _HTTP, "Server: gunicorn"),
    "nginx": (8080, _HTTP, "Server: nginx"),
}

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


def default_route(container: Container) -> bool:
    """Whether a container has a way out of its networks."""
    table = execute(container, "cat", "/proc/net/route").splitlines()[1:]
    return "00000000" in [line.split()[1] for line in table]


def gateway(network: str) -> str:
    """The address of a network that is the host's, where the host has one."""
    return docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", network).strip()


@contextmanager
def service_of_the_host() -> Iterator[int]:
    """Something that listens on every address of this machine and repeats what it is told; its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        threading.Thread(target=_repeat, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _repeat(server: socket.socket) -> None:
    try:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100))
    except OSError:
        return  # closed: the test is over
