"""docker/first_worker.py: the first worker loads alone, and nobody waits for one that has died."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace

import pytest
from kitfiles import load


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("first_worker")
    monkeypatch.setattr(module, "LONGEST_WAIT", 60.0)
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
    second = threading.Thread(target=first.before_fork, args=(SimpleNamespace(age=2),), daemon=True)
    second.start()
    # It must still wait: nothing to poll for.
    second.join(0.2)
    waits = second.is_alive()
    os.close(go)
    assert waits
    second.join(30)
    assert not second.is_alive()


def test_with_enough_processors_nobody_waits(module: ModuleType, fork: Callable[[object, str], int]) -> None:
    """Red when ``alone`` is ignored: the second then waits for the first, which does not load here."""
    first = module.FirstWorker(alone=False)
    first.before_fork(SimpleNamespace(age=1))
    go = fork(first, "loads")
    second = threading.Thread(target=first.before_fork, args=(SimpleNamespace(age=2),), daemon=True)
    second.start()
    second.join(30)
    assert not second.is_alive()
    os.close(go)
