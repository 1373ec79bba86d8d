"""The arithmetic of database connections, and the refusal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.checks import preflight
from slipway.config.settings import Settings, load
from slipway.core import values
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine.engine import ContainerState
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.release import deploy, lifecycle
from slipway.services import connections


@pytest.mark.parametrize(
    ("changes", "replicas", "needed"),
    [
        ({}, 1, 2 * 1 * 3 * 5 + 10),
        ({}, 4, 2 * 4 * 3 * 5 + 10),
        ({"web_workers": 3}, 2, 2 * 2 * 3 * 5 + 10),
        ({"web_threads": 8}, 2, 2 * 2 * 3 * 9 + 10),
        ({"web_cpus": 0.5}, 1, 2 * 1 * 2 * 5 + 10),
        ({"web_cpus": 64.0}, 1, 2 * 1 * 3 * 5 + 10),
        ({"web_cpus": 0.5, "web_workers": 1}, 1, 2 * 1 * 1 * 5 + 10),
        ({"web_memory": "240m"}, 1, 2 * 1 * 2 * 5 + 10),
        ({"web_memory": "64m"}, 1, 2 * 1 * 1 * 5 + 10),
        ({"web_threads": 8, "db_connections_per_worker": 3}, 7, 2 * 7 * 3 * 3 + 10),
        ({"celery_app": "config", "celery_beat": "on"}, 1, 30 + (1 + 2) + 1 + 10),
        ({"celery_app": "config", "celery_options": "-c 7 -E"}, 1, 30 + (1 + 7) + 10),
        ({"celery_app": "config", "celery_options": "--autoscale=9,3"}, 1, 30 + (1 + 9) + 10),
        ({"named_processes": {"mailer": ("x",), "rq": ("y",)}}, 1, 30 + 2 + 10),
    ],
)
def test_what_is_needed(settings: Settings, changes: dict[str, Any], replicas: int, needed: int) -> None:
    """With two processors. Red when a factor, the doubling or the reserve is left out, when a variable does
    not take precedence, or a limit counts for nothing.
    """
    assert connections.needed(replace(settings, **changes), replicas) == needed


def test_the_reserve_is_what_the_page_says() -> None:
    """Red when the reserve changes and docs/command.md does not."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "command.md").read_text()
    row = re.search(r"\| \+ reserve \| (\d+) \| (.+) \|", page)
    assert row
    assert int(row[1]) == sum(connections.RESERVE.values())
    assert [int(n) for n in re.findall(r"(?:^|, )(\d+) for", row[2])] == list(connections.RESERVE.values())


@pytest.mark.parametrize("memory", ["64m", "144m", "240m", "512m", "2g"])
@pytest.mark.parametrize("cpus", [0.0, 0.1, 0.5, 1.0, 1.5, 2.0, 7.9, 8.0, 8.5, 64.0])
@pytest.mark.parametrize("processors", [1, 2, 8, 128])
def test_workers_are_those_gunicorn_starts(
    settings: Settings,
    configured: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    processors: int,
    cpus: float,
    memory: str,
) -> None:
    """Red when docker/gunicorn.conf.py gets another rule: a bound, the one more, the bytes of a worker."""
    quota = int(cpus * 100_000) or "max"
    (tmp_path / "cpu.max").write_text(f"{quota} 100000\n")
    (tmp_path / "memory.max").write_text(f"{values.in_bytes(memory)}\n")
    monkeypatch.setattr("slipway.engine.engine.processors", lambda: processors)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    counted = connections.workers(replace(settings, web_cpus=cpus, web_memory=memory))
    assert counted == configured()["default_workers"](tmp_path)


def test_threads_are_those_gunicorn_starts(settings: Settings, configured: Any) -> None:
    """Red when the two defaults differ."""
    assert connections.per_worker(settings) == configured()["threads"] + 1


@pytest.mark.parametrize("limit", [30, 100, 137, 1000])
@pytest.mark.parametrize("changes", [{}, {"web_workers": 5}, {"web_threads": 1, "web_cpus": 1.0}])
def test_every_number_of_replicas_is_on_the_right_side(
    settings: Settings, changes: dict[str, Any], limit: int
) -> None:
    """Red when the check is off by one, or the fix names a number that is refused again."""
    chosen = replace(settings, db_max_connections=limit, **changes)
    for replicas in range(1, 120):
        if connections.needed(chosen, replicas) <= limit:
            connections.check(chosen, replicas)
            continue
        with pytest.raises(SlipwayError) as caught:
            connections.check(chosen, replicas)
        fix = caught.value.fix
        enough = re.search(r"DB_MAX_CONNECTIONS=(\d+)", fix)
        assert enough
        connections.check(replace(chosen, db_max_connections=int(enough[1])), replicas)
        with pytest.raises(SlipwayError):
            connections.check(replace(chosen, db_max_connections=int(enough[1]) - 1), replicas)
        fitting = re.search(r"at most (\d+) replicas", fix)
        if not fitting:
            assert "no number of replicas fits" in fix
            assert connections.needed(chosen, 1) > limit
            continue
        connections.check(chosen, int(fitting[1]))
        with pytest.raises(SlipwayError):
            connections.check(chosen, int(fitting[1]) + 1)


