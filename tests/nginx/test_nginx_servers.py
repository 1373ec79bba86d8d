"""nginx before the real application servers: what it lets through they take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from world import Answer, Nginx, World

KIB = 1024


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def front(
    packages: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Nginx]:
    """nginx with the widest setting there is, before a server of that kind."""
    world = World(tmp_path_factory.mktemp("servers"))
    try:
        world.start_server(f"served:{request.param}", packages)
        nginx = world.start_nginx(NGINX_LARGE_CLIENT_HEADER_BUFFERS="16 64k")
        world.wait_for_application(nginx)
        yield nginx
    finally:
        world.destroy()


def ask(nginx: Nginx, path: int = 1, cookie: int = 0, headers: int = 0) -> Answer:
    """A request with a path and a cookie of so many bytes, and so many headers."""
    given = {"Cookie": "c" * cookie} if cookie else {}
    given |= {f"X-N{number}": "v" for number in range(headers)}
    return nginx.request("/" + "p" * (path - 1), headers=given)


@pytest.mark.parametrize(
    ("path", "cookie", "headers"),
    [
        (4_200, 8, 0),
        (1, 8_180, 0),
        (8_190, 8_190, 0),
        (64 * KIB - 50, 1, 0),
        (1, 64 * KIB - 50, 0),
        (60_000, 60_000, 900),
        (1, 1, 990),
    ],
)
def test_the_server_takes_what_nginx_lets_through(front: Nginx, path: int, cookie: int, headers: int) -> None:
    """Red with gunicorn's own limits: 4094 for the line, 8190 for a header, 100 headers; its raw 414 and 431.

    Or with h11's own of 16 KiB for all of them under uvicorn.
    """
    answer = ask(front, path, cookie, headers)
    assert (answer.status, answer.body.decode()) == (200, f"{path} {cookie} {headers}")


@pytest.mark.parametrize(
    ("more", "status"),
    [({"path": 64 * KIB + 1}, 414), ({"cookie": 64 * KIB + 1}, 431), ({"headers": 1_100}, 431)],
)
def test_what_is_longer_gets_the_sites_own_page(front: Nginx, more: dict[str, int], status: int) -> None:
    """Red when the server answers first."""
    answer = ask(front, **more)
    assert answer.status == status
    assert b"this site accepts" in answer.body
    assert answer.header("X-Request-ID")
