"""What can be said about a build or a start without an engine."""

from __future__ import annotations

import subprocess

import pytest

from slipway.config.settings import Settings
from slipway.core.consent import require_consent
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine.engine import ContainerState
from slipway.images.build import failing_line, run_build
from slipway.orchestrators import init
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session

_FAILED_BUILD = """\
#11 [dependencies 3/3] RUN install-dependencies
#11 0.412 Resolved 14 packages
#11 0.613 error: no matching distribution for nothing==9
#11 ERROR: process "/bin/sh -c install-dependencies" did not complete successfully: exit code: 2
------
 > [dependencies 3/3] RUN install-dependencies:
0.613 error: no matching distribution for nothing==9
------
failed to solve: process "/bin/sh -c install-dependencies" did not complete successfully: exit code: 2
"""


def test_the_failing_line_is_what_the_step_said() -> None:
    """Red when BuildKit's own summary is taken for the reason."""
    assert failing_line(_FAILED_BUILD) == "error: no matching distribution for nothing==9"


def test_a_step_that_said_nothing_gives_the_engines_error() -> None:
    """Red when such a failure has no reason at all."""
    silent = "#5 [x 1/1] COPY a b\n#5 ERROR: failed to compute cache key: /a: not found\n"
    assert failing_line(silent) == "failed to compute cache key: /a: not found"
    assert failing_line("unknown flag: --x\n") == "unknown flag: --x"
    assert failing_line("") == "no output"


def test_the_hint_of_uv_is_not_the_reason() -> None:
    """Red when the last line stands for the reason, whatever it says."""
    said = "error: Failed to build `psycopg2`\nError: pg_config executable not found.\nFor more, see\n"
    hint = "hint: Build failures usually indicate a problem with the package or the build environment\n"
    steps = "".join(f"#42 3.887        {line}\n" for line in (said + hint).splitlines())
    assert failing_line(steps) == "Error: pg_config executable not found."
    assert failing_line(f"#42 3.9 {hint}") == hint.strip()
    # What the installation says after it tried twice, each try with its hint.
    assert failing_line(f"{steps}{steps}#42 9.1 SLIP-131: why; fix: so\n") == "SLIP-131: why; fix: so"


def test_nobody_to_ask_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a pipe counts as consent."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(SlipwayError, match=r"SLIP-069.*no terminal"):
        require_consent("Delete?", yes=False)
    require_consent("Delete?", yes=True)


def test_only_yes_is_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when Enter deletes."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer in ("", "n", "nope", "yep"):
        monkeypatch.setattr("builtins.input", lambda _question, answer=answer: answer)
        with pytest.raises(SlipwayError, match="SLIP-069"):
            require_consent("Delete?", yes=False)
    monkeypatch.setattr("builtins.input", lambda _question: "Yes")
    require_consent("Delete?", yes=False)


def _state(**changes: object) -> ContainerState:
    facts = {
        "id": "1", "name": "shop-dev-web-1", "service": "web", "image": "i", "state": "running", "health": "",
        "exit_code": 0, "ports": (), "addresses": {}, "health_output": "", "error": "", "restarts": 0,
    }  # fmt: skip
    return ContainerState(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "ready", "failed", "summary"),
    [
        ({}, True, False, "running"),
        ({"health": "healthy"}, True, False, "healthy"),
        ({"health": "starting"}, False, False, "starting"),
        ({"health": "unhealthy"}, False, True, "unhealthy"),
        ({"state": "exited"}, True, False, "done"),
        ({"state": "exited", "exit_code": 1}, False, True, "exited (1)"),
        ({"state": "created"}, False, False, "created"),
        ({"state": "created", "error": "port is taken"}, False, True, "created"),
        ({"state": "restarting", "exit_code": 1}, False, True, "restarting"),
    ],
)
def test_states_are_judged(facts: dict[str, object], ready: bool, failed: bool, summary: str) -> None:
    """Red when a crash counts as ready, or a slow start as failed."""
    state = _state(**facts)
    assert (state.ready, state.failed, state.summary) == (ready, failed, summary)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("#5 [x 1/1] COPY a b\n#5 ERROR: not found\n", "SLIP-050: the image build failed: not found"),
        ("yaml: line 3: did not find expected key\n", "SLIP-172: .*yaml: line 3"),
        ("env file app.env not found\n", "SLIP-172: .*app.env not found"),
    ],
)
def test_only_what_is_a_build_is_called_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, said: str, code: str
) -> None:
    """Red when a compose file that does not parse is told as a failed image build."""
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(Runner, "run", lambda *_, **__: failed)
    monkeypatch.setattr(Runner, "capture", lambda *_, **__: failed)
    monkeypatch.setattr(init, "record_build", lambda _settings: None)
    with pytest.raises(SlipwayError, match=code):
        run_build(Session(Stack(settings, prod=False), Runner()), Stack(settings, prod=False))
