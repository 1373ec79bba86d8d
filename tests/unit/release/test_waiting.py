"""Waiting for containers: what keeps ending ends it, what ends once does not, and which line says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from slipway.checks import examination
from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine, engineapi
from slipway.engine.engine import ContainerState
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.release import lifecycle
from slipway.services import diagnosis, replicas
from tests.support.world import USUAL_SIGNALS

_STARTING = ContainerState(
    id="1", name="shop-prod-web-1", service="web", image="shop-prod-web:r1", state="running",
    health="starting", exit_code=0, ports=(), addresses={}, health_output="", error="", restarts=0,
)  # fmt: skip
_READY = replace(_STARTING, health="healthy")
_ENDED = replace(_STARTING, state="restarting", health="unhealthy", exit_code=3)


def _loop(times: int) -> list[ContainerState]:
    """A container that ends again and again, as it looks: between two starts, then running."""
    return [
        state
        for restarts in range(1, times + 1)
        for state in (replace(_ENDED, restarts=restarts), replace(_STARTING, restarts=restarts))
    ]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[ContainerState]]:
    """What the engine shows, look by look; the last for ever. Time passes by a second with each."""
    shown: list[list[ContainerState]] = []
    clock = iter(range(100_000))
    monkeypatch.setattr(engine, "containers", lambda *_: shown.pop(0) if len(shown) > 1 else shown[0])
    for module in (engine, replicas):
        monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
        monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return shown


def _wait(looks: list[list[ContainerState]], *states: ContainerState) -> list[ContainerState]:
    looks[:] = [[]] + [[state] for state in states]
    return engine.wait("shop-prod", ["web"], 500, lambda _: None)


def test_what_keeps_ending_ends_the_wait(looks: list[list[ContainerState]]) -> None:
    """Red when a restart policy hides it: `up` waited for its whole time, and advised a longer one."""
    (state,) = _wait(looks, *_loop(50))
    assert (state.state, state.exit_code, state.deaths, state.failed) == ("restarting", 3, 3, True)
    assert len(looks) > 50, "it was waited for"


def test_one_that_is_never_seen_between_its_runs_ends_the_wait_as_well(
    looks: list[list[ContainerState]],
) -> None:
    """Red when only the state is looked at: after ten seconds at work the engine starts it again at once."""
    (state,) = _wait(looks, *(replace(_STARTING, restarts=n) for n in range(50)))
    assert state.failed and state.deaths == 6


def test_one_that_ends_once_is_waited_for(looks: list[list[ContainerState]]) -> None:
    """Its database was slow. Red when the first restart is a failure."""
    (state,) = _wait(looks, *_loop(2), replace(_READY, restarts=2))
    assert state.ready and not state.failed


def test_what_ended_before_does_not_count(looks: list[list[ContainerState]]) -> None:
    """Red when restarts of last year end today's wait, or those before a start by hand."""
    old = replace(_STARTING, restarts=5)
    for later in (replace(old, restarts=6), replace(old, restarts=1)):
        looks[:] = [[old], [replace(later, state="restarting")], [later], [replace(_READY, restarts=6)]]
        assert engine.wait("shop-prod", ["web"], 500, lambda _: None)[0].ready


def test_who_asks_next_is_told_the_same(looks: list[list[ContainerState]]) -> None:
    """Compose is interrupted, and then the states are looked at once. Red when that finds the next try."""
    looks[:] = [[]]
    deaths = engine.Deaths("shop-prod")
    looks[:] = [[replace(_ENDED, restarts=3)], [replace(_STARTING, restarts=4)]]
    assert deaths.too_many(["web"])
    (state,) = engine.wait("shop-prod", ["web"], 0, lambda _: None, deaths=deaths)
    assert state.state == "running" and state.failed and state.deaths == 4


def test_one_that_is_short_of_memory_ends_the_wait(looks: list[list[ContainerState]]) -> None:
    """Its server starts the worker again that the kernel killed. Red when only its own end counts."""
    short = replace(_STARTING, out_of_memory=True)
    (state,) = _wait(looks, *[short] * 200)
    assert state.failed and len(looks) > 100
    (state,) = _wait(looks, *[short] * 3, replace(_READY, out_of_memory=True))
    assert state.ready, "one worker was killed, and the others serve"


