"""How long a container takes from its start to the first page."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Callable

from slipway.config.settings import load
from slipway.orchestrators.compose import Stack
from tests.bench.engine import Engine
from tests.bench.pairs import paired
from tests.bench.results import Result
from tests.bench.setups import engine_of, ours, ours_world, usual
from tests.bench.workshop import Workshop

__all__ = ["MEASURES"]

_PORT = 18000
_PAGE = "/healthz/live"
_DEADLINE = 60.0
_ENVIRONMENT = {
    "SECRET_KEY": "of-the-bench-alone",
    "ALLOWED_HOSTS": "localhost",
    "POSTGRES_HOST": "db",
    "POSTGRES_DB": "app",
    "POSTGRES_USER": "app",
    "POSTGRES_PASSWORD": "of-the-bench-alone",
    # A connection for each request, as in usual/compose.
    "DB_POOL_MAX": "0",
}


def start(place: Workshop, runs: int) -> Result:
    """Seconds from ``docker start`` to the first 200 of a page that needs no database.

    Containers are made beforehand: ours as Compose makes it in production, the other with the same limits.
    """
    pairs = paired(_ours(place), _usual(place), runs)
    return Result("start", "s", pairs)


def _ours(place: Workshop) -> Callable[[], float]:
    ours(place).build()
    own, engine = place.once(ours_world), engine_of(place)
    stack = Stack(load(own.root), True, own.root)
    # nginx alone publishes a port in production; here the page is asked for past it.
    overlay = place.folder / "publish.json"
    overlay.write_text(json.dumps({"services": {"web": {"ports": [f"{_PORT}:8000"]}}}), encoding="utf-8")
    create = stack.command(
        "-f", str(overlay), "up", "--no-start", "--no-build", "--no-deps", "--force-recreate", "web"
    )

    def run() -> float:
        engine.run(*create, cwd=own.root)
        return _first_page(engine, f"{stack.project}-web-1")

    return run


def _usual(place: Workshop) -> Callable[[], float]:
    setup, engine = usual(place, "two-stage-pip"), engine_of(place)
    setup.build()
    settings = load(place.once(ours_world).root)
    limits = [
        f"--cpus={settings.web_cpus}",
        f"--memory={settings.web_memory}",
        f"--pids-limit={settings.web_pids}",
    ]
    # As in production: settings that name a database import its driver.
    values = [f"--env={name}={value}" for name, value in _ENVIRONMENT.items()]
    numbers = itertools.count()

    def run() -> float:
        name = f"usual-{next(numbers)}"
        engine.docker("create", "--name", name, f"--publish={_PORT}:8000", *limits, *values, setup.image)
        return _first_page(engine, name)

    return run


def _first_page(engine: Engine, container: str) -> float:
    """Start ``container``; return the seconds to its first 200. It is removed afterwards."""
    address = engine.address
    started = time.monotonic()
    engine.docker("start", container)
    # Not before: the engine's proxy takes connections while the container's network is still being made and
    # loses them, and TCP repeats what was lost after a whole second. No server answers that early.
    while not _answers(address):
        if time.monotonic() - started > _DEADLINE:
            raise RuntimeError(f"no page within {_DEADLINE:g} s:\n{engine.docker('logs', container)}")
        time.sleep(0.002)
    taken = time.monotonic() - started
    engine.docker("rm", "--force", "--volumes", container)
    return taken


def _answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, _PORT, timeout=5)
    try:
        connection.request("GET", _PAGE, headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


MEASURES = {"start": start}
