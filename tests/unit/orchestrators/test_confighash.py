"""Whether a container is what Compose would make now, where Compose itself cannot be asked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from slipway.config.settings import Settings
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.orchestrators import confighash
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session

_PRINTED = "printed"


def container(service: str, label: str) -> ContainerState:
    """A running one with Compose's ``label``."""
    return ContainerState(
        id=service, name=f"shop-prod-{service}-1", service=service, image="i", state="running", health="",
        exit_code=0, ports=(), addresses={}, health_output="", error="", restarts=0, config_hash=label,
    )  # fmt: skip


@pytest.fixture
def configured(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Session]:
    """A session of production whose compose files say of each service what is given."""

    def session(**services: dict[str, Any]) -> Session:
        def answer(_runner: Runner, argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            said = f"{argv[-1]} {_PRINTED}" if "--hash" in argv else json.dumps({"services": services})
            return subprocess.CompletedProcess(argv, 0, said, "")

        monkeypatch.setattr(Runner, "capture", answer)
        monkeypatch.setattr(confighash, "_read_before", {})
        return Session(Stack(settings, prod=True), Runner())

    return session


def test_a_change_of_the_environment_is_seen_and_one_of_replicas_is_none(
    configured: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when what is in app.env does not count: Compose's own digest of the files leaves it out."""
    web = [container("web", "label")]
    monkeypatch.setattr(engine, "containers", lambda _project: web)
    first = configured(web={"environment": {"A": "1"}, "deploy": {"replicas": 1}, "build": {"args": {}}})
    assert not confighash.is_current(first, first.stack, web), "nothing is known of it"
    confighash.remember(first, first.stack)
    assert confighash.is_current(first, first.stack, web)
    scaled = configured(
        web={"environment": {"A": "1"}, "deploy": {"replicas": 3}, "build": {"args": {"R": "2"}}}
    )
    assert confighash.is_current(scaled, scaled.stack, web)
    changed = configured(web={"environment": {"A": "2"}, "deploy": {"replicas": 1}})
    assert not confighash.is_current(changed, changed.stack, web)
    confighash.remember(changed, changed.stack)
    assert not confighash.is_current(changed, changed.stack, web), "what is known of a label stays"
    assert not confighash.is_current(changed, changed.stack, [container("web", "another")])


def test_of_an_installation_from_before_compose_is_asked(configured: Callable[..., Session]) -> None:
    """Red when a deploy is refused, because the database would be replaced, after an upgrade of the kit."""
    session = configured(db={"image": "postgres"})
    assert confighash.is_current(session, session.stack, [container("db", _PRINTED)])
    assert not confighash.is_current(session, session.stack, [container("db", "other")])
