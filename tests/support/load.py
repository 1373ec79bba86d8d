"""Visitors who never stop: pages, static files, slow pages and numbered form posts, over kept connections."""

from __future__ import annotations

import re
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from tests.support.site import Site
from tests.support.world import World

_SLOW_VIEW = """
import time
from django.http import HttpResponse

def slow(request):
    time.sleep(float(request.GET.get("seconds", "2.5")))
    return HttpResponse("slow")

urlpatterns.insert(0, path("slow", slow))
"""
# More than any visitor makes: the visitor's number is in front of it.
_TURNS = 1_000_000
# Well within the five seconds for which such a connection is kept.
_THINKING_SECONDS = 1.5


def add_slow_view(own: World) -> None:
    """Give the copy's site the page that takes its time, before it is built."""
    urls = own.root / "example" / "config" / "urls.py"
    urls.write_text(urls.read_text() + _SLOW_VIEW)


class Refused(Exception):  # noqa: N818 - an answer, not an accident
    """An answer of another status than a visitor expects."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.request.method} {answer.url}: {answer.text[:200]!r}")
        self.status = answer.status_code


@dataclass(frozen=True)
class Failure:
    """One request that failed, as the visitor saw it."""

    moment: float
    """time.monotonic() when it had failed."""
    clock: str
    visitor: str
    kind: str
    """The status, ``connection`` (refused or cut), ``silence`` (no answer in time), or what it was."""
    detail: str


def _kind(problem: Exception) -> str:
    if isinstance(problem, Refused):
        return str(problem.status)
    if isinstance(problem, httpx.TimeoutException):
        return "silence"
    return "connection" if isinstance(problem, httpx.TransportError) else type(problem).__name__


def _expect(answer: httpx.Response, status: int = 200) -> httpx.Response:
    if answer.status_code != status:
        raise Refused(answer)
    return answer


@dataclass
class Load:
    """Ten visitors of ``url`` until the end of the block; what went wrong is in ``failures``."""

    url: str
    verify: ssl.SSLContext | bool = True
    """Which CA the visitors trust, as httpx takes it."""
    timeout: float = 30
    """Seconds for which a visitor waits for an answer."""
    failures: list[Failure] = field(default_factory=list)
    requests: int = 0
    acknowledged: list[str] = field(default_factory=list)
    releases: dict[int, list[str]] = field(default_factory=dict)
    """The releases each visitor of the page saw, in order, repetitions left out.

    Per visitor, because one whose connection is older than a switch may see the old release a little longer.
    """
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    """What tells the entries of this load from another's."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        jobs: list[tuple[str, Callable[[Site, int], None]]] = [
            *[("page", self._page)] * 2,
            ("static", self._static),
            *[("slow", self._slow)] * 2,
            *[("post", self._post)] * 3,
            *[("thinking", self._think)] * 2,
        ]
        for number, (name, job) in enumerate(jobs):
            thread = threading.Thread(target=self._visit, args=(name, job, number), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _visit(self, name: str, job: Callable[[Site, int], None], number: int) -> None:
        site = Site(self.url, self.timeout, verify=self.verify)
        turn = 0
        while not self._stop.is_set():
            turn += 1
            try:
                job(site, number * _TURNS + turn)
            except Exception as problem:
                seen = Failure(time.monotonic(), time.strftime("%X"), name, _kind(problem), repr(problem))
                with self._lock:
                    self.failures.append(seen)
            # Some fifty requests a second: the machine has deploys to do besides.
            time.sleep(0.15)
        site.client.close()

    def _count(self, requests: int = 1) -> None:
        with self._lock:
            self.requests += requests

    def _page(self, site: Site, number: int) -> None:
        seen = site.release(_expect(site.get("/")))
        self._count()
        mine = self.releases.setdefault(number // _TURNS, [])
        if not mine or mine[-1] != seen:
            mine.append(seen)

    def _static(self, site: Site, number: int) -> None:
        page = _expect(site.get("/"))
        found = re.search(r'href="(/static/[^"]+\.css)"', page.text)
        assert found, page.text
        _expect(site.get(found[1]))
        self._count(2)

    def _slow(self, site: Site, number: int) -> None:
        _expect(site.get("/slow"))
        self._count()

    def _think(self, site: Site, number: int) -> None:
        """Post over a connection that was idle: an nginx worker that a reload has replaced still holds it."""
        _expect(site.get("/"))
        self._stop.wait(_THINKING_SECONDS)
        self._post(site, number, pause=_THINKING_SECONDS)

    def _post(self, site: Site, number: int, pause: float = 0) -> None:
        text = f"entry-{self.run}-{number}-"
        page = _expect(site.get("/"))
        _expect(site.submit("/", {"text": text}, pause=pause, page=page), 302)
        self._count(2)
        with self._lock:
            self.acknowledged.append(text)
