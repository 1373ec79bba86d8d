"""How many processes and threads a production service may need, and whether its limit allows them."""

from __future__ import annotations

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.engine import engine
from slipway.services import connections

__all__ = ["check", "database", "web", "worker"]

# The server's master and background processes, the health check, and commands that people and tasks run.
_OTHERS = 64
# A worker's main thread, the four of a connection pool, and some of the project's own.
_EXTRA_THREADS = 8


def web(settings: Settings) -> int:
    """Return the most processes and threads of one replica."""
    workers, threads = connections.workers(settings), connections.threads(settings)
    return workers * (threads + _EXTRA_THREADS) + _OTHERS


def database(settings: Settings) -> int:
    """Return the most processes of the database: one per connection, and its own."""
    return settings.db_max_connections + _OTHERS


def worker(settings: Settings) -> int:
    """Return the most processes and threads of Celery's worker, which runs each task in a process."""
    return connections.celery_concurrency(settings) * (1 + _EXTRA_THREADS) + _OTHERS


def check(settings: Settings) -> None:
    """Check that WEB_PIDS, DB_PIDS and PROCESS_PIDS allow what the other settings need.

    Raises ``SlipwayError`` SLIP-125: a server that cannot create another process drops requests. SLIP-179
    for a limit of more CPUs than the engine's machine has: the engine would start no container with it.
    """
    there = engine.processors()
    for prefix in ("WEB", "DB", "NGINX", "REDIS", "PROCESS", "BACKUP"):
        if getattr(settings, f"{prefix.lower()}_cpus") > there:
            raise SlipwayError(
                "SLIP-179",
                f"{prefix}_CPUS ({settings.origins[f'{prefix}_CPUS']}) is more than the machine has: {there}",
                f"set it to {there} or less; 0 is no limit",
            )
    wanted = [("WEB_PIDS", settings.web_pids, web(settings), "WEB_WORKERS and WEB_THREADS")]
    if settings.database == "postgres":
        wanted.append(("DB_PIDS", settings.db_pids, database(settings), "DB_MAX_CONNECTIONS"))
    if settings.celery_app:
        wanted.append(("PROCESS_PIDS", settings.process_pids, worker(settings), "CELERY_OPTIONS"))
    for name, limit, needed, why in wanted:
        if needed > limit:
            raise SlipwayError(
                "SLIP-125",
                f"{name}={limit} is fewer processes and threads than {why} may need: {needed}",
                f"set {name}={needed} in {settings.env_file}, or lower {why}",
            )
