"""Track what the threads of a gunicorn worker do: run the project's code, or wait for a client.

Gunicorn cannot tell: to it a thread that streams and one that hangs are both busy. A request passes between
the two in the project's WSGI callable (PEP 3333), so the callable is wrapped. Used by gunicorn.conf.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

READING = {"read", "readline", "readlines"}


class Requests:
    """A WSGI callable around the project's that tracks who has each request in work.

    A request is in work from the call until ``done``, in one thread.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        # By thread: whether the request is in the project's code, and not waiting for its client.
        self._in_work: dict[int, bool] = {}
        self._moved = 0.0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """As PEP 3333 has it."""
        thread = threading.get_ident()
        environ["wsgi.input"] = _Body(environ["wsgi.input"], self, thread)
        self._in_work[thread] = False
        self.turn(thread, inside=True)
        try:
            answer = self._application(environ, start_response)
        finally:
            self.turn(thread, inside=False)
        # Gunicorn sends a file of its own class by sendfile; from then on the client has the request.
        if isinstance(answer, environ.get("wsgi.file_wrapper", ())):
            return answer
        return _Answer(answer, self, thread)

    def turn(self, thread: int, *, inside: bool) -> None:
        """Record that the request of ``thread`` passes to the project's code, or from it to its client."""
        # The project may still read in a thread of its own after the request is over.
        if thread in self._in_work:
            self._in_work[thread] = inside
            self._moved = time.monotonic()

    def done(self) -> None:
        """Record that this thread's request is over."""
        self._in_work.pop(threading.get_ident(), None)
        self._moved = time.monotonic()

    def wait_until_hung(self, threads: int, looks: float, pause: float, taken: Callable[[], object]) -> None:
        """Return when ``threads`` threads hang: all in the project's code, at ``looks`` looks in a row.

        And none of them has left it meanwhile, not even for a moment. There are ``pause`` seconds between two
        looks, which are counted, because this whole process may have been stopped meanwhile. Whenever all
        threads have a request, ``taken`` is called.
        """
        still = 0
        while still < looks:
            before = self._moved
            time.sleep(pause)
            states = list(self._in_work.values())
            if len(states) >= threads:
                taken()
            still = still + 1 if len(states) >= threads and all(states) and self._moved == before else 0


class _Body:
    """The body of a request: a thread that reads from it waits for the client."""

    def __init__(self, body: Any, requests: Requests, thread: int) -> None:
        self._body, self._requests, self._thread = body, requests, thread

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._body, name)
        if name not in READING:
            return value

        def read(*arguments: Any) -> Any:
            self._requests.turn(self._thread, inside=False)
            try:
                return value(*arguments)
            finally:
                self._requests.turn(self._thread, inside=True)

        return read

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")


class _Answer:
    """The body of an answer: between two of its parts the client has the request."""

    def __init__(self, parts: Iterable[bytes], requests: Requests, thread: int) -> None:
        self._parts, self._requests, self._thread = parts, requests, thread
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._requests.turn(self._thread, inside=True)
        try:
            if self._iterator is None:
                self._iterator = iter(self._parts)
            return next(self._iterator)
        finally:
            self._requests.turn(self._thread, inside=False)

    def close(self) -> None:
        """As PEP 3333 has it."""
        if hasattr(self._parts, "close"):
            self._requests.turn(self._thread, inside=True)
            try:
                self._parts.close()
            finally:
                self._requests.turn(self._thread, inside=False)
