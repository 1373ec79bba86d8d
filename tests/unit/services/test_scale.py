"""The order in which replicas come and go: nginx first, then the containers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine.engine import ContainerState
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services import scale


def _replica(number: int) -> ContainerState:
    return ContainerState(
        id=f"c{number}", name=f"web-{number}", service="web", image="shop-prod-web:r1", state="running",
        health="healthy", exit_code=0, ports=(), addresses={"shop-prod_edge": f"10.0.0.{number}"},
        health_output="", error="", restarts=0,
    )  # fmt: skip


@dataclass
class _World:
    """Containers that only exist in memory, and a record of what was done to them and to nginx."""

    there: list[ContainerState]
    ready: bool = True
    strangers: list[ContainerState] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        def note(_session: Session, *arguments: Any) -> None:
            said = [a if isinstance(a, str) else "+".join(sorted(a)) for a in arguments]
            self.done.append(" ".join([name, *said]))

        return note

    def of_release(self, _stack: Stack, _release: str) -> list[ContainerState]:
        return list(self.there)

    def besides(self, _stack: Stack, kept: list[ContainerState]) -> list[ContainerState]:
        return [c for c in [*self.there, *self.strangers] if c not in kept]

    def addresses(self, _stack: Stack, states: list[ContainerState]) -> list[str]:
        return [c.addresses["shop-prod_edge"] for c in states]

    def start(self, _session: Session, _stack: Stack, count: int) -> list[ContainerState]:
        new = [_replica(len(self.there) + n + 1) for n in range(count)]
        self.there += new
        self.done.append(f"start {count}")
        return new

    def wait_ready(self, _session: Session, _states: list[ContainerState]) -> None:
        self.done.append("wait_ready")
        if not self.ready:
            raise SlipwayError("SLIP-064", "it crashed", "fix it")

    def remove(self, _session: Session, states: list[ContainerState], *, force: bool = False) -> None:
        if states:
            self.done.append(f"{'kill' if force else 'stop'} {'+'.join(c.id for c in states)}")


@pytest.fixture
def session(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(scale.engine, "running", lambda _project, _service: True)
    return Session(Stack(settings, prod=True), Runner(echo=False))


def _resize(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    before: int,
    after: int,
    *,
    ready: bool = True,
    strangers: int = 0,
) -> _World:
    left = [_replica(n + 90) for n in range(strangers)]
    own = _World([_replica(n + 1) for n in range(before)], ready, left)
    monkeypatch.setattr(scale, "front", own)
    monkeypatch.setattr(scale, "replicas", own)
    try:
        scale.resize(session, "r1", after)
    except SlipwayError:
        assert not ready
    return own


def test_fewer(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when containers stop before nginx has let go of them."""
    assert _resize(session, monkeypatch, 3, 1).done == [
        "ensure_serving r1", "pin 10.0.0.1", "drain", "stop c2+c3", "wait_for_peers 10.0.0.1", "rest",
    ]  # fmt: skip


def test_more(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when nginx is free to use replicas that are only starting."""
    assert _resize(session, monkeypatch, 1, 2).done == [
        "ensure_serving r1", "pin 10.0.0.1", "start 1", "wait_ready",
        "wait_for_peers 10.0.0.1+10.0.0.2", "rest",
    ]  # fmt: skip


def test_more_that_do_not_become_ready(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when they stay, or nginx stays pinned."""
    assert _resize(session, monkeypatch, 1, 2, ready=False).done[3:] == [
        "wait_ready", "kill c2", "wait_for_peers 10.0.0.1", "rest",
    ]  # fmt: skip


def test_what_a_killed_deploy_left_goes_first(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when Compose is left to choose which of them to keep."""
    assert _resize(session, monkeypatch, 2, 2, strangers=1).done == ["ensure_serving r1", "kill c90"]


@pytest.mark.parametrize(("before", "after"), [(2, 2), (0, 3)])
def test_nothing_to_do(session: Session, monkeypatch: pytest.MonkeyPatch, before: int, after: int) -> None:
    """Red when a start, or a repeated `up`, goes through nginx for nothing."""
    assert _resize(session, monkeypatch, before, after).done == []
