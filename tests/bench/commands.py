"""The tasks a person types all day, against the plain commands they stand for."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from slipway.config.settings import load
from slipway.orchestrators.compose import Stack
from tests.bench.pairs import Pairs, paired, turns
from tests.bench.results import Result
from tests.bench.timed import timed
from tests.bench.workshop import Workshop
from tests.support.world import World, clean_environment

__all__ = ["INVOKE", "MEASURES", "PYTHON_START", "compose"]

INVOKE = str(Path(sys.executable).with_name("invoke"))
"""The program as installed beside this Python: what a person's shell finds."""

PYTHON_START = (sys.executable, "-c", "import invoke")
"""What any folder with a ``tasks.py`` costs before it does anything."""

_BARE_START = (sys.executable, "-c", "pass")

ROUNDS_PER_RUN = 4
"""A command of a tenth of a second is measured more often: a stray process weighs more there."""

_ROUNDS_OF_UP = 2
"""Both wait by the half second for what the engine says of health."""


def compose(world: World, *arguments: str) -> list[str]:
    """``docker compose`` with the flags that the tasks print, then ``arguments``; runs in ``world.root``."""
    return Stack(load(world.root), world.prod, cwd=world.root).command(*arguments)


def compose_up(world: World) -> list[str]:
    """The very command that ``invoke up`` runs, and ``--wait``: by hand somebody has to wait."""
    return [*Stack(load(world.root), world.prod, cwd=world.root).up(), "--wait"]


def _production(workshop: Workshop) -> World:
    return _running(workshop, prod=True)


def _development(workshop: Workshop) -> World:
    return _running(workshop, prod=False)


def _running(workshop: Workshop, *, prod: bool) -> World:
    world = workshop.world(prod=prod)
    workshop.note(f"bringing up {world.project}")
    world.invoke("up")
    return world


def warm_up(workshop: Workshop, runs: int) -> list[Result]:
    """``invoke up`` on a stack that runs, with nothing changed since, against Compose alone."""
    return [
        _warm_up("warm_up", workshop.once(_production), runs),
        _warm_up("warm_up_dev", workshop.once(_development), runs),
    ]


def _warm_up(key: str, world: World, runs: int) -> Result:
    mode = ["--prod"] if world.prod else []
    env = clean_environment()
    by_hand = compose_up(world)
    pairs = paired(
        lambda: timed([INVOKE, "up", *mode], cwd=world.root, env=env),
        lambda: timed(by_hand, cwd=world.root, env=env),
        runs * _ROUNDS_OF_UP,
    )
    return Result(key, "s", pairs, "ours also looks whether anything has to be built")


def list_tasks(workshop: Workshop, runs: int) -> Result:
    """``invoke --list`` against a Python that imports Invoke."""
    return _beside_python_start("list", workshop.once(_production), ["--list"], [], runs)


def ps(workshop: Workshop, runs: int) -> Result:
    """``invoke ps --prod`` against a Python that imports Invoke and then ``docker compose ps``."""
    world = workshop.once(_production)
    return _beside_python_start("ps", world, ["ps", "--prod"], compose(world, "ps"), runs)


def _beside_python_start(key: str, world: World, task: list[str], plain: list[str], runs: int) -> Result:
    env = clean_environment()

    def usual(start: tuple[str, ...]) -> float:
        seconds = timed(start, cwd=world.root, env=env)
        return seconds + (timed(plain, cwd=world.root, env=env) if plain else 0)

    taken = turns(
        {
            "ours": lambda: timed([INVOKE, *task], cwd=world.root, env=env),
            "usual": lambda: usual(PYTHON_START),
            "bare": lambda: timed(_BARE_START, cwd=world.root, env=env),
        },
        runs * ROUNDS_PER_RUN,
    )
    bare = statistics.median(taken["bare"])
    return Result(
        key,
        "s",
        Pairs(taken["ours"], taken["usual"]),
        f"a Python that imports nothing starts in {bare:.3f} s",
    )


MEASURES = {"warm_up": warm_up, "warm_up_dev": warm_up, "list": list_tasks, "ps": ps}
