"""What a command gets that finds no container to run in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from slipway.commands import commands
from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.pgupgrade import dbmajor
from slipway.release import lifecycle

TASKS: list[tuple[Callable[[Session], None], bool]] = [
    (lambda session: commands.manage(session, ["check"]), False),
    (lambda session: commands.manage(session, ["check"]), True),
    (lambda session: commands.migrate(session, []), False),
    (commands.collectstatic, True),
    (lambda session: commands.test(session, []), False),
    (lambda session: commands.shell(session, "web", django=False), True),
]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done, in order, on an engine without a container or an image of the stack."""
    order: list[str] = []

    def replace(_self: Runner, argv: Sequence[str], **_: object) -> None:
        order.append("run" if "run" in argv else "exec")

    monkeypatch.setattr(engine, "first_running", lambda _project, _service: "")
    monkeypatch.setattr(engine, "image_id", lambda _reference: "")
    monkeypatch.setattr(lifecycle, "build", lambda _session: order.append("build"))
    monkeypatch.setattr(dbmajor, "check", lambda _session: order.append("check the volume"))
    monkeypatch.setattr(Runner, "replace", replace)
    return order


@pytest.mark.parametrize(("call", "prod"), TASKS)
def test_what_is_missing_is_built_before_anything_is_created(
    settings: Settings, done: list[str], call: Callable[[Session], None], prod: bool
) -> None:
    """Red when Compose begins with the database, and ends at a `migrate` without an image."""
    call(Session(Stack(settings, prod), Runner()))
    assert done == ["build", "check the volume", "run"]


def test_a_build_that_fails_leaves_nothing_behind(
    settings: Settings, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the command is begun all the same."""

    def fail(_session: Session) -> None:
        raise SlipwayError("SLIP-050", "the image build failed", "the step is above")

    monkeypatch.setattr(lifecycle, "build", fail)
    with pytest.raises(SlipwayError, match="SLIP-050"):
        commands.manage(Session(Stack(settings, prod=False), Runner()), ["check"])
    assert done == []


def test_what_is_there_is_not_built(
    settings: Settings, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a command waits for a build that it does not need: of an image, or beside a container."""
    session = Session(Stack(settings, prod=False), Runner())
    monkeypatch.setattr(engine, "image_id", lambda reference: f"sha256:{reference}")
    commands.manage(session, ["check"])
    assert done == ["check the volume", "run"]
    done.clear()
    monkeypatch.setattr(engine, "first_running", lambda _project, _service: "abc")
    monkeypatch.setattr(engine, "image_id", lambda _reference: "")
    commands.manage(session, ["check"])
    assert done == ["exec"]
