"""One production stack with Redis, Celery's worker and beat, a process of its own and a second database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import World, world

PROJECT = Path(__file__).parent / "project"
# The stand-in is what a machine without a registry has; where the official image is, it is the same to these.
SERVICES = {
    "PROJECT_ROOT": "project",
    "REDIS": "on",
    "REDIS_IMAGE": "slipway/valkey:8.1-trixie",
    "CELERY_APP": "config",
    "CELERY_BEAT": "on",
    "EXTRA_DATABASES": "reports",
    "MIGRATE_DATABASES": "'default reports'",
    "PROCESS_HEART_BEAT": "'python manage.py heartbeat \"a word\"'",
}
APP_ENV = """\
SECRET_KEY={{secret:secret_key}}
DATABASE_PASSWORD={{secret:postgres_password}}
BROKER_URL=redis://redis:6379/0
CACHE_URL=redis://redis:6379/1
"""


def start(own: World) -> None:
    """Put the project into the copy of the kit, and bring it up."""
    shutil.copytree(PROJECT, own.root / "project")
    (own.root / "app.env").write_text(APP_ENV)
    own.invoke("up")


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack, running."""
    with world(tmp_path_factory.mktemp("services"), "services", prod=True, RELEASE="", **SERVICES) as own:
        start(own)
        yield own
        if request.session.testsfailed:
            own.save("services")
