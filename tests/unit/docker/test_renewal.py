"""The service acme: how often it asks, and what becomes of a failure."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kitfiles import load


@pytest.fixture
def renewal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("acme/renewal")
    module.STATE = tmp_path
    monkeypatch.setattr(module, "publish", lambda: "")
    return module


def _answer(renewal: ModuleType, monkeypatch: pytest.MonkeyPatch, problem: str) -> list[bool]:
    asked: list[bool] = []

    def ask(*, force: bool) -> str:
        asked.append(force)
        return problem

    monkeypatch.setattr(renewal, "ask", ask)
    return asked


def _status(renewal: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((renewal.STATE / "status.json").read_text())
    return found


def test_failures_are_counted_and_forgotten(renewal: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a failure is not recorded, or the last success is lost by one."""
    _answer(renewal, monkeypatch, "")
    assert renewal.main("attempt") == 0
    succeeded = _status(renewal)["succeeded"]
    _answer(renewal, monkeypatch, "the CA is down")
    assert renewal.main("attempt") == renewal.main("renew") == 1
    status = _status(renewal)
    assert (status["failures"], status["problem"], status["succeeded"]) == (2, "the CA is down", succeeded)
    assert renewal.main("health") == 1
    _answer(renewal, monkeypatch, "")
    assert renewal.main("attempt") == renewal.main("health") == 0
    assert _status(renewal)["failures"] == 0


def test_it_is_unhealthy_before_the_first_attempt(renewal: ModuleType) -> None:
    """Red when nothing yet counts as all right."""
    assert renewal.main("health") == 1


@pytest.mark.parametrize(
    ("failures", "minutes"), [(0, 720), (1, 15), (2, 30), (3, 60), (6, 480), (7, 720), (100, 720)]
)
def test_pauses(renewal: ModuleType, failures: int, minutes: int) -> None:
    """Red when a CA that refuses is asked more than five times in an hour, or pauses grow for ever."""
    renewal.record({"failures": failures})
    pauses = {renewal.pause().total_seconds() / 60 for _ in range(50)}
    assert all(0.9 * minutes <= pause <= 1.1 * minutes for pause in pauses)
    assert len(pauses) > 1, "everybody would come at the same minute"


def test_only_a_person_forces_a_renewal(renewal: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the loop has certificates issued that nobody needs."""
    asked = _answer(renewal, monkeypatch, "")
    renewal.main("attempt")
    renewal.main("renew")
    assert asked == [False, True]


def test_who_comes_meanwhile_takes_over_the_result(
    renewal: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when `up` asks again what the service has just asked: attempts are counted."""
    asked = _answer(renewal, monkeypatch, "")
    monkeypatch.setattr(renewal.fcntl, "flock", lambda *_: renewal.record(
        {"attempted": renewal.now(), "problem": "refused just now", "failures": 1}
    ))  # fmt: skip
    assert renewal.attempt() == "refused just now"
    assert asked == []
