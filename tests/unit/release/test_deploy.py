"""What a deploy refuses before it touches anything."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.config.settings import Settings, load, record_machine
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine, engineapi
from slipway.engine.engine import ContainerState
from slipway.engine.pull import Outcome, Pull
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.release import deploy, switchover
from slipway.services import diagnosis
from tests.support.world import ROOT


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


# As `docker image inspect` shows them: of web, of development, of nginx's configuration, of a foreign image.
_WEB = {
    "Cmd": ["sh", "-c", 'exec gunicorn --config /opt/slipway/gunicorn.conf.py "$SERVER_TARGET"'],
    "Entrypoint": ["/opt/venv/bin/python", "-IS", "/opt/slipway/entrypoint.py"],
    "Labels": {
        "com.docker.compose.project": "shop-prod",
        "com.docker.compose.service": "web",
        "com.docker.compose.version": "2.26.1",
        "org.opencontainers.image.revision": "0123abc",
        "org.opencontainers.image.version": "r1",
        "slipway.release": "r1",
    },
}
_OTHERS = {
    "development": {
        "Cmd": ["python", "manage.py", "runserver", "0.0.0.0:8000"],
        "Labels": {"org.opencontainers.image.version": "dev", "org.opencontainers.image.revision": "unknown"},
    },
    "nginx-configuration": {
        "Cmd": None,
        "Labels": {"org.opencontainers.image.version": "r1", "org.opencontainers.image.revision": "0123abc"},
    },
    "foreign": {"Cmd": ["gunicorn", "--config", "/opt/slipway/gunicorn.conf.py"], "Labels": None},
}


def test_an_image_is_fetched_only_when_it_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a registry is asked for what is here, or a release is told by anything but its label."""
    pulled: list[str] = []
    here = {"here": _WEB, **_OTHERS}

    def pull(reference: str) -> Pull:
        pulled.append(reference)
        here[reference] = _WEB
        return Pull(Outcome.PULLED)

    def get(path: str) -> dict[str, object]:
        name = path.removeprefix("/images/").removesuffix("/json")
        if name not in here:
            raise engineapi.NotFoundError(path)
        return {"Id": f"sha256:{name}", "Config": here[name]}

    monkeypatch.setattr(deploy, "pull", pull)
    monkeypatch.setattr(engineapi, "get", get)
    deploy._fetch("here")
    assert pulled == []
    deploy._fetch("elsewhere/shop:r1")
    assert pulled == ["elsewhere/shop:r1"]
    assert engine.image_release("elsewhere/shop:r1") == "r1"
    for other in _OTHERS:
        with pytest.raises(SlipwayError, match=f"SLIP-091.*{other}.*slipway.release") as refused:
            deploy._fetch(other)
        assert "built before" in refused.value.fix


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNREACHABLE])
def test_an_image_that_cannot_be_had_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    """Red when only the exit code of `docker pull` is told, or a silent registry passes for an image."""
    monkeypatch.setattr(engine, "image_id", lambda _reference: "")
    monkeypatch.setattr(deploy, "pull", lambda _reference: Pull(outcome, "why not"))
    with pytest.raises(SlipwayError, match=r"SLIP-091: nosuch:1 .*: why not") as refused:
        deploy._fetch("nosuch:1")
    assert "docker login" in refused.value.fix


def test_the_label_of_a_release_is_on_the_target_web_alone() -> None:
    """Red when another target can be deployed as a release, or web cannot."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = {part.split()[-1]: part for part in re.findall(r"^FROM .*? AS \S+", text, re.MULTILINE)}
    bodies = dict(zip(stages, re.split(r"^FROM .*$", text, flags=re.MULTILINE)[1:], strict=True))
    assert [stage for stage, body in bodies.items() if f"{engine.RELEASE_LABEL}=${{RELEASE}}" in body] == [
        "web"
    ]
    assert not re.search(r"^FROM web\b", text, re.MULTILINE)


def test_commands_of_a_deploy_carry_the_new_release(settings: Settings) -> None:
    """Red when Compose would see the recorded release for the new containers."""
    argv = Stack(settings, prod=True, cwd=settings.root).for_release("next").command("up", "web")
    assert argv[:4] == ["env", "RELEASE=next", "docker", "compose"]
    assert Stack(settings, prod=True).for_release("next").images()[0] == "shop-prod-web:next"


def test_a_dry_deploy_prints_what_changes_beside_web(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the switch. Red when it is left out, or a project without any is shown it."""
    for changes, shown in (({}, False), ({"celery_app": "config"}, True)):
        stack = Stack(replace(settings, **changes), prod=True, cwd=settings.root)
        switchover.plan(Session(stack, Runner(dry=True)), "next")
        said = capsys.readouterr()
        assert ("--no-deps worker" in said.out) == ("== processes" in said.err) == shown
        if shown:
            assert said.err.index("== processes") < said.err.index("== switch")


def test_one_that_ends_without_an_error_is_told_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when its last line, which is no error, is given as the reason."""
    monkeypatch.setattr("slipway.engine.engine.logs", lambda *_: ["0 mails sent"])
    state = ContainerState(
        id="1", name="shop-prod-mailer-1", service="mailer", image="i", state="restarting", health="starting",
        exit_code=0, ports=(), addresses={}, health_output="", error="", restarts=3, beside_web=True,
    )  # fmt: skip
    session = Session(Stack(settings, prod=True), Runner())
    assert "mailer does not stay" in diagnosis.failure(session, [state]).problem
    failed = diagnosis.failure(session, [replace(state, exit_code=1)]).problem
    assert "mailer failed" in failed and "0 mails sent" in failed
