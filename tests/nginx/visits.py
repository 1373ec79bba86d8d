"""Visitors, one at a time or many at once."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from world import Nginx, eventually, exchange


def answered_by(nginx: Nginx, requests: int) -> Counter[str]:
    """The hostnames of the replicas that answered; every answer must be a 200."""
    answers = [
        nginx.request("/echo", "POST" if n % 2 else "GET", body=b"x" if n % 2 else None)
        for n in range(requests)
    ]
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.json["hostname"] for answer in answers)


@dataclass
class Visits:
    """What many visitors at once have seen so far."""

    served: Counter[str] = field(default_factory=Counter)
    """How many requests each replica answered, by its hostname."""
    failed: list[str] = field(default_factory=list)
    """Every answer that was not a 200 of the application, and every lost connection."""

    def more(self) -> None:
        """Return when another forty requests have been answered."""
        wanted = self.served.total() + 40
        eventually(f"more answers; failed: {self.failed[:3]}", lambda: self.served.total() > wanted)


@contextmanager
def visitors(nginx: Nginx) -> Iterator[Visits]:
    """Four visitors who GET and POST all the time, two of them on connections they keep."""
    visits = Visits()
    over = threading.Event()

    def visit(keeps: bool) -> None:
        connection = nginx.connect()
        for number in itertools.count():
            if over.is_set():
                return
            method, body = ("POST", b"order=1") if number % 2 else ("GET", None)
            try:
                answer = exchange(connection, "/echo", method, body=body)
                if answer.status == 200:
                    visits.served[answer.json["hostname"]] += 1
                else:
                    visits.failed.append(f"{method}: {answer.status}")
            except (OSError, http.client.HTTPException) as broken:
                visits.failed.append(f"{method}: {broken!r}")
                connection.close()
            if not keeps:
                connection.close()

    threads = [threading.Thread(target=visit, args=(keeps,)) for keeps in (True, True, False, False)]
    for thread in threads:
        thread.start()
    try:
        visits.more()
        yield visits
        visits.more()
    finally:
        over.set()
        for thread in threads:
            thread.join()
