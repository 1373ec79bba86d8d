"""How throughput and memory of the database page grow with replicas, workers and threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from slipway.config import settings
from slipway.services import connections
from tests.bench import stacks
from tests.bench.loadmaker import PAGE_HEADERS, LoadMaker, Turn
from tests.bench.results import Curve
from tests.bench.stacks import Stack
from tests.bench.workshop import Workshop
from tests.support.world import World, docker

__all__ = ["MEASURES"]

_SECONDS = 3.0


@dataclass(frozen=True)
class _Server:
    """How many there are of what serves."""

    replicas: int
    workers: int
    """Of each replica."""
    threads: int
    """Of each worker."""

    def variables(self) -> dict[str, str]:
        """What says so in .env."""
        return {
            "WEB_REPLICAS": str(self.replicas),
            "WEB_WORKERS": str(self.workers),
            "WEB_THREADS": str(self.threads),
        }


def _connections(chosen: settings.Settings, server: _Server) -> int:
    """What the database has to accept for ``server``, by the kit's own arithmetic."""
    with_it = replace(chosen, web_workers=server.workers, web_threads=server.threads)
    return connections.needed(with_it, server.replicas)


def _lines(shipped: _Server) -> dict[str, dict[int, _Server]]:
    """What is varied, each by itself; the rest is as shipped."""
    workers, threads = shipped.workers, shipped.threads
    return {
        "replicas": {count: _Server(count, workers, threads) for count in (1, 2, 4)},
        "workers of one replica": {count: _Server(1, count, threads) for count in (1, 2, 4)},
        "threads of each worker": {count: _Server(1, workers, count) for count in (1, 2, 4, 8)},
    }


def _growth(place: Workshop, runs: int) -> list[Curve]:
    """Both curves, from the same turns of load."""
    own = place.world(prod=True)
    stacks.add_pages(own)
    chosen = settings.load(own.root)
    lines = _lines(_Server(1, connections.workers(chosen), connections.threads(chosen)))
    # One that is in several lines is measured once.
    servers = dict.fromkeys(server for line in lines.values() for server in line.values())
    # From the start: another number restarts the database.
    own.write_env(DB_MAX_CONNECTIONS=str(max(_connections(chosen, server) for server in servers)))
    place.note("production of the kit")
    stack = stacks.ours(own)
    stacks.fill(stack)
    maker = LoadMaker(place, own, [stack])
    turns = {server: _measured(place, own, stack, maker, server, runs) for server in servers}

    def curve(key: str, title: str, y_label: str, of: Callable[[Turn], float]) -> Curve:
        points = {
            name: [(float(count), [of(turn) for turn in turns[server]]) for count, server in line.items()]
            for name, line in lines.items()
        }
        return Curve(key, title, "how many", y_label, points)

    return [
        curve("growth_throughput", "Database page: throughput", "requests/s", lambda turn: turn.rate),
        curve(
            "growth_memory",
            "Database page: memory of web, replicas together",
            "MiB",
            lambda turn: turn.after["web"].anonymous / 1024**2,
        ),
    ]


def _measured(
    place: Workshop, own: World, stack: Stack, maker: LoadMaker, server: _Server, runs: int
) -> list[Turn]:
    place.note(f"{server.replicas} replicas, {server.workers} workers, {server.threads} threads")
    own.write_env(**server.variables())
    own.invoke("up", "--no-build")
    replicas = stack.service("web")
    assert len(replicas) == server.replicas, replicas
    for name in replicas:
        # The master's children. The init process is called so too.
        listed = [line.split(maxsplit=2) for line in docker("top", name, "-eo", "pid,ppid,args").splitlines()]
        of_gunicorn = {pid: parent for pid, parent, command in listed[1:] if "gunicorn" in command}
        workers = [pid for pid, parent in of_gunicorn.items() if of_gunicorn.get(parent) in of_gunicorn]
        assert len(workers) == server.workers, f"{name}: {len(workers)} workers"
    return [maker.turn(stack, stacks.DATABASE_PAGE, PAGE_HEADERS, _SECONDS) for _ in range(runs)]


MEASURES: dict[str, Callable[[Workshop, int], list[Curve]]] = {
    "growth_throughput": _growth,
    "growth_memory": _growth,
}
