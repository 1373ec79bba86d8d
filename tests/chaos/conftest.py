"""One production stack for all chaos tests: each leaves it as it found it, which is part of the promise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before they are imported: their assertions then say what they found, as those of a test do.
pytest.register_assert_rewrite("chaoskit", "tests.rollout.rolloutkit")

from chaoskit import VIEWS  # noqa: E402
from disks import small_volumes  # noqa: E402

from tests.rollout.rolloutkit import REPLICAS  # noqa: E402
from tests.support.load import add_slow_view  # noqa: E402
from tests.support.world import World, world  # noqa: E402

SETTINGS = {"WEB_REPLICAS": str(REPLICAS), "WEB_WORKERS": "2", "WEB_THREADS": "4"}
# Memory stays as it is by default: what .env allows is to work with that.
SETTINGS |= {"CLIENT_MAX_BODY_SIZE": "300m"}


@pytest.fixture(scope="session")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack's small disks are mounted, by the name of the volume."""
    if os.geteuid() != 0:
        pytest.fail("the faults are made from outside the containers: run this as root, beside the engine")
    return tmp_path_factory.mktemp("disks")


@pytest.fixture(scope="session")
def prod(
    tmp_path_factory: pytest.TempPathFactory, disks: Path, request: pytest.FixtureRequest
) -> Iterator[World]:
    """The production stack with two replicas of two workers, and views that take their time, or for ever."""
    folder = tmp_path_factory.mktemp("chaos")
    # Removed from the inside out: the containers, then what their volumes lie on.
    with world(folder, "chaos", prod=True, **SETTINGS) as own, small_volumes(own, disks):
        # Volumes without a container could be anybody's.
        own.invoke("init", "--take-over")
        add_slow_view(own)
        urls = own.root / "example" / "config" / "urls.py"
        urls.write_text(urls.read_text() + VIEWS)
        own.invoke("up")
        try:
            yield own
        finally:
            if request.session.testsfailed:
                own.save("chaos")
            own.remove()
