"""TLS=acme against Debian's pebble: first issue, renewal under load, and a CA that does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acmekit import Pebble
from tlskit import build_tools, certs, nginx_id, served, tls_world

from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A production stack to be, whose CA is a pebble that is not there yet."""
    folder = tmp_path_factory.mktemp("acme")
    settings = {"TLS": "acme", "SERVER_NAMES": "site.test", "ACME_EMAIL": "somebody@example.org"}
    with tls_world(folder, "acme", **settings) as own:
        own.write_env(ACME_DIRECTORY="https://pebble:14000/dir", ACME_CA_FILE="pebble-root.pem")
        yield own


@pytest.fixture(scope="module")
def pebble(stack: World) -> Iterator[Pebble]:
    """The CA, on a network of its own, where it finds nginx under the site's name."""
    stack.invoke("init")
    own = Pebble(stack, build_tools(stack))
    own.root_file(stack.root / "pebble-root.pem")
    try:
        yield own
    finally:
        own.remove()


def test_without_a_ca_the_site_is_on_http_and_up_says_so(stack: World, pebble: Pebble) -> None:
    """Red when nginx waits for the certificate, or `up` is silent about it."""
    refused = stack.invoke("up", check=False)
    assert refused.returncode == 1
    assert "SLIP-123: https://pebble:14000/dir has issued no certificate" in refused.stderr
    site = Site(stack.url)
    assert site.get("/healthz/ready", Host="site.test").status_code == 200
    said = certs(stack)
    assert said["state"] == "no certificate is served yet, the site is on http alone"
    assert said["renewal"] == "the last attempt failed"
    assert said["problem"]
    eventually(lambda: stack.health("acme") == "unhealthy", "the service to be unhealthy", timeout=120)
    assert stack.health("nginx") == "healthy"


def test_first_issue(stack: World, pebble: Pebble) -> None:
    """Red when the challenge does not reach certbot's file, or what is issued does not reach nginx."""
    nginx = nginx_id(stack)
    pebble.start()
    stack.invoke("up", "--no-build")
    said = certs(stack)
    assert (said["state"], said["renewal"], said["names"]) == ("served", "in order", ["site.test"])
    assert "Pebble" in said["issuer"]
    assert served(stack, "site.test") == said["fingerprint"]
    assert nginx_id(stack) == nginx, "nginx was replaced"
    page = Site(pebble.site_url, verify=pebble.trust()).get("/")
    assert (page.status_code, page.http_version) == (200, "HTTP/1.1")
    redirect = Site(stack.url).get("/x?y", Host="site.test")
    assert redirect.headers["Location"].startswith("https://site.test:")
    eventually(lambda: stack.health("acme") == "healthy", "the service to be healthy")


def test_nothing_is_asked_for_twice(stack: World, pebble: Pebble) -> None:
    """Red when every `up` asks the CA for a new certificate: those are counted."""
    before = served(stack, "site.test")
    stack.invoke("up", "--no-build")
    assert served(stack, "site.test") == before


def test_renewal_under_load(stack: World, pebble: Pebble) -> None:
    """Red when nginx is restarted or replaced for a certificate, or never hears of it."""
    nginx, before = nginx_id(stack), served(stack, "site.test")
    with Load(pebble.site_url, verify=pebble.trust()) as load:
        eventually(lambda: len(load.acknowledged) > 10, "the load to run")
        # As the service does twice a day, but due: what pebble issues now lasts for seconds.
        pebble.issue_for(seconds=60)
        stack.invoke("certs", "--renew")
        short = served(stack, "site.test")
        assert short != before
        eventually(lambda: certs(stack)["days_left"] < 0 or True, "time")
        pebble.issue_for(seconds=3600 * 24 * 90)
        docker("restart", f"{stack.project}-acme-1")
        eventually(lambda: served(stack, "site.test") != short, "the renewed one", timeout=120)
        seen = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > seen + 10, "the load to go on")
    assert load.failures == []
    assert nginx_id(stack) == nginx, "nginx was replaced"
    assert Path(stack.root / "secrets").is_dir()
