"""Worlds for the nginx tests: one shared by tests that only look, one per test that breaks things."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import KIT, PYTHON_IMAGE, Nginx, World, docker

from tests.support.index import INDEX

# Answers how long the path and the cookie are that reach it, and how many headers.
APPLICATION = """\
def wsgi(environ, start_response):
    while environ["wsgi.input"].read(65_536):
        pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    headers = sum(name.startswith("HTTP_X_N") for name in environ)
    return [f"{len(environ['PATH_INFO'])} {len(environ.get('HTTP_COOKIE', ''))} {headers}".encode()]

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    cookie = b"".join(value for name, value in scope["headers"] if name == b"cookie")
    headers = sum(name.startswith(b"x-n") for name, value in scope["headers"])
    body = f"{len(scope['path'])} {len(cookie)} {headers}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
"""


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


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The servers as the image gets them, in a folder for the image's Python."""
    folder = tmp_path_factory.mktemp("packages")
    version = docker(
        "run", "--rm", "--entrypoint", "python3", PYTHON_IMAGE,
        "-c", "import sys; print('%d.%d' % sys.version_info[:2])",
    )  # fmt: skip
    argv = ["uv", "pip", "install", "--quiet", "--require-hashes", "--no-deps", f"--target={folder}"]
    argv += [f"--python-version={version}", "--only-binary=:all:", f"--index-url={INDEX}"]
    for name in ("gunicorn", "asgi"):
        argv += [f"--requirement={KIT / 'docker/requirements' / name}.txt"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    (folder / "served.py").write_text(APPLICATION)
    folder.chmod(0o755)
    return folder
