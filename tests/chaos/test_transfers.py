"""Uploads as large as .env allows, and answers that do not end."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from chaoskit import all_healthy, init_pid, kill, worker_pids

from tests.support.polling import eventually
from tests.support.world import World, docker

_MIB = 2**20
# Longer than all threads of a worker may be stuck (60 s); an event comes every second.
_EVENTS = 90


def _send(own: World, folder: Path, size: int, seconds: float = 0) -> httpx.Response:
    """Upload a file of so many bytes; the view keeps it for so many seconds."""
    file = folder / f"{size}.bin"
    with file.open("ab") as sparse:
        sparse.truncate(size)
    with file.open("rb") as body, httpx.Client(base_url=own.url, trust_env=False, timeout=300) as client:
        return client.post("/upload", params={"seconds": seconds}, files={"file": ("a.bin", body)})


def _waiting(own: World) -> list[str]:
    """The uploads that wait in a replica's place for temporary files; which is one for all of them."""
    return docker("exec", f"{own.project}-web-1", "find", "/srv/temporary", "-type", "f").split()


def test_uploads_as_large_as_env_allows(prod: World, tmp_path: Path) -> None:
    """Three at a time, with the memory that web has by default; small ones work before and after.

    Red when uploads wait in memory: 500 or 502, and then every upload fails for a minute.
    """
    workers = [pid for number in (1, 2) for pid in worker_pids(prod, "web", number)]
    sizes = [290 * _MIB, 250 * _MIB, 150 * _MIB]
    with ThreadPoolExecutor(len(sizes)) as pool:
        answers = list(pool.map(lambda size: _send(prod, tmp_path, size), sizes))
    assert [answer.status_code for answer in answers] == [200] * len(sizes)
    assert [int(answer.text.split()[0]) for answer in answers] == sizes
    assert all(answer.text.split()[1].startswith("/srv/temporary/") for answer in answers)
    for size in (10, 3 * _MIB):
        assert _send(prod, tmp_path, size).status_code == 200
    assert workers == [pid for number in (1, 2) for pid in worker_pids(prod, "web", number)]
    assert _waiting(prod) == []
    assert _send(prod, tmp_path, 310 * _MIB).status_code == 413


def test_what_a_killed_worker_was_taking_is_gone(prod: World, tmp_path: Path) -> None:
    """Red without `child_exit` in docker/gunicorn.conf.py: it would fill the disk, bit by bit."""
    sender = threading.Thread(target=_send, args=(prod, tmp_path, 20 * _MIB, 600), daemon=True)
    sender.start()
    eventually(lambda: _waiting(prod), "the upload to be taken")
    kill(*(pid for number in (1, 2) for pid in worker_pids(prod, "web", number)))
    eventually(lambda: _waiting(prod) == [], "what it had taken to be gone")
    eventually(lambda: all_healthy(prod), "other workers")


def _ask(address: str, path: str) -> socket.socket:
    """A connection to a replica itself, with a small window, that has asked for ``path``."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(3)
    connection.connect((address, 8000))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def _answers(address: str) -> bool:
    with _ask(address, "/healthz/live") as connection:
        try:
            return bool(connection.recv(1))
        except TimeoutError:
            return False


def test_streams_on_every_thread_are_not_cut(prod: World) -> None:
    """Events every second, and downloads that nobody reads for now: no thread is left, and all are served.

    Red when only finished requests count as progress: the workers replace themselves, and the health check
    ends the container.
    """
    web = prod.container("web")
    address = web["NetworkSettings"]["Networks"][f"{prod.project}_edge"]["IPAddress"]
    before = init_pid(prod, "web"), worker_pids(prod, "web")
    with contextlib.ExitStack() as stack:
        streams: list[socket.socket] = []
        # Which worker takes a connection is chance: more and more of them, until neither answers.
        while any(_answers(address) for _ in range(6)):
            streams += [stack.enter_context(_ask(address, "/events")) for _ in range(3)]
            stack.enter_context(_ask(address, "/large/12000000"))
        served = [count for count in _count_events(streams) if count]
        # Downloads may have taken most of the threads.
        assert served
        assert min(served) >= _EVENTS, f"a stream was cut: {served}"
        assert prod.health("web") == "unhealthy", "the health check found a thread, and proves nothing"
        assert (init_pid(prod, "web"), worker_pids(prod, "web")) == before
    eventually(lambda: all_healthy(prod), "the replica to have threads again", timeout=120)
    assert (init_pid(prod, "web"), worker_pids(prod, "web")) == before
    assert "SLIP-12" not in docker("logs", "--since", web["State"]["StartedAt"], f"{prod.project}-web-1")


def _count_events(streams: list[socket.socket]) -> list[int]:
    """How many events each stream has sent: ``_EVENTS``, none where it waits for a thread, fewer when cut."""
    counts = [0] * len(streams)

    def read(number: int) -> None:
        streams[number].settimeout(30)
        with contextlib.suppress(OSError):
            while counts[number] < _EVENTS and (data := streams[number].recv(4096)):
                counts[number] += data.count(b"data:")

    with ThreadPoolExecutor(len(streams)) as pool:
        list(pool.map(read, range(len(streams))))
    return counts
