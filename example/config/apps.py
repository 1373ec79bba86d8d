"""Registers the parts of the project that belong to no single page."""

import atexit

from django.apps import AppConfig
from django.db import connections


class ProjectConfig(AppConfig):
    """Health endpoints, logging and the closing of the connection pool."""

    name = "config"

    def ready(self):
        atexit.register(close_pools)


def close_pools() -> None:
    """Close the connection pools while their threads still run.

    Left to the interpreter's end, the threads are frozen already and the pool waits 5 seconds for
    each without effect: the server would take 20 seconds to stop.
    """
    for connection in connections.all():
        if getattr(connection, "pool", None):
            connection.close_pool()
