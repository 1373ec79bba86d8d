"""One production stack for all hardening tests, with secrets and traps planted before it starts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# Before they are imported: their assertions then say what they found, as those of a test do.
pytest.register_assert_rewrite("inside", "rawhttp")

from planted import APPLICATION, FILES, PLACEHOLDER  # noqa: E402

from tests.support.site import Site  # noqa: E402
from tests.support.world import World, base_images, docker, loopbacks, world  # noqa: E402

LIMITED = ("db", "redis", "web", "worker", "nginx")


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack, published on loopback alone, with a page that says what reached it."""
    folder = tmp_path_factory.mktemp("hardening")
    # A backup that is due once a year: the service is there, and does nothing.
    settings = {"HTTP_ADDRESS": " ".join(loopbacks()), "BACKUP_SCHEDULE": "0 3 1 1 *"}
    # What may be beside web; the example has no Celery, and needs none for a container to be looked at.
    settings |= {"REDIS": "on", "REDIS_IMAGE": "slipway/valkey:8.1-trixie", "EXTRA_DATABASES": "reports"}
    settings |= {"PROCESS_WORKER": "sleep infinity", "COMPOSE_OVERLAYS": "limits.yaml"}
    with world(folder, "hardening", prod=True, **settings) as own:
        urls = own.root / "example" / "config" / "urls.py"
        urls.write_text(urls.read_text() + APPLICATION)
        for name, content in FILES.items():
            path = own.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        # As newer engines have it: few, and as many as may be for who asks.
        image = base_images()["PYTHON_IMAGE"]
        hard = docker("run", "--rm", "--entrypoint", "sh", image, "-c", "ulimit -Hn").strip()
        files = f"{{nofile: {{soft: 1024, hard: {hard}}}}}"
        limits = "".join(f"  {name}: {{ulimits: {files}}}\n" for name in LIMITED)
        (own.root / "limits.yaml").write_text(f"services:\n{limits}")
        own.invoke("init")
        with (own.root / "app.env").open("a") as variables:
            variables.write(PLACEHOLDER)
        own.invoke("up")
        yield own
        if request.session.testsfailed:
            own.save("hardening")


@pytest.fixture
def site(prod: World) -> Iterator[Site]:
    """A visitor of the stack."""
    visitor = Site(prod.url)
    yield visitor
    visitor.client.close()
