"""docker/worker_threads.py: which threads of a worker hang, and which serve somebody."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kitfiles import load

worker_threads = load("worker_threads")

# Four looks 50 ms apart; what makes progress makes it in between.
LOOKS, PAUSE = 4, 0.05


class Served:
    """One worker with a single thread, and a request in it as gunicorn serves one, until ``end``."""

    def __init__(self, application: Callable[..., Iterable[bytes]], send: Callable[[bytes], object]) -> None:
        self.requests = worker_threads.Requests(application)
        self.taken = 0
        self._ends = threading.Event()
        self._begun = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._request = self._pool.submit(self._serve, send)
        assert self._begun.wait(10)

    def _serve(self, send: Callable[[bytes], object]) -> None:
        environ = {"wsgi.input": _Slow(self._ends), "wsgi.file_wrapper": _File, "ends": self._ends}
        self._begun.set()
        answer = self.requests(environ, None)
        try:
            for part in answer:
                send(part)
        finally:
            if hasattr(answer, "close"):
                answer.close()
            self.requests.done()

    def _count(self) -> None:
        self.taken += 1

    def hangs(self) -> bool:
        """Whether the threads are found to hang, before ten times as many looks have been taken."""
        watch = threading.Thread(
            target=self.requests.wait_until_hung, args=(1, LOOKS, PAUSE, self._count), daemon=True
        )
        watch.start()
        watch.join(10 * LOOKS * PAUSE)
        return not watch.is_alive()

    def end(self) -> None:
        self._ends.set()
        self._request.result(10)
        self._pool.shutdown()


class _File(list[bytes]):
    """What gunicorn sends by sendfile."""


class _Slow(io.BytesIO):
    """A body whose client sends nothing for now."""

    def __init__(self, ends: threading.Event) -> None:
        super().__init__()
        self._ends = ends

    def read(self, *_: Any) -> bytes:
        self._ends.wait()
        return b""

    readline = read


@pytest.fixture
def served() -> Iterator[Callable[..., Served]]:
    kept: list[Served] = []

    def serve(application: Callable[..., Iterable[bytes]], send: Callable[[bytes], object] = id) -> Served:
        kept.append(Served(application, send))
        return kept[-1]

    yield serve
    for one in kept:
        one.end()


def _stuck(environ: dict[str, Any], _: Any) -> Iterable[bytes]:
    environ["ends"].wait()
    return [b""]


def _stuck_in_a_stream(environ: dict[str, Any], _: Any) -> Iterable[bytes]:
    yield b"first"
    environ["ends"].wait()


def _streams(environ: dict[str, Any], _: Any) -> Iterable[bytes]:
    while not environ["ends"].wait(PAUSE):
        yield b"event"


def _reads(environ: dict[str, Any], _: Any) -> Iterable[bytes]:
    environ["wsgi.input"].read(10)
    return [b""]


def _reads_lines(environ: dict[str, Any], _: Any) -> Iterable[bytes]:
    return list(environ["wsgi.input"])


def _computes_between_reads(environ: dict[str, Any], _: Any) -> Iterable[bytes]:
    environ["wsgi.input"] = worker_threads._Body(
        io.BytesIO(b"x" * 10_000), environ["wsgi.input"]._requests, environ["wsgi.input"]._thread
    )
    while environ["wsgi.input"].read(1):
        if environ["ends"].wait(PAUSE):
            break
    return [b""]


@pytest.mark.parametrize("application", [_stuck, _stuck_in_a_stream])
def test_a_thread_that_does_not_come_out_of_the_project_hangs(
    served: Callable[..., Served], application: Callable[..., Iterable[bytes]]
) -> None:
    """Red when a stream counts as alive because it once sent something."""
    one = served(application)
    assert one.hangs()
    assert one.taken >= LOOKS


@pytest.mark.parametrize("application", [_streams, _reads, _reads_lines, _computes_between_reads])
def test_who_sends_or_waits_for_a_client_does_not_hang(
    served: Callable[..., Served], application: Callable[..., Iterable[bytes]]
) -> None:
    """Red when only finished requests count, as they did: eight streams were cut after a minute."""
    one = served(application)
    assert not one.hangs()
    assert one.taken > 2 * LOOKS, "the health check is told"


@pytest.mark.parametrize("kind", [list, _File])
def test_a_client_that_takes_its_time_is_no_hang(
    served: Callable[..., Served], kind: Callable[[list[bytes]], Iterable[bytes]]
) -> None:
    """Red when what gunicorn sends counts as time in the project, a file too."""
    taken = threading.Event()
    one = served(lambda *_: kind([b"large"]), lambda _: taken.wait())
    try:
        assert not one.hangs()
    finally:
        taken.set()


def test_other_threads_are_free() -> None:
    """Red when one hanging request ends a worker that serves others, or an idle one is ended."""
    requests = worker_threads.Requests(lambda *_: [])
    with ThreadPoolExecutor(2) as pool:
        ended = threading.Event()
        stuck = worker_threads.Requests(_stuck)
        pool.submit(stuck, {"wsgi.input": io.BytesIO(), "ends": ended}, None)
        for watched in (requests, stuck):
            watch = threading.Thread(
                target=watched.wait_until_hung, args=(2, LOOKS, PAUSE, pytest.fail), daemon=True
            )
            watch.start()
            watch.join(3 * LOOKS * PAUSE)
            assert watch.is_alive()
        ended.set()


def test_a_body_that_is_read_after_the_end_is_nobodys_request() -> None:
    """Red when a thread of the project's own, which gunicorn never says is done, counts as one of its."""
    kept: list[Any] = []
    requests = worker_threads.Requests(lambda environ, _: kept.append(environ["wsgi.input"]) or [])
    requests({"wsgi.input": io.BytesIO(b"rest")}, None)
    requests.done()
    assert kept[0].read() == b"rest"
    assert requests._in_work == {}


def test_the_project_gets_what_it_would_get() -> None:
    """Red when parts are lost, or the project's answer is not closed: its database connection stays open."""
    closed: list[bool] = []

    class Answer(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def application(environ: dict[str, Any], _: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        return Answer([body.read(2), body.readline(), *body.readlines(), body.getvalue()])

    answer = worker_threads.Requests(application)({"wsgi.input": io.BytesIO(b"abc\nd\ne")}, None)
    assert list(answer) == [b"ab", b"c\n", b"d\n", b"e", b"abc\nd\ne"]
    answer.close()
    assert closed == [True]
