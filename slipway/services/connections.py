"""How many database connections the project's services can open at most, and whether the server accepts them.

``docs/command.md`` explains the arithmetic; ``tests/smoke/test_prod.py`` counts the real connections.
"""

from __future__ import annotations

import math
import os
import re

from slipway.config.settings import Settings
from slipway.core import values
from slipway.core.errors import SlipwayError
from slipway.engine import engine

__all__ = ["RESERVE", "beside", "celery_concurrency", "check", "needed", "per_worker", "threads", "workers"]

RESERVE = {
    # PostgreSQL reserves them for superusers (superuser_reserved_connections, default 3).
    "superusers": 3,
    "migrations and their lock": 2,
    "a dump": 1,
    "the database's health check": 1,
    "people and one-off commands": 3,
}
"""Connections that the project's services must leave free, by their use."""

# Kept in step with docker/gunicorn.conf.py by a unit test.
_MOST_DEFAULT_CPUS = 8
_MOST_DEFAULT_THREADS = 4
_WORKER_BYTES = 96 * 1024**2
_OTHER_BYTES = 48 * 1024**2

# During a deploy the old and the new release run side by side.
_RELEASES = 2


def workers(settings: Settings) -> int:
    """Return the most workers of one replica: WEB_WORKERS, else what docker/gunicorn.conf.py starts.

    That is as many as the processors, WEB_CPUS and WEB_MEMORY allow. The engine, which may be on another
    machine, counts the processors. Raises what ``engine.processors`` raises.
    """
    if settings.web_workers:
        return settings.web_workers
    cpus = engine.processors()
    if settings.web_cpus:
        cpus = min(cpus, math.ceil(settings.web_cpus))
    fitting = (values.in_bytes(settings.web_memory) - _OTHER_BYTES) // _WORKER_BYTES
    return max(1, min(min(cpus, _MOST_DEFAULT_CPUS) + 1, fitting))


def threads(settings: Settings) -> int:
    """Return the most threads of one worker: WEB_THREADS, else the most docker/gunicorn.conf.py starts."""
    return settings.web_threads or _MOST_DEFAULT_THREADS


def per_worker(settings: Settings) -> int:
    """Return the most connections of one worker: DB_CONNECTIONS_PER_WORKER, else one per thread plus one.

    A Django thread uses one connection at a time; the extra one is for the readiness check.
    """
    return settings.db_connections_per_worker or threads(settings) + 1


def celery_concurrency(settings: Settings) -> int:
    """Return how many tasks Celery's worker runs at once: from CELERY_OPTIONS, else one per processor."""
    found = re.search(r"(?:^| )(?:--concurrency|--autoscale|-c)[= ]?(\d+)", settings.celery_options)
    return int(found[1]) if found else os.cpu_count() or 1


def beside(settings: Settings) -> int:
    """Return the most connections of the processes next to web: one each, plus one per task of the worker.

    No process ever runs twice: a deploy stops the old one before it starts the new one.
    """
    tasks = celery_concurrency(settings) if settings.celery_app else 0
    return len(settings.processes) + len(settings.scheduled_commands) + tasks


def needed(settings: Settings, replicas: int) -> int:
    """Return the connections needed: two releases of ``replicas``, the other processes, and the reserve."""
    of_web = _RELEASES * replicas * workers(settings) * per_worker(settings)
    return of_web + beside(settings) + sum(RESERVE.values())


def check(settings: Settings, replicas: int) -> None:
    """Check that ``replicas`` of production's web service fit within DB_MAX_CONNECTIONS.

    With a server that is not the kit's own (DATABASE=none), the limit is unknown until DB_MAX_CONNECTIONS is
    set. Raises ``SlipwayError`` SLIP-085 with the whole arithmetic.
    """
    own_server = settings.database == "postgres"
    limit = settings.db_max_connections
    if not own_server and settings.origins["DB_MAX_CONNECTIONS"] == "default":
        return
    total = needed(settings, replicas)
    if total <= limit:
        return
    of_one = workers(settings) * per_worker(settings)
    reserve = sum(RESERVE.values())
    others = beside(settings)
    fitting = max(0, limit - reserve - others) // (_RELEASES * of_one)
    fewer = (
        f"at most {fitting} replicas fit (WEB_REPLICAS, --scale)"
        if fitting
        else "no number of replicas fits with so many workers and connections each"
    )
    cost = "with DB_MEMORY to match" if own_server else "once the server accepts that many"
    raise SlipwayError(
        "SLIP-085",
        f"{replicas} replicas could open more connections than the database accepts:\n"
        f"    {replicas} replicas (WEB_REPLICAS or --scale)\n"
        f"  x {workers(settings)} workers in each ({_source_of_workers(settings)})\n"
        f"  x {per_worker(settings)} connections of each worker ({_source_of_connections(settings)})\n"
        f"  x {_RELEASES} releases side by side during a deploy = {_RELEASES * replicas * of_one}\n"
        + (
            f"  + {others} of {', '.join([*settings.processes, *settings.scheduled_commands])}\n"
            if others
            else ""
        )
        + f"  + {reserve} in reserve ({', '.join(f'{n} for {use}' for use, n in RESERVE.items())})\n"
        f"  = {total}, more than DB_MAX_CONNECTIONS={limit}",
        f"{fewer}; or set DB_MAX_CONNECTIONS={total} in {settings.env_file}, {cost}; "
        "or fewer WEB_WORKERS or WEB_THREADS",
    )


def _source_of_workers(settings: Settings) -> str:
    if settings.web_workers:
        return f"WEB_WORKERS={settings.web_workers}"
    limit = f"WEB_CPUS={settings.web_cpus:g}, " if settings.web_cpus else ""
    limits = f"{limit}WEB_MEMORY={settings.web_memory}"
    return f"WEB_WORKERS is empty: from {engine.processors()} processors, {limits}"


def _source_of_connections(settings: Settings) -> str:
    if settings.db_connections_per_worker:
        return f"DB_CONNECTIONS_PER_WORKER={settings.db_connections_per_worker}"
    threads = settings.web_threads or f"{_MOST_DEFAULT_THREADS} at most"
    return f"DB_CONNECTIONS_PER_WORKER is empty: WEB_THREADS={threads}, and the readiness check's"
