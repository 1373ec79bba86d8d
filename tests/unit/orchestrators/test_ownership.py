"""Whose stack it is, and that every task which changes one asks first."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from taskkit import NAMES, REQUIRED

import tasks
from slipway.config.settings import load, record_machine, recorded
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.orchestrators import init, ownership, session
from slipway.orchestrators.compose import Stack

# They run and build nothing of a stack, or are about files alone.
LOOK = {
    "bases", "config", "images", "init", "inspect", "logs", "machine", "networks", "open", "ps",
    "releases", "stats", "url", "volumes", "certs",
}  # fmt: skip
NO_STACK = {"adopt", "doctor", "new", "upgrade"}
OPTIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("certs", {"reload": True}, False),
    ("certs", {"renew": True}, False),
    ("maintenance", {"word": "status"}, False),
    ("migrate", {"plan": True}, False),
    ("up", {"local": True}, True),
]


class BegunError(Exception):
    """A task has begun."""


def _looks(monkeypatch: pytest.MonkeyPatch, name: str, arguments: dict[str, Any]) -> bool:
    said: dict[str, bool] = {}

    def begin(_c: Context, _prod: bool = False, *, looks: bool = False, **_others: bool) -> None:
        said["looks"] = looks
        raise BegunError

    monkeypatch.setattr("slipway.orchestrators.session.begin", begin)
    with pytest.raises(BegunError):
        tasks.namespace[name].body(Context(), **arguments)
    return said["looks"]


@pytest.mark.parametrize("name", sorted(set(NAMES) - NO_STACK))
def test_every_task_that_changes_asks_first(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Red when a task begins as one that looks, and changes something."""
    parameters = list(inspect.signature(tasks.namespace[name].body).parameters.values())[1:]
    needed = [p.name for p in parameters if p.default is p.empty]
    given = dict(zip(needed, REQUIRED.get(name, []), strict=False))
    assert _looks(monkeypatch, name, given) == (name in LOOK)


@pytest.mark.parametrize(("name", "arguments", "looks"), OPTIONS, ids=str)
def test_an_option_may_make_the_difference(
    monkeypatch: pytest.MonkeyPatch, name: str, arguments: dict[str, Any], looks: bool
) -> None:
    """Red when `certs --reload` counts as looking, as `certs` does."""
    assert _looks(monkeypatch, name, arguments) == looks


Engine = Callable[..., None]


