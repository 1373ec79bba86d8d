"""What the chaos tests share: a site that is broken while it is used, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from faults import FAULTS

from tests.rollout.rolloutkit import ONE_SHOTS, assert_clean, release
from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.world import World

# Added to the urls after the slow view, whose imports they use.
VIEWS = """
import threading

def hang(request):
    threading.Event().wait()

def large(request, size):
    return HttpResponse(b"x" * size)

from django.http import StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

def events(request):
    def each():
        while True:
            yield b"data: tick\\n\\n"
            time.sleep(1)
    return StreamingHttpResponse(each(), content_type="text/event-stream")

@csrf_exempt
def upload(request):
    file = request.FILES["file"]
    time.sleep(float(request.GET.get("seconds", "0")))
    where = file.temporary_file_path() if hasattr(file, "temporary_file_path") else "memory"
    return HttpResponse(f"{file.size} {where}")

urlpatterns.insert(0, path("hang", hang))
urlpatterns.insert(0, path("large/<int:size>", large))
held = []

def swallow(request):
    while True:
        held.append(bytearray(8 * 2**20))
        time.sleep(0.02)

urlpatterns.insert(0, path("swallow", swallow))
urlpatterns.insert(0, path("events", events))
urlpatterns.insert(0, path("upload", upload))
"""
# Longer than nginx waits for the application: visitors then see its 504.
_PATIENCE = 40.0
# Ten visitors make hundreds of requests meanwhile.
_CALM = 5.0


@dataclass
class Ordeal:
    """One fault under load; ``end`` tells when a lasting one is over."""

    load: Load
    begun: float = field(default_factory=time.monotonic)

    def end(self) -> None:
        """Count the allowance from now."""
        self.begun = time.monotonic()


@contextlib.contextmanager
def endured(own: World, name: str) -> Iterator[Ordeal]:
    """The block breaks something under load; afterwards it has healed within what ``FAULTS[name]`` allows.

    No hand: nothing is called after the block but what looks. No acknowledged entry is lost, none is doubled.
    """
    fault, live = FAULTS[name], release(own)
    with Load(own.url, timeout=_PATIENCE) as load:
        eventually(lambda: len(load.acknowledged) > 10, "the load to run")
        assert load.failures == []
        ordeal = Ordeal(load)
        yield ordeal
        left = fault.recovered - (time.monotonic() - ordeal.begun)
        eventually(lambda: all_healthy(own), f"recovery within {fault.recovered} s", timeout=left)
        recovered = time.monotonic() - ordeal.begun
        eventually(
            lambda: _calm(load), "visitors to be served", timeout=max(fault.seconds - recovered, 0) + 60
        )
    seen = Counter(failure.kind for failure in load.failures)
    last = max((failure.moment - ordeal.begun for failure in load.failures), default=0.0)
    print(f"\n{name}: {load.requests} requests, {len(load.acknowledged)} posts acknowledged,")
    print(f"  failed {dict(seen)}, the last after {last:.1f} s; healthy after {recovered:.1f} s")
    details = "\n".join(f"{failure.clock} {failure.visitor} {failure.detail}" for failure in load.failures)
    assert set(seen) <= set(fault.seen), f"errors of a kind not stated: {dict(seen)}\n{details}"
    assert last <= fault.seconds, f"requests failed for {last:.1f} s\n{details}"
    assert_stored(own, load)
    assert_clean(own, live)


def _calm(load: Load) -> bool:
    """Whether no request has failed for a while; raises if one does, so as to be asked again."""
    begun, failed = len(load.acknowledged), len(load.failures)
    time.sleep(_CALM)
    assert len(load.failures) == failed, load.failures[-1]
    return len(load.acknowledged) > begun


def assert_stored(own: World, load: Load) -> None:
    """Every entry that was acknowledged is stored, and none twice."""
    stored = own.sql(f"select text from guestbook_entry where text like 'entry-{load.run}-%'").splitlines()
    assert len(stored) == len(set(stored)), "an entry was stored twice"
    assert set(load.acknowledged) <= set(stored), "an acknowledged entry was lost"


def all_healthy(own: World) -> bool:
    """Whether every container that stays is running and healthy; says which is not."""
    for container in own.containers():
        state = container["State"]
        if container["Config"]["Labels"]["com.docker.compose.service"] in ONE_SHOTS:
            continue
        health = state["Health"]["Status"] if state["Running"] else "ended"
        assert health == "healthy", f"{container['Name']} is {health}"
    return True


# --- Processes of containers, seen from outside. `docker kill` would not do: the engine takes it for a wish,
# and does not restart what somebody wanted to end.


def init_pid(own: World, service: str, number: int = 1) -> int:
    """Process 1 of the container, by its number on this machine."""
    return int(own.container(service, number)["State"]["Pid"])


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started, oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def master_pid(own: World, service: str, number: int = 1) -> int:
    """The server itself: the child of Docker's init."""
    return children(init_pid(own, service, number))[0]


def worker_pids(own: World, service: str, number: int = 1) -> list[int]:
    """The server's worker processes."""
    return children(master_pid(own, service, number))


def kill(*pids: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Send every process the signal."""
    for pid in pids:
        os.kill(pid, by)
