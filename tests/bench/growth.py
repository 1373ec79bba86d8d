"""How cost grows: builds with the number of dependencies, tasks with the number of services."""

from __future__ import annotations

from collections.abc import Callable

import tasks
from slipway.config.settings import load
from slipway.orchestrators.compose import Stack
from tests.bench.commands import INVOKE, ROUNDS_PER_RUN, compose
from tests.bench.pairs import turns
from tests.bench.results import Curve
from tests.bench.setups import SMALL_PACKAGES, Setup, lock, ours, usual
from tests.bench.timed import timed
from tests.bench.workshop import Workshop
from tests.support.world import clean_environment

__all__ = ["DEPENDENCIES", "MEASURES", "PROCESSES"]

DEPENDENCIES = (1, 5, 10, 20, 40)
"""Small packages beside those of the example, which has to be a site that can be built."""

PROCESSES = (0, 2, 4, 8)
"""Services beside those that every development stack has."""


def growth_build(place: Workshop, runs: int) -> Curve:
    """Seconds of a build from an empty cache by the number of packages; long, so half as many runs."""
    sides = {"Slipway": ours(place), "two-stage pip": usual(place, "two-stage-pip")}
    locked = {count: _locked(sides["Slipway"], count) for count in DEPENDENCIES}
    taken: dict[str, dict[int, list[float]]] = {name: {count: [] for count in locked} for name in sides}
    for number in range(max(2, runs // 2)):
        for count, requirements in locked.items():
            for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
                taken[name][count].append(_from_nothing(sides[name], requirements))
            place.note(f"{count}: {', '.join(f'{name} {taken[name][count][-1]:.1f} s' for name in sides)}")
    return Curve(
        "growth_build",
        "Build from an empty cache",
        "small packages beside the example's",
        "seconds",
        {name: [(float(count), samples) for count, samples in line.items()] for name, line in taken.items()},
    )


def _locked(setup: Setup, count: int) -> str:
    """The example's requirements and ``count`` small packages, pinned with hashes."""
    lock(setup.project, *SMALL_PACKAGES[:count])
    return (setup.project / "requirements.txt").read_text(encoding="utf-8")


def _from_nothing(setup: Setup, requirements: str) -> float:
    (setup.project / "requirements.txt").write_text(requirements, encoding="utf-8")
    setup.engine.forget(setup.image)
    return setup.build()


def growth_tasks(place: Workshop, runs: int) -> Curve:
    """Seconds of ``invoke ps`` and, once the kit has it, ``invoke doctor`` by the number of services."""
    world, env = place.world(prod=False), clean_environment()
    lines: dict[str, Callable[[], float]] = {
        f"invoke {name}": lambda name=name: timed([INVOKE, name], cwd=world.root, env=env)
        for name in ("ps", "doctor")
        if name in tasks.namespace.task_names
    }
    lines["docker compose ps"] = lambda: timed(compose(world, "ps"), cwd=world.root, env=env)
    taken: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in lines}
    for count in PROCESSES:
        world.write_env(**{f"PROCESS_IDLE{number}": "sleep infinity" for number in range(count)})
        place.note(f"bringing up {world.project} with {count} processes beside web")
        world.invoke("up")
        services = len(Stack(load(world.root), prod=False).services())
        for name, samples in turns(lines, runs * ROUNDS_PER_RUN).items():
            taken[name].append((float(services), samples))
    return Curve("growth_tasks", "Looking at a stack", "services", "seconds", taken)


MEASURES = {"growth_build": growth_build, "growth_tasks": growth_tasks}
