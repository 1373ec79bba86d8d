"""docker/first_worker.py: the first worker loads alone, and nobody waits for one that has died."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace

import pytest
from kitfiles import load


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("first_worker")
    # Longer than any of these tests takes unless it is red.
    monkeypatch.setattr(module, "LONGEST_WAIT", 30.0)
    return module


@pytest.fixture
def fork() -> Iterator[Callable[[object, str], int]]:
    """Fork first workers, each of which waits for a file to be closed, and then loads or dies."""
    children = []

    def _fork(first: object, ends: str) -> int:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            select.select([reading], [], [])
            if ends == "loads":
                first.loaded()  # type: ignore[attr-defined]
                signal.pause()
            os._exit(0)
        children.append(child)
        os.close(reading)
        return writing

    yield _fork
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("ends", ["loads", "dies"])
def test_the_second_is_started_when_the_first_is_ready_or_dead(
    module: ModuleType, fork: Callable[[object, str], int], ends: str
) -> None:
    """Red when before_fork does not wait, or when the master keeps its own writing end open."""
    first = module.FirstWorker(alone=True)
    first.before_fork(SimpleNamespace(age=1))
    go = fork(first, ends)
    released = []

    def release() -> None:
        released.append(True)
        os.close(go)

    threading.Timer(0.2, release).start()
    began = time.monotonic()
    first.before_fork(SimpleNamespace(age=2))
    assert released
    assert time.monotonic() - began < module.LONGEST_WAIT


def test_a_server_that_is_told_to_stop_starts_no_further_worker(
    module: ModuleType, fork: Callable[[object, str], int]
) -> None:
    """Red when signals are not looked at: the test then takes LONGEST_WAIT, and nothing is raised."""
    handled = []
    previous = signal.signal(signal.SIGTERM, lambda *_: handled.append(True))
    try:
        first = module.FirstWorker(alone=True)
        first.before_fork(SimpleNamespace(age=1))
        fork(first, "loads")
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(StopIteration):
            first.before_fork(SimpleNamespace(age=2))
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert handled


def test_with_enough_processors_nobody_waits(module: ModuleType, fork: Callable[[object, str], int]) -> None:
    """Red when ``alone`` is ignored: the second then waits for the first, which does not load here, and the
    test takes LONGEST_WAIT.
    """
    began = time.monotonic()
    first = module.FirstWorker(alone=False)
    first.before_fork(SimpleNamespace(age=1))
    go = fork(first, "loads")
    first.before_fork(SimpleNamespace(age=2))
    assert time.monotonic() - began < module.LONGEST_WAIT
    os.close(go)
