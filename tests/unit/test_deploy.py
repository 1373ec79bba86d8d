"""What a deploy refuses before it touches anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import deploy
from slipway.compose import Stack
from slipway.errors import SlipwayError
from slipway.run import Runner
from slipway.session import Session
from slipway.settings import Settings, load, record_machine


def _session(settings: Settings) -> Session:
    return Session(Stack(settings, prod=True, cwd=settings.root), Runner(echo=False))


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_fixed_release_is_refused(checkout: Path, where: str) -> None:
    """Red when the check is gone: the deploy would switch, and every later command name the old release."""
    if where == ".env":
        (checkout / ".env").write_text("RELEASE=mine\n")
    settings = load(checkout, environ={"RELEASE": "mine"} if where == "environment" else {})
    with pytest.raises(SlipwayError, match=f"SLIP-084.*{where}"):
        deploy.deploy(_session(settings))


def test_a_recorded_release_is_not_a_fixed_one(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the kit's own record counts as somebody's choice."""
    record_machine(checkout, {"RELEASE": "abc"})
    monkeypatch.setattr(deploy.engine, "containers", lambda _project: [])
    with pytest.raises(SlipwayError, match="SLIP-081"):
        deploy.deploy(_session(load(checkout, environ={})))


def test_a_release_that_serves_is_numbered() -> None:
    """Red when a second deploy of one revision has the name of the first: the two must be told apart."""
    assert deploy._unused("other", "abc") == "abc"
    assert deploy._unused("abc", "abc") == "abc-2"


def test_an_image_is_fetched_only_when_it_is_not_here(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when a registry is asked for what is here, or a foreign image is switched to."""
    ran: list[list[str]] = []
    monkeypatch.setattr(Runner, "run", lambda _self, argv, **_: ran.append(list(argv)))
    monkeypatch.setattr(deploy.engine, "image_id", lambda name: "sha256:1" if name == "here" else "")
    monkeypatch.setattr(deploy.engine, "image_release", lambda name: "r1" if name != "foreign" else "")
    deploy._fetch(_session(settings), "here")
    assert ran == []
    deploy._fetch(_session(settings), "elsewhere/shop:r1")
    assert ran == [["docker", "pull", "elsewhere/shop:r1"]]
    with pytest.raises(SlipwayError, match="SLIP-091"):
        deploy._fetch(_session(settings), "foreign")


def test_commands_of_a_deploy_carry_the_new_release(settings: Settings) -> None:
    """Red when Compose would see the recorded release for the new containers."""
    argv = Stack(settings, prod=True, cwd=settings.root).for_release("next").command("up", "web")
    assert argv[:4] == ["env", "RELEASE=next", "docker", "compose"]
    assert Stack(settings, prod=True).for_release("next").images()[0] == "shop-prod-web:next"
