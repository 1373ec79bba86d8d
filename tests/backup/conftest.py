"""One production stack for all backup tests, and one archive of it that nobody changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# Before it is imported: its assertions then say what they found, as those of a test do.
pytest.register_assert_rewrite("backupkit")

from backupkit import Kept, backup, post, state  # noqa: E402

from tests.support.load import add_slow_view  # noqa: E402
from tests.support.world import World, apply_umask, world  # noqa: E402


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack, from files under the strictest umask."""
    with world(tmp_path_factory.mktemp("backup"), "backup", prod=True) as own:
        add_slow_view(own)
        apply_umask(own.root, 0o077)
        own.invoke("up")
        yield own
        if request.session.testsfailed:
            own.save("backup")


@pytest.fixture(scope="session")
def kept(prod: World) -> Kept:
    """An archive of an entry with an image, and the state that it holds."""
    post(prod, "kept")
    return Kept(backup(prod, "kept"), state(prod))