@pytest.fixture
def has(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine of paper; the function says what it has of shop-prod."""

    def say(
        containers: str | Path = "", marker: str | Path = "", volumes: dict[str, str] | None = None
    ) -> None:
        def of(project: str, there: Any) -> Any:
            return there if project.startswith("shop-prod") else type(there)()

        monkeypatch.setattr(engine, "folders", lambda p: of(p, [str(containers)] if containers else []))
        monkeypatch.setattr(engine, "folder_of_volume", lambda n: of(n, str(marker) if marker else ""))
        monkeypatch.setattr(engine, "volumes", lambda p: of(p, volumes or {}))

    say()
    return say


@pytest.fixture
def stack(checkout: Path) -> Stack:
    """The production stack of ``checkout``, which has its secrets since 2020."""
    (checkout / "secrets").mkdir()
    secret = checkout / "secrets" / "postgres_password"
    secret.write_text("x")
    os.utime(secret, (1577836800.7, 1577836800.7))
    return Stack(load(checkout, environ={}), prod=True)


OLD, NEW = {"shop-prod_db": "2019-06-01T10:00:00Z"}, {"shop-prod_db": "2021-06-01T10:00:00+02:00"}
SAME_SECOND = {"shop-prod_db": "2020-01-01T00:00:00Z"}


def test_nobodys_and_ones_own_are_allowed(stack: Stack, has: Engine, tmp_path: Path) -> None:
    """Red when a link to the same folder, or one's own volumes, are taken for another's."""
    root = stack.settings.root
    link = tmp_path / "link"
    link.symlink_to(root)
    ownership.check(stack)
    for given in (
        {"containers": root}, {"containers": link}, {"containers": f"{root}/example/.."}, {"volumes": NEW},
        {"volumes": SAME_SECOND},
        {"marker": root, "volumes": OLD},
        # After a take-over; what a folder that left nothing has written down.
        {"containers": "/another", "marker": root}, {"marker": "/another"},
    ):  # fmt: skip
        has(**given)
        ownership.check(stack)


def test_another_folders_is_refused(stack: Stack, has: Engine, tmp_path: Path) -> None:
    """Red when a stack whose containers are gone, or whose folder is, counts as nobody's."""
    other = tmp_path / "other"
    other.mkdir()
    for given in (
        {"containers": other}, {"marker": other, "volumes": NEW},
        {"containers": stack.settings.root, "marker": other},
    ):  # fmt: skip
        has(**given)
        with pytest.raises(SlipwayError) as refused:
            ownership.check(stack)
        said = str(refused.value)
        assert said.startswith("SLIP-170"), said
        assert str(other) in said and str(stack.settings.root) in said and "PROJECT_NAME" in said
        assert "invoke init --take-over --prod" in said and "no longer exists" not in said
    has(containers="/gone/away")
    with pytest.raises(SlipwayError, match=r"SLIP-170.*/gone/away, which no longer exists"):
        ownership.check(stack)


def test_who_only_looks_is_told_whose_it_is(
    stack: Stack,
    has: Engine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Red when an empty table of another folder's stack says nothing of that, or it stops who looks."""
    monkeypatch.setattr(session, "ROOT", stack.settings.root)
    monkeypatch.setattr(init, "record", lambda _settings: None)
    (stack.settings.root / ".env").write_text("PROJECT_NAME=shop\n")
    has(containers=stack.settings.root)
    session.begin(Context(), prod=True, looks=True)
    assert capsys.readouterr().err == ""
    has(containers=tmp_path)
    session.begin(Context(), prod=True, looks=True)
    said = capsys.readouterr()
    assert said.err.startswith(f"warning: SLIP-170: shop-prod is the stack of another folder: {tmp_path}; ")
    assert said.err.count("\n") == 1 and said.out == ""
    with pytest.raises(SlipwayError, match="SLIP-170"):
        session.begin(Context(), prod=True)


def test_volumes_that_nothing_tells_of(stack: Stack, has: Engine) -> None:
    """Red when a clone that was set up later takes the volumes that another left behind."""
    has(volumes=OLD)
    with pytest.raises(SlipwayError, match=r"SLIP-171.*shop-prod_db"):
        ownership.check(stack)


def test_without_an_engine_the_task_itself_says_so(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when every message of a missing engine becomes the one of this check."""

    def silent(_project: str) -> list[str]:
        raise SlipwayError("SLIP-062", "no engine", "start it")

    monkeypatch.setattr(engine, "folders", silent)
    ownership.check(stack)


def test_a_name_of_ones_own_is_found_until_the_stack_was_claimed(
    checkout: Path, has: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when two folders of one name get one, or a stack that was used gets another name."""
    monkeypatch.setattr(init.mirrors, "write_build_secrets", lambda _folder: None)
    monkeypatch.setattr(init, "record_build", lambda _settings: None)
    has(containers="/clients/a/shop")
    init.record(load(checkout, environ={}))  # `init`, before the other one was there
    found = ownership.named(load(checkout, environ={}))
    assert found.name.startswith("shop-") and found.name in capsys.readouterr().err
    init.record(found)
    again = load(checkout, environ={})
    assert again.name == found.name and ownership.named(again).name == found.name
    # Used, and then moved: that is to be told, not passed over.
    record_machine(checkout, {"PROJECT_NAME": "shop"})
    ownership.claim(Stack(load(checkout, environ={}), prod=True), Runner(dry=True), creates=False)
    assert "NAME_IS_NEW" not in recorded(checkout)
    assert ownership.named(load(checkout, environ={})).name == "shop"
    # A person's own choice is theirs.
    (checkout / ".env").write_text("PROJECT_NAME=shop\n")
    assert ownership.named(load(checkout, environ={})).name == "shop"


@pytest.mark.parametrize(
    ("states", "services", "running", "named"),
    [
        ("exited running", [], True, "db, web"),
        ("exited running", [], False, "db"),
        ("exited running", ["web"], False, ""),
        ("exited running", ["web"], True, "web"),
    ],
)
def test_what_a_moved_folder_left_cannot_start(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, states: str, services: list[str], running: bool, named: str
) -> None:
    """Red when `start` or `restart` leaves it to the engine, after it has stopped what serves."""
    there = [
        ContainerState(
            id=name, name=name, service=name, image="", state=state, health="", exit_code=0, ports=(),
            addresses={}, health_output="", error="", restarts=0, folder=folder,
        )
        for name, state, folder in zip(
            ("db", "web", "nginx"), [*states.split(), "exited"], ("/gone", "/gone", "/"), strict=True
        )
    ]  # fmt: skip
    monkeypatch.setattr(engine, "containers", lambda _project: there)
    if not named:
        ownership.check_moved(stack, services, running=running)
        return
    with pytest.raises(SlipwayError, match=rf"SLIP-173: {named} cannot start.*/gone") as refused:
        ownership.check_moved(stack, services, running=running)
    assert "invoke up --prod" in refused.value.fix
