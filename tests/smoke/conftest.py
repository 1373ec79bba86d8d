"""One world per module, up before its first test and gone after its last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import World, apply_umask, world

# Not root and not the usual 1000: that files belong to the person shows only when the ids are unusual.
PERSON = 12345
RELEASE = "smoke-1"
# Not PostgreSQL's own default: else it would not show whether the setting arrives.
DB_MAX_CONNECTIONS = 95


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The development stack, running, from files under a strict umask."""
    folder = tmp_path_factory.mktemp("dev")
    ids = {"HOST_UID": str(PERSON), "HOST_GID": str(PERSON)}
    with world(folder, request.module.__name__, prod=False, **ids) as own:
        _hand_over(own.root / "example")
        apply_umask(own.root, 0o027)
        own.invoke("up")
        yield own
        _keep_failures(own, request)


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack, running, from files under the strictest umask: for this person alone."""
    folder = tmp_path_factory.mktemp("prod")
    # One processor: two workers, on whatever machine.
    chosen = {"RELEASE": RELEASE, "DB_MAX_CONNECTIONS": str(DB_MAX_CONNECTIONS), "WEB_CPUS": "1.0"}
    with world(folder, request.module.__name__, prod=True, **chosen) as own:
        apply_umask(own.root, 0o077)
        own.invoke("up")
        yield own
        _keep_failures(own, request)


def _hand_over(folder: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files to another user")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, PERSON, PERSON, follow_symlinks=False)
    for parent in folder.parents:
        if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
            parent.chmod(0o755)


def _keep_failures(own: World, request: pytest.FixtureRequest) -> None:
    """A failing test does not end the module, so its evidence is kept here."""
    if request.session.testsfailed:
        own.save(request.module.__name__)
