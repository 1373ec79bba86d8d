"""docker/first_worker.py: the first worker loads alone, and nobody waits for one that has died."""

from __future__ import annotations

import os
import select
import threading
import time
from types import ModuleType, SimpleNamespace

import pytest
from kitfiles import load


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("first_worker")
    monkeypatch.setattr(module, "LONGEST_WAIT", 60.0)
    return module


def fork(first: object, *, loads: threading.Event | None = None) -> int:
    """Fork a first worker that waits for a byte, then has loaded the project (or dies)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        select.select([reading], [], [])
        if loads:
            first.loaded()  # type: ignore[attr-defined]
            time.sleep(60)
        os._exit(0)
    os.close(reading)
    return writing


@pytest.mark.parametrize("ends", ["loads", "dies"])
def test_the_second_is_started_when_the_first_is_ready_or_dead(module: ModuleType, ends: str) -> None:
    """Red when before_fork does not wait, or when the master keeps its own writing end open."""
    first = module.FirstWorker(alone=True)
    first.before_fork(SimpleNamespace(age=1))
    go = fork(first, loads=threading.Event() if ends == "loads" else None)
    second = threading.Thread(target=first.before_fork, args=(SimpleNamespace(age=2),), daemon=True)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    os.close(go)
    second.join(30)
    assert not second.is_alive()


def test_with_enough_processors_nobody_waits(module: ModuleType) -> None:
    """Red when ``alone`` is ignored: the test then takes LONGEST_WAIT."""
    first = module.FirstWorker(alone=False)
    for age in (1, 2, 3):
        first.before_fork(SimpleNamespace(age=age))
    first.loaded()
