"""One production stack for all rollout tests: each leaves it as it found it, which is part of the promise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# Before it is imported: its assertions then say what they found, as those of a test do.
pytest.register_assert_rewrite("rolloutkit")

from rolloutkit import REPLICAS  # noqa: E402

from tests.support.load import add_slow_view  # noqa: E402
from tests.support.world import World, world  # noqa: E402


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack with two replicas, and a view that takes its time."""
    folder = tmp_path_factory.mktemp("rollout")
    # Four replicas of eight threads, twice, would not fit into the default hundred.
    settings = {
        "WEB_REPLICAS": str(REPLICAS),
        "WEB_WORKERS": "2",
        "WEB_THREADS": "8",
        "DB_MAX_CONNECTIONS": "200",
    }
    with world(folder, "rollout", prod=True, **settings) as own:
        add_slow_view(own)
        own.invoke("up")
        yield own
        if request.session.testsfailed:
            own.save("rollout")
