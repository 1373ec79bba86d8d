"""Worlds for the nginx tests: one shared by tests that only look, one per test that breaks things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from world import Nginx, World


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One application and its files, for tests that change nothing."""
    world = World(tmp_path_factory.mktemp("world"))
    try:
        world.start_stub()
        yield world
    finally:
        world.destroy()


@pytest.fixture(scope="session")
def nginx(shared: World) -> Nginx:
    """nginx as compose/prod.yaml configures it by default."""
    started = shared.start_nginx()
    shared.wait_for_application(started)
    return started


@pytest.fixture(scope="session")
def behind_balancer(shared: World) -> Nginx:
    """nginx that trusts whoever connects from its own network (here: the test), and logs text."""
    started = shared.start_nginx(NGINX_TRUSTED_PROXY=shared.subnet(), NGINX_LOG_FORMAT="text")
    shared.wait_for_application(started)
    return started


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world of the test's own, empty."""
    tmp_path.chmod(0o755)
    mine = World(tmp_path)
    try:
        yield mine
    finally:
        mine.destroy()