def test_the_refusal_has_the_whole_arithmetic(settings: Settings) -> None:
    """Red when a number or the variable it comes from is missing."""
    with pytest.raises(SlipwayError) as caught:
        connections.check(settings, 50)
    assert str(caught.value) == (
        "SLIP-085: 50 replicas could open more connections than the database accepts:\n"
        "    50 replicas (WEB_REPLICAS or --scale)\n"
        "  x 3 workers in each (WEB_WORKERS is empty: from 2 processors, WEB_MEMORY=512m)\n"
        "  x 5 connections of each worker (DB_CONNECTIONS_PER_WORKER is empty: WEB_THREADS=4 at most, "
        "and the readiness check's)\n"
        "  x 2 releases side by side during a deploy = 1500\n"
        "  + 10 in reserve (3 for superusers, 2 for migrations and their lock, 1 for a dump, "
        "1 for the database's health check, 3 for people and one-off commands)\n"
        "  = 1510, more than DB_MAX_CONNECTIONS=100\n"
        "  fix: at most 3 replicas fit (WEB_REPLICAS, --scale); or set DB_MAX_CONNECTIONS=1510 in .env, "
        "with DB_MEMORY to match; or fewer WEB_WORKERS or WEB_THREADS"
    )
    own = replace(settings, web_workers=40, db_connections_per_worker=3)
    with pytest.raises(SlipwayError) as caught:
        connections.check(own, 1)
    message = str(caught.value)
    for part in ("40 workers in each (WEB_WORKERS=40)", "(DB_CONNECTIONS_PER_WORKER=3)", "no number of"):
        assert part in message


def test_a_server_of_ones_own_is_checked_once_its_limit_is_known(checkout: Path) -> None:
    """Red when DATABASE=none is always or never checked."""
    connections.check(load(checkout, environ={"DATABASE": "none"}), 500)
    known = load(checkout, environ={"DATABASE": "none", "DB_MAX_CONNECTIONS": "100"})
    connections.check(known, 3)
    with pytest.raises(SlipwayError, match="once the server accepts that many"):
        connections.check(known, 4)


@pytest.mark.parametrize(("scale", "replicas"), [("5", 1), ("", 5)])
def test_up_refuses_before_it_does_anything(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, scale: str, replicas: int
) -> None:
    """Red when the check comes after the first command, or looks at one of the two numbers."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was asked or done")

    session = Session(Stack(replace(settings, web_replicas=replicas), prod=True), Runner())
    for name in ("run", "capture"):
        monkeypatch.setattr(Runner, name, never)
    # Whether the engine will do is looked at first: the check below may ask it for its processors.
    monkeypatch.setattr(preflight, "BUILDING", ())
    monkeypatch.setattr("slipway.services.ports.check_all", never)
    monkeypatch.setattr(lifecycle, "_build_what_changed", never)
    with pytest.raises(SlipwayError, match="SLIP-085: 5 replicas"):
        lifecycle.up(session, scale=scale, no_build=False, as_json=False)


def _running(service: str, number: int) -> ContainerState:
    return ContainerState(
        id=f"{service}{number}", name=f"shop-prod-{service}-{number}", service=service,
        image="shop-prod-web:dev", state="running", health="healthy", exit_code=0, ports=(), addresses={},
        health_output="", error="", restarts=0,
    )  # fmt: skip


@pytest.mark.parametrize(("running", "replicas"), [(5, 1), (1, 5)])
def test_deploy_refuses_before_it_builds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, running: int, replicas: int
) -> None:
    """Red when the check is gone or comes later, or does not see what was scaled beyond WEB_REPLICAS."""
    found = [_running("nginx", 1), *(_running("web", number) for number in range(running))]
    monkeypatch.setattr("slipway.engine.engine.containers", lambda _project: found)
    monkeypatch.setattr("slipway.services.front.live", lambda _session: "dev")
    monkeypatch.setattr("slipway.checks.preflight.BUILDING", ())

    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was built or run")

    monkeypatch.setattr(lifecycle, "build_release", never)
    monkeypatch.setattr(Runner, "run", never)
    session = Session(Stack(replace(settings, web_replicas=replicas), prod=True), Runner())
    with pytest.raises(SlipwayError, match="SLIP-085: 5 replicas"):
        deploy.deploy(session)


def test_development_is_not_checked(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when the limit of gunicorn's workers is applied to runserver."""
    session = Session(Stack(settings, prod=False), Runner(dry=True))
    lifecycle.up(session, scale="50", no_build=True, as_json=False)
    assert "web=50" in capsys.readouterr().out
