"""Clients that take long, or do nothing, and are many."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator

from chaoskit import endured

from tests.support.polling import eventually
from tests.support.site import Site, png
from tests.support.world import World

_READERS = 50
_READ_SECONDS = 30
_IDLE = 2000
# How long nginx keeps an idle connection (snippets/client-timeouts.conf), and some.
_CLOSED_SECONDS = 45


def _connect(own: World, path: str = "") -> socket.socket:
    """A connection to nginx itself, for Docker's proxy reads ahead; with a path, one that has asked."""
    address = own.container("nginx")["NetworkSettings"]["Networks"][f"{own.project}_edge"]["IPAddress"]
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect((address, 8080))
    if path:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    connection.setblocking(False)
    return connection


@contextlib.contextmanager
def _opened(connections: list[socket.socket]) -> Iterator[None]:
    try:
        yield
    finally:
        for connection in connections:
            connection.close()


def test_slow_readers_hold_nobody_up(prod: World) -> None:
    """Red with `proxy_buffering off` in proxy.conf: the application then waits for each of them."""
    answer = Site(prod.url).submit(
        "/", {"text": "large"}, {"image": ("a.png", png() + b"\0" * 4_000_000, "image/png")}
    )
    assert answer.status_code == 302
    media = str(Site(prod.url).get("/api/entries").json()["entries"][0]["image"])
    with endured(prod, "slow-readers") as ordeal:
        # More than there are threads read what nginx has room for; what it has not, costs one, for as long as
        # nginx is patient.
        paths = ["/large/8000000", *["/large/200000", media] * _READERS][:_READERS]
        readers = [_connect(prod, path) for path in paths]
        with _opened(readers):
            end = time.monotonic() + _READ_SECONDS
            while time.monotonic() < end:
                for reader in readers:
                    with contextlib.suppress(OSError):
                        reader.recv(1)
                time.sleep(1)
        ordeal.end()


def test_idle_connections_crowd_nobody_out(prod: World) -> None:
    """Red with `worker_connections 512` in nginx.conf."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * _IDLE)), hard))
    with endured(prod, "idle-connections") as ordeal:
        # Half of them have asked for something, and are kept for the next question.
        idle = [_connect(prod, "/healthz/live" if number % 2 else "") for number in range(_IDLE)]
        with _opened(idle):
            eventually(lambda: _all_closed(idle), "nginx to close them", timeout=_CLOSED_SECONDS, interval=1)
        ordeal.end()


def _all_closed(connections: list[socket.socket]) -> bool:
    return all(_is_closed(connection) for connection in connections)


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection; reads away what it has sent."""
    with contextlib.suppress(BlockingIOError):
        while True:
            try:
                if not connection.recv(65536):
                    return True
            except ConnectionResetError:
                return True
    return False
