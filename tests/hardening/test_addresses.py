"""The client's address, as the project is told: behind a load balancer and without one, by either server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from planted import APPLICATION

from tests.support.world import World, world

pytestmark = pytest.mark.long


@pytest.fixture(params=["wsgi", "asgi"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A stack of its own, with a page that says who asks."""
    target = f"config.{request.param}:application"
    settings = {"HTTP_ADDRESS": "127.0.0.1", "SERVER_TARGET": target}
    with world(tmp_path, f"addresses-{request.param}", prod=True, **settings) as own:
        urls = own.root / "example" / "config" / "urls.py"
        urls.write_text(urls.read_text() + APPLICATION)
        own.invoke("up")
        yield own


def _address(own: World, forwarded: str = "") -> str:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    with httpx.Client(base_url=own.url, trust_env=False, timeout=30) as client:
        return str(client.get("/seen/address", headers=headers).json()["address"])


def test_it_is_the_clients_and_nobody_can_claim_another(own: World) -> None:
    """Red when it is nginx's (gunicorn's way), a stranger's word counts, or a load balancer's does not."""
    edge = own.container("nginx")["NetworkSettings"]["Networks"][f"{own.project}_edge"]
    # This machine, as containers see it.
    gateway, nginx = edge["Gateway"], edge["IPAddress"]
    for forged in ("", "203.0.113.9", "2001:db8::7", "203.0.113.9, 10.0.0.1", "unknown"):
        assert _address(own, forged) == gateway != nginx, forged

    own.write_env(TRUSTED_PROXY=f"{gateway}/32")
    own.invoke("deploy")
    assert _address(own) == gateway
    for forwarded, address in {
        "203.0.113.9": "203.0.113.9",
        "2001:db8::7": "2001:db8::7",
        # What a client claims stands in front of what the load balancer has seen.
        "6.6.6.6, 203.0.113.9": "203.0.113.9",
    }.items():
        assert _address(own, forwarded) == address
