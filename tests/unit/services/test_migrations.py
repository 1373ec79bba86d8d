"""Asking the image about migrations: the commands, and what is read from their output."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

import pytest

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services import migrations
from slipway.services.migrations import Reversal

PROGRAM = ["run", "--rm", "--no-deps", "-T", "migrate", "python", "/opt/slipway/migrate.py"]


class Engine(Runner):
    """Answers every command with one output and exit code, and keeps its end."""

    def __init__(self, stdout: str = "", code: int = 0) -> None:
        super().__init__(echo=False)
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "done", subprocess.CompletedProcess([], code, stdout, ""))

    def run(self, argv: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.asked.append(list(argv[argv.index("run") :]))
        return self.done

    capture = run


def _session(settings: Settings, engine: Engine) -> Session:
    return Session(Stack(settings, prod=True, cwd=settings.root), engine)


def test_applied_reads_its_line_whatever_stands_around(settings: Settings) -> None:
    """Red when a print of the project's settings is taken for the answer."""
    engine = Engine('{"settings": 1}\n{"applied": ["shop.0001_initial", "auth.0001_initial"]}\nbye\n')
    session = _session(settings, engine)
    found = migrations.applied(session, session.stack)
    assert found == {"shop.0001_initial", "auth.0001_initial"}
    assert engine.asked == [[*PROGRAM, "--applied"]]


def test_the_plan_is_read_whatever_stands_around(settings: Settings) -> None:
    """Red when what Django writes behind a name, or a print of the settings, becomes part of a name."""
    said = "[debug] on\n[X]  auth.0001_initial\n[ ]  shop.0002_x_squashed_0004 ... (auth.0001_initial)\nbye\n"
    engine = Engine(said)
    session = _session(settings, engine)
    found = migrations.planned(session, session.stack)
    assert found == {"auth.0001_initial": True, "shop.0002_x_squashed_0004": False}
    assert engine.asked == [[*PROGRAM[:5], "python", "manage.py", "showmigrations", "--plan", "--no-color"]]


class Forgetful(Engine):
    """Loses the first ``lost`` outputs, as containerd can."""

    def __init__(self, stdout: str, lost: int) -> None:
        super().__init__(stdout)
        object.__setattr__(self, "lost", lost)

    def run(self, argv: Sequence[str], **more: object) -> subprocess.CompletedProcess[str]:
        done = super().run(argv, **more)
        return subprocess.CompletedProcess([], 0, "", "") if len(self.asked) <= self.lost else done

    capture = run


def test_an_answer_that_the_engine_lost_is_asked_for_again(settings: Settings) -> None:
    """Red when a lost output is a plan without migrations, or a traceback in the middle of a deploy."""
    session = _session(settings, Forgetful("[ ]  shop.0001_initial\n", lost=1))
    assert migrations.planned(session, session.stack) == {"shop.0001_initial": False}
    session = _session(settings, Forgetful('{"applied": ["shop.0001_initial"]}\n', lost=1))
    assert migrations.applied(session, session.stack) == {"shop.0001_initial"}
    session = _session(settings, Forgetful('{"applied": []}\n', lost=9))
    with pytest.raises(SlipwayError, match=r"SLIP-060: .* --applied .* without an answer"):
        migrations.applied(session, session.stack)


def test_a_project_without_migrations_has_an_empty_plan(settings: Settings) -> None:
    """Red when Django's word for an empty plan is taken for a lost answer."""
    session = _session(settings, Engine("  (no migrations)\n(no migrations)\n"))
    assert migrations.planned(session, session.stack) == {}


def test_the_release_that_is_asked_is_the_stacks(settings: Settings) -> None:
    """Red when the recorded release is asked about migrations it does not have."""
    argv = Stack(settings, prod=True, cwd=settings.root).for_release("next").one_off("migrate", ["x"])
    assert argv[:2] == ["env", "RELEASE=next"] and argv[-6:] == [*PROGRAM[:5], "x"]


def test_reversals_are_read(settings: Settings) -> None:
    """Red when a key of the answer is renamed on one side."""
    told = {"name": "shop.0002_x", "verdict": "loses", "detail": "removes the column order.x"}
    engine = Engine(json.dumps({"reversal": [told]}))
    session = _session(settings, engine)
    assert migrations.how_they_reverse(session, session.stack, ["shop.0002_x"]) == [Reversal(**told)]
    assert engine.asked == [[*PROGRAM, "--reversal", "shop.0002_x"]]


@pytest.mark.parametrize(
    ("verdict", "possible"),
    [("clean", True), ("unjudged", True), ("loses", True), ("irreversible", False), ("unknown", False)],
)
def test_what_can_be_taken_back(verdict: str, possible: bool) -> None:
    """Red when rollback would offer what migrate.py refuses."""
    assert Reversal("shop.0002_x", verdict, "").possible is possible


def test_nothing_named_runs_nothing(settings: Settings) -> None:
    """Red when `--back` without a name reaches the image."""
    engine = Engine()
    session = _session(settings, engine)
    migrations.migrate_back(session, session.stack, [])
    assert migrations.how_they_reverse(session, session.stack, []) == []
    assert engine.asked == []


@pytest.mark.parametrize(("code", "slip"), [(2, "SLIP-088"), (1, "SLIP-060"), (137, "SLIP-060")])
def test_a_refusal_is_told_from_a_failure(settings: Settings, code: int, slip: str) -> None:
    """Red when a run that stopped half way is said to have done nothing."""
    session = _session(settings, Engine(code=code))
    with pytest.raises(SlipwayError, match=slip):
        migrations.migrate_back(session, session.stack, ["shop.0002_x"])
