"""The project's own executables around a deploy."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services import hooks


@pytest.fixture
def session(settings: Settings) -> Session:
    return Session(Stack(settings, prod=True, cwd=settings.root), Runner(echo=False))


def _write(session: Session, name: str, text: str, mode: int = 0o755) -> Path:
    path = session.settings.root / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_without_a_hook_nothing_happens(session: Session) -> None:
    """Red when a missing file is an error."""
    hooks.run(session, "pre-deploy", {"release": "r2"})


def test_a_hook_gets_the_facts_and_the_folder(session: Session) -> None:
    """Red when RELEASE itself is set: every `invoke` in a hook would take it for the person's choice."""
    _write(session, "pre-deploy", '#!/bin/sh\necho "$SLIPWAY_RELEASE|${RELEASE-unset}|$PWD" >seen\n')
    hooks.run(session, "pre-deploy", {"release": "r2"})
    seen = (session.settings.root / "seen").read_text().strip()
    assert seen == f"r2|unset|{session.settings.root}"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("#!/bin/sh\nexit 3\n", 0o755, "ended with exit code 3"),
        ("#!/bin/sh\nexit 0\n", 0o644, "cannot be executed"),
        ("#!/no/such/shell\n", 0o755, "could not be started|not installed"),
        ("\0\0not a program", 0o755, "could not be started"),
    ],
)
def test_a_hook_that_does_not_run_or_fails(session: Session, text: str, mode: int, said: str) -> None:
    """Red when a failure passes for success, or ends in a traceback."""
    _write(session, "pre-deploy", text, mode)
    with pytest.raises(SlipwayError, match=said):
        hooks.run(session, "pre-deploy", {})
