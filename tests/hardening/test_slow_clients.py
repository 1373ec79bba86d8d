"""Clients that take their time: each is cut after what client-timeouts.conf says, and nobody waits for them.

Deadlines here are the stated timeouts with room for a busy machine, not measurements.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from inside import execute, running
from rawhttp import send, statuses, watched

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World

pytestmark = pytest.mark.long

SLOW_CLIENTS = 300
HEADER_TIMEOUT, BODY_TIMEOUT, SEND_TIMEOUT = 10, 20, 30
ROOM = 10


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def _is_cut(connection: socket.socket) -> bool:
    """Whether nginx has ended a connection, by an answer or without one."""
    connection.setblocking(False)
    try:
        while data := connection.recv(65_536):
            if data.startswith(b"HTTP/1.1 408"):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def _others(prod: World) -> Iterator[list[int]]:
    """Visitors who come while the block runs, and the statuses they got; none may wait over five seconds."""
    over = threading.Event()
    answers: list[int] = []

    def visit() -> None:
        site = Site(prod.url)
        while not over.is_set():
            answers.append(site.client.get("/", timeout=5).status_code)
            time.sleep(0.1)
        site.client.close()

    visitors = [threading.Thread(target=_note_failure, args=(visit, answers)) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    try:
        yield answers
    finally:
        over.set()
        for visitor in visitors:
            visitor.join()


def _note_failure(visit: Callable[[], None], answers: list[int]) -> None:
    try:
        visit()
    except Exception:
        answers.append(0)


def _cut_within(
    connections: list[socket.socket], seconds: float, drip: Callable[[socket.socket], None]
) -> float:
    """When the last was cut, in seconds from now; each sends another bit every second until then."""
    begun = time.monotonic()
    left = list(connections)
    while left and time.monotonic() - begun < seconds:
        left = [connection for connection in left if not _is_cut(connection)]
        for connection in left:
            with contextlib.suppress(OSError):
                drip(connection)
        time.sleep(1)
    assert not left, f"{len(left)} of {len(connections)} are still held after {seconds:g} s"
    return time.monotonic() - begun


def test_headers_byte_by_byte(prod: World) -> None:
    """The whole of the headers has to be there in time: a byte now and then does not help.

    Red without client_header_timeout (nginx's own is a minute).
    """
    with _others(prod) as answers, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(_connect(prod.port)) for _ in range(SLOW_CLIENTS)]
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        _cut_within(slow, HEADER_TIMEOUT + ROOM, lambda connection: connection.sendall(b"a"))
    assert len(answers) > 40 and set(answers) == {200}


def test_a_connection_that_says_nothing(prod: World) -> None:
    """Red without client_header_timeout."""
    with _others(prod) as answers, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(_connect(prod.port)) for _ in range(SLOW_CLIENTS)]
        _cut_within(slow, HEADER_TIMEOUT + ROOM, lambda connection: None)
    assert set(answers) == {200}


def test_bodies_that_never_come(prod: World) -> None:
    """The application hears of a request when its body is complete: none of these holds one of its threads.

    Red without client_body_timeout (a minute).
    """
    with watched(prod) as watch:
        with _others(prod) as answers, contextlib.ExitStack() as stack:
            slow = [stack.enter_context(_connect(prod.port)) for _ in range(SLOW_CLIENTS)]
            for connection in slow:
                head = f"POST {watch.path('slow')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000"
                connection.sendall(head.encode() + b"\r\n\r\nx")
            _cut_within(slow, BODY_TIMEOUT + ROOM, lambda connection: None)
        assert len(answers) > 40 and set(answers) == {200}
    assert watch.seen() == []


# More than the sockets of both sides hold.
LARGE = 64 * 2**20


def _being_sent(prod: World) -> int:
    """How many answers nginx is sending now, as it counts itself."""
    status = execute(running(prod)["nginx"], "curl", "--silent", "http://127.0.0.1:8081/stub_status")
    return int(status.split("Writing:")[1].split()[0])


def test_answers_that_nobody_reads(prod: World) -> None:
    """Red without send_timeout (nginx's own is a minute)."""
    execute(running(prod)["web"], "truncate", "--size", str(LARGE), "/app/media/large.bin")
    idlers = 50
    with _others(prod) as answers, contextlib.ExitStack() as stack:
        for _ in range(idlers):
            connection = stack.enter_context(socket.socket())
            # As little as the kernel takes, so that nginx has something left to send.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.connect(("127.0.0.1", prod.port))
            connection.sendall(b"GET /media/large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: _being_sent(prod) >= idlers, "nginx to send to all of them", timeout=5)
        eventually(lambda: _being_sent(prod) < idlers / 5, "nginx to let go", timeout=SEND_TIMEOUT + ROOM)
    assert set(answers) == {200}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"X-Long: " + b"a" * 17_000 + b"\r\n", [431]),
        (b"Cookie: " + b"a" * 70_000 + b"\r\n", [431]),
        (b"".join(b"X-Many-%d: %s\r\n" % (n, b"a" * 90) for n in range(900)), [431]),
        # Beyond what gunicorn takes of its own accord.
        (b"X-Long: " + b"a" * 16_000 + b"\r\n", [200]),
    ],
    ids=["one-too-long", "a-cookie-too-long", "too-many", "as-much-as-is-accepted"],
)
def test_headers_beyond_the_limit(prod: World, lines: bytes, expected: list[int]) -> None:
    """Red when large_client_header_buffers grows: 4 of 16 KiB are what one client may have kept."""
    with watched(prod) as watch:
        request = b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%b\r\n"
        answer = send(prod.port, request % (watch.path("outer").encode(), lines))
    assert statuses(answer) == expected, answer[:200]
    assert len(watch.seen()) == expected.count(200)


def test_an_address_beyond_the_limit(prod: World) -> None:
    """Red when large_client_header_buffers grows."""
    with watched(prod) as watch:
        path = watch.path("outer") + "?" + "a" * 17_000
        answer = send(prod.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert statuses(answer) == [414]
    assert watch.seen() == []
