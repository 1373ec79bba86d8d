"""What a careful production adds: HTTPS behind a proxy, and no way out. These tests change the stack."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from inside import (
    Target,
    addresses,
    default_route,
    execute,
    gateway,
    reached_from,
    running,
    service_of_the_host,
)

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World

pytestmark = pytest.mark.long


@pytest.fixture
def https(prod: World) -> Iterator[World]:
    """The stack behind a proxy that speaks HTTPS: this test, as nginx sees whoever comes from the host."""
    variables = prod.root / "app.prod.env"
    before = variables.read_text() if variables.exists() else ""
    variables.write_text(f"{before}\nHTTPS=1\n")
    prod.write_env(TRUSTED_PROXY=f"{gateway(f'{prod.project}_edge')}/32")
    prod.invoke("up", "--no-build")
    yield prod
    variables.write_text(before)
    prod.write_env(TRUSTED_PROXY="127.0.0.1/32")
    prod.invoke("up", "--no-build")


def _over_https(prod: World) -> Site:
    visitor = Site(prod.url)
    visitor.client.headers["X-Forwarded-Proto"] = "https"
    visitor.client.headers["X-Forwarded-Host"] = f"localhost:{prod.port}"
    return visitor


def test_cookies_and_redirects_behind_a_proxy_with_https(https: World) -> None:
    """Red when the example ignores HTTPS, or nginx a trusted proxy's X-Forwarded-Proto."""
    plain = Site(https.url).get("/")
    assert plain.status_code == 301
    assert plain.headers["Location"].startswith("https://localhost")
    answer = _over_https(https).get("/admin/login/")
    assert answer.status_code == 200
    assert "max-age=" in answer.headers["Strict-Transport-Security"]
    cookies = answer.headers.get_list("Set-Cookie")
    assert cookies and all("; Secure" in cookie for cookie in cookies), cookies


@pytest.fixture
def closed(prod: World) -> Iterator[World]:
    """The stack with WEB_EGRESS=off, which a running one refuses to become."""
    prod.write_env(WEB_EGRESS="off")
    refused = prod.invoke("up", "--no-build", check=False)
    assert refused.returncode == 1 and "SLIP-126" in refused.stderr, refused.stderr
    prod.invoke("down")
    prod.invoke("up", "--no-build")
    yield prod
    prod.write_env(WEB_EGRESS="on")
    prod.invoke("down")
    prod.invoke("up", "--no-build")


def test_without_egress_the_application_reaches_its_own_stack_alone(closed: World) -> None:
    """Not the host, not a cloud's metadata, no name; and the site is served all the same.

    Red without `internal: true` or inhibit_ipv4 in no-egress.yaml.
    """
    web = running(closed)["web"]
    assert not default_route(web)
    metadata = Target("169.254.169.254", 80, "GET / HTTP/1.0\r\n\r\n", "HTTP/")
    with service_of_the_host() as port:
        targets = {Target(gateway(name), port, "word", "word") for name in (*addresses(web), "bridge")}
        assert reached_from(f"container:{web['Id']}", targets | {metadata}) == set()
    assert execute(web, "getent", "hosts", "example.org").strip() == ""
    site = Site(closed.url)
    eventually(lambda: site.get("/").status_code == 200, "the site to answer")
    with pytest.raises(httpx.ConnectError):
        Site(f"http://{gateway('bridge')}:{closed.port}").get("/")
