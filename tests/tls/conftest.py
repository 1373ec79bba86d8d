"""One production stack for the tests of TLS=local and TLS=files: between the two nginx's container stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

# Before they are imported: their assertions then say what they found, as those of a test do.
pytest.register_assert_rewrite("tlskit")

import authority  # noqa: E402
from tlskit import NAMES, build_tools, tls_world  # noqa: E402

from tests.support.world import World  # noqa: E402


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack with TLS=local, up."""
    folder = tmp_path_factory.mktemp("tls")
    with tls_world(folder, "tls", TLS="local", SERVER_NAMES=f"'{NAMES}'") as own:
        own.invoke("up")
        yield own
        if request.session.testsfailed:
            own.save("tls")


@pytest.fixture(scope="session")
def root() -> authority.Authority:
    """A CA of somebody else's."""
    return authority.root("Test Root")


@pytest.fixture(scope="session")
def company(root: authority.Authority) -> authority.Authority:
    """What issues for the stack's names: an intermediate, as with bought certificates."""
    return root.intermediate("Test Intermediate")


@pytest.fixture(scope="session")
def root_file(tmp_path_factory: pytest.TempPathFactory, root: authority.Authority) -> Path:
    """The root alone, for clients that trust it."""
    path = tmp_path_factory.mktemp("root") / "root.pem"
    path.write_bytes(authority.pem(root.certificate))
    return path


@pytest.fixture(scope="session")
def tools(prod: World) -> str:
    """The image with Debian's tools."""
    return build_tools(prod)
