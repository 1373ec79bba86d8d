"""Many clients at once, slow and fast ones side by side, and a log that is rotated."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from world import Nginx, World, eventually

# More than gunicorn has threads and nginx keeps connections to it, by far.
STORM = 500
SLOW = 40
MEBIBYTE = 2**20
HEAD = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.fixture
def front(world: World, packages: Path) -> Nginx:
    """nginx as it is by default, before one gunicorn worker."""
    world.start_server("served:wsgi", packages)
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    return nginx


@contextlib.contextmanager
def connected(nginx: Nginx, count: int) -> Iterator[list[socket.socket]]:
    """So many connections to nginx itself: the engine's proxy would read ahead."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * STORM)), hard))
    address = nginx.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            # So small that what is not read stays with nginx.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(60)
            one.connect((address, 8080))
        yield sockets


def read_all(sockets: list[socket.socket]) -> list[bytes]:
    """What each has sent when it closes."""
    answers = dict.fromkeys(sockets, b"")
    with selectors.DefaultSelector() as selector:
        for one in sockets:
            selector.register(one, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(60)
            assert ready, f"{len(selector.get_map())} have no answer"
            for key, _ in ready:
                one = key.fileobj
                assert isinstance(one, socket.socket)
                part = one.recv(65_536)
                answers[one] += part
                if not part:
                    selector.unregister(one)
    return list(answers.values())


def test_a_storm_of_connections_is_answered_whole(front: Nginx) -> None:
    """All ask before the first is answered. Red with `worker_connections 256`, or gunicorn's queue cut."""
    with connected(front, STORM) as clients:
        for number, client in enumerate(clients):
            client.sendall(f"GET /{number:04} {HEAD}\r\n".encode())
        answers = read_all(clients)
    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}


def test_slow_clients_leave_the_application_to_the_fast(front: Nginx, world: World) -> None:
    """Slow uploads and downloads stand still, more than gunicorn has threads, while fast ones come and go.

    Red with `proxy_request_buffering off`: the application would wait for each of the uploads.
    """
    content = os.urandom(8 * MEBIBYTE)
    (world.folder / "media" / "large.bin").write_bytes(content)
    with connected(front, 2 * SLOW) as clients:
        uploads, downloads = clients[:SLOW], clients[SLOW:]
        for client in uploads:
            client.sendall(
                f"POST /slow {HEAD}Content-Length: {MEBIBYTE}\r\n\r\n".encode() + bytes(MEBIBYTE // 2)
            )
        for client in downloads:
            client.sendall(f"GET /media/large.bin {HEAD}\r\n".encode())

        def fast(number: int) -> bool:
            up = front.request(f"/fast{number}", "POST", body=bytes(5 * MEBIBYTE))
            down = front.request("/media/large.bin")
            return (up.status, down.status, down.body == content) == (200, 200, True)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(fast, range(24)))
        # They were there all the time, and are served as well.
        for client in uploads:
            client.sendall(bytes(MEBIBYTE // 2))
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in read_all(uploads))
        assert all(answer.endswith(content[-1000:]) for answer in read_all(downloads))


def test_the_rotation_of_the_log_loses_no_request(world: World) -> None:
    """The engine rotates, nginx writes on. Red when a full log stops the writer, or lines are lost."""
    world.start_stub()
    nginx = world.start_nginx(log_options=("max-size=20k", "max-file=2"))
    world.wait_for_application(nginx)
    connection = nginx.connect()
    for number in range(600):
        connection.request("GET", f"/static/rotated-{number}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 404
        if answer.will_close:
            connection.close()
    connection.close()
    eventually(
        "the last line is in the log",
        lambda: any(line["uri"] == "/static/rotated-599" for line in nginx.access_log()),
    )
    logged = [line["uri"] for line in nginx.access_log() if "rotated" in line["uri"]]
    assert 0 < len(logged) < 600, "nothing was rotated"
    first = int(logged[0].rpartition("-")[2])
    assert len(set(logged)) == 600 - first, "a gap among the lines that are kept"
