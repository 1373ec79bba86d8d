"""One world per session: its images are removed at the end, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from imagekit import KIT, World
from mirror import Mirror

from slipway.host.mirrors import write_build_secrets

EXAMPLE_ENV = """\
SECRET_KEY={{secret:secret_key}}
POSTGRES_HOST=db
POSTGRES_DB=app
POSTGRES_USER=app
POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password
ALLOWED_HOSTS=localhost
"""


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    secrets = tmp_path_factory.mktemp("build-secrets")
    write_build_secrets(secrets)
    world = World(secrets)
    try:
        yield world
    finally:
        world.destroy()


@pytest.fixture(scope="session")
def app_env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("env") / "app.env"
    path.write_text(EXAMPLE_ENV, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def web(world: World, app_env: Path) -> str:
    """The example's production image."""
    return world.image(
        "web", KIT / "example", secrets={"app_env": app_env}, RELEASE="r-1", REVISION="0123abc"
    )


@pytest.fixture(scope="session")
def dev(world: World) -> str:
    """The example's development image."""
    return world.image("dev", KIT / "example", RELEASE="r-1", REVISION="0123abc")


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    mirror = Mirror()
    yield mirror
    mirror.server.shutdown()