@pytest.mark.parametrize(
    "state",
    [
        replace(_STARTING, state="exited", exit_code=1),
        replace(_STARTING, state="dead"),
        replace(_STARTING, health="unhealthy"),
        replace(_ENDED, error="mount failed"),
    ],
)
def test_a_failure_ends_the_wait_at_once(looks: list[list[ContainerState]], state: ContainerState) -> None:
    """Red when counting replaces what was known to be a failure."""
    assert _wait(looks, state, *[_READY] * 3)[0].failed


def _session(settings: Settings) -> Session:
    return Session(Stack(settings, prod=True, cwd=settings.root), Runner(echo=False))


def test_a_deploy_waits_by_the_same_rule(
    looks: list[list[ContainerState]], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a replica that ended once fails a deploy, or one that keeps ending is waited for."""
    monkeypatch.setattr(engine, "logs", lambda *_: ["Traceback (most recent call last):", "KeyError: 'X'"])
    looks[:] = [[], *([state] for state in _loop(2)), [replace(_READY, restarts=2)]]
    replicas.wait_ready(_session(settings), [_STARTING])
    looks[:] = [[], *([state] for state in _loop(50))]
    with pytest.raises(SlipwayError, match=r"SLIP-064.*keeps ending, 3 times .*exit code 3.*KeyError: 'X'"):
        replicas.wait_ready(_session(settings), [_STARTING])


def test_the_limit_that_was_too_small_is_named(settings: Settings) -> None:
    """Red when the variable is not in the problem itself, which is all that a deploy shows."""
    short = replace(_STARTING, out_of_memory=True, deaths=1)
    for service, beside, limit in (
        ("web", False, "WEB_MEMORY"), ("worker", True, "PROCESS_MEMORY"), ("db", False, "DB_MEMORY"),
    ):  # fmt: skip
        why = diagnosis.cause(_session(settings), replace(short, service=service, beside_web=beside), ["x"])
        assert limit in why.problem and limit in why.fix


class _Compose:
    """`docker compose up`, with an exit code per call; None waits until it is interrupted."""

    def __init__(self, *codes: int | None) -> None:
        self.codes = list(codes)

    def __call__(self, argv: Sequence[str], *, unless: Any = None, **_: Any) -> Any:
        code = self.codes.pop(0)
        if code is None:
            while not unless():
                pass
            code = 130
        return type("Done", (), {"returncode": code})


@pytest.fixture
def composing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def up(*codes: int | None) -> bool:
        compose = _Compose(*codes)
        monkeypatch.setattr(Runner, "run", compose)
        started = lifecycle._compose_up(_session(settings), None, engine.Deaths("shop-prod"))
        assert compose.codes == []
        return started

    yield up


def test_compose_is_not_left_waiting(looks: list[list[ContainerState]], composing: Any) -> None:
    """It waits for ever for what others depend on. Red when it is left to it."""
    looks[:] = [[], *([state] for state in _loop(50))]
    assert not composing(None)


def test_compose_that_gave_up_on_one_that_ended_once_is_called_again(
    looks: list[list[ContainerState]], composing: Any
) -> None:
    """Between two runs it looks unhealthy. Red when that is the end, or any failure is repeated."""
    once = replace(_ENDED, restarts=1)
    looks[:] = [[], [once], [once], [replace(_READY, restarts=1)]]
    assert composing(1, 0)
    looks[:] = [[], [replace(_STARTING, state="exited", exit_code=1)]]
    assert not composing(1)


def test_an_interrupted_command_is_waited_for() -> None:
    """Red when what `unless` ends is left behind, or a failing question leaves it running."""
    runner = Runner(echo=False)
    argv = [*USUAL_SIGNALS, "sh", "-c", "trap 'exit 7' INT; while :; do sleep 0.1; done"]
    answers = iter([False, True])
    assert runner.run(argv, check=False, unless=lambda: next(answers)).returncode == 7
    with pytest.raises(SlipwayError, match="SLIP-166"):
        runner.run(argv, check=False, unless=_refuse)
    assert runner.run(["sh", "-c", "exit 3"], check=False, unless=_refuse).returncode == 3


def _refuse() -> bool:
    raise SlipwayError("SLIP-166", "the engine answers 500", "try again")


_GUNICORN = """[2026-11-30 23:18:01 +0000] [8] [INFO] Booting worker with pid: 8
[2026-11-30 23:18:01 +0000] [9] [INFO] Booting worker with pid: 9
[2026-11-30 23:18:02 +0000] [8] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/opt/venv/lib/python3.13/site-packages/gunicorn/arbiter.py", line 608, in spawn_worker
[2026-11-30 23:18:02 +0000] [9] [ERROR] Exception in worker process
    worker.init_process()
Traceback (most recent call last):
  File "/app/config/wsgi.py", line 1, in <module>
    import no_such_module
ModuleNotFoundError: No module named 'no_such_module'
[2026-11-30 23:18:02 +0000] [8] [INFO] Worker exiting (pid: 8)
  File "/app/config/wsgi.py", line 1, in <module>
ModuleNotFoundError: No module named 'no_such_module'
[2026-11-30 23:18:03 +0000] [1] [ERROR] Worker (pid:8) exited with code 3
Traceback (most recent call last):
  File "/opt/venv/lib/python3.13/site-packages/gunicorn/arbiter.py", line 683, in reap_workers
    raise HaltServer(reason, self.WORKER_BOOT_ERROR)
gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>
[2026-11-30 23:18:03 +0000] [1] [ERROR] Reason: Worker failed to boot."""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (_GUNICORN, "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            f"{_GUNICORN}\n[2026-11-30] [8] [CRITICAL] SLIP-139: the project writes to /app/x; fix: this",
            "SLIP-139: the project writes to /app/x; fix: this",
        ),
        (
            "Traceback (most recent call last):\n  File\nKeyError: 'A'\n\nDuring handling of the above "
            "exception, another exception occurred:\n\nTraceback (most recent call last):\n  File\n"
            "django.core.exceptions.ImproperlyConfigured: Set the A environment variable\n",
            "django.core.exceptions.ImproperlyConfigured: Set the A environment variable",
        ),
        ("Traceback (most recent call last):\n  File\nAssertionError\nbye", "AssertionError"),
        (
            "warning: SLIP-118: not this\nUnable to load celery application.",
            "Unable to load celery application.",
        ),
        (
            "2026-11-30 FATAL:  could not load server certificate\n2026-11-30 LOG:  is shut down",
            "2026-11-30 FATAL:  could not load server certificate",
        ),
        ("", "no log lines"),
    ],
)
def test_the_line_that_says_why(log: str, expected: str) -> None:
    """Red when a server's last words stand for the project's, or workers that speak at once hide them."""
    assert diagnosis.reason(log.splitlines()) == expected


def test_the_log_before_a_restart_is_asked_for_without_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine counts those lines from the end before it looks at `until`: a talkative run has them all.

    Red when `tail` is asked for; when a quiet end, longer ago than a minute, has no lines; when all until the
    start counts, before which the engine may have read lines of the new run.
    """
    asked: list[dict[str, object]] = []
    said = {True: b"", False: b"one\ntwo\nthree\n"}

    def raw(_path: str, **query: object) -> bytes:
        asked.append(query)
        return said["since" in query]

    monkeypatch.setattr(engineapi, "raw", raw)
    again = replace(
        _STARTING, restarts=1, tty=True, started="2026-11-30T23:00:01.5Z", finished="2026-11-30T23:00:01.25Z"
    )
    assert engine.logs(again, 2) == ["two", "three"]
    assert [sorted(query) for query in asked] == [
        ["since", "stderr", "stdout", "until"], ["stderr", "stdout", "until"],
    ]  # fmt: skip
    assert float(str(asked[0]["until"])) - float(str(asked[0]["since"])) == pytest.approx(60.125)
    said[True] = b"lately\n"
    assert engine.logs(again, 2) == ["lately"]


def test_doctor_says_why_one_was_restarted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when the last line stands for the reason: it is the server's word, not the project's."""
    monkeypatch.setattr(engine, "logs", lambda *_: _GUNICORN.splitlines())
    examination._warn_of_restarts(replace(_READY, restarts=2))
    assert "restarted 2 times" in (said := capsys.readouterr().err)
    assert "ModuleNotFoundError: No module named 'no_such_module'; fix: " in said
