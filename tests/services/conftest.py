"""One production stack with Redis, Celery's worker and beat, a process of its own and a second database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from serviceskit import APP_ENV, PROJECT, SERVICES

from tests.support.world import World, world


def start(own: World) -> None:
    """Put the project into the copy of the kit, and bring it up."""
    shutil.copytree(PROJECT, own.root / "project")
    (own.root / "app.env").write_text(APP_ENV)
    own.invoke("up")


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack, running."""
    with world(tmp_path_factory.mktemp("services"), "services", prod=True, **SERVICES) as own:
        start(own)
        yield own
        if request.session.testsfailed:
            own.save("services")
