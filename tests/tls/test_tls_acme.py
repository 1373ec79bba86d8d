"""TLS=acme against Debian's pebble: first issue, renewal under load, and a CA that does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from acmekit import Pebble, make_due, overlay
from tlskit import build_tools, certs, nginx_id, resolving, served, tls_world

from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker

NAME = "site.test"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """A production stack to be, whose CA is a pebble that is not there yet."""
    folder = tmp_path_factory.mktemp("acme")
    settings = {"TLS": "acme", "SERVER_NAMES": NAME, "ACME_EMAIL": "somebody@example.org"}
    directory = "https://pebble:14000/dir"
    with (
        resolving(NAME),
        tls_world(
            folder, "tls-acme", ACME_DIRECTORY=directory, ACME_CA_FILE="pebble-root.pem", **settings
        ) as own,
    ):
        own.write_env(COMPOSE_OVERLAYS=overlay(own))
        yield own
        if request.session.testsfailed:
            own.save("tls-acme")


@pytest.fixture(scope="module")
def pebble(stack: World) -> Iterator[Pebble]:
    """The CA, not started yet."""
    stack.invoke("init")
    own = Pebble(stack, build_tools(stack))
    try:
        yield own
    finally:
        own.remove()


def test_without_a_ca_the_site_is_on_http_and_up_says_so(stack: World, pebble: Pebble) -> None:
    """Red when nginx waits for the certificate, redirects without one, or `up` is silent about it."""
    refused = stack.invoke("up", check=False)
    assert refused.returncode == 1
    assert "SLIP-123: https://pebble:14000/dir has issued no certificate" in refused.stderr
    site = Site(stack.url)
    assert site.get("/healthz/ready", Host=NAME).status_code == 200
    said = certs(stack)
    assert said["state"] == "no certificate is served yet, the site is on http alone"
    assert said["renewal"] == "the last attempt failed"
    assert said["problem"]


def test_first_issue(stack: World, pebble: Pebble) -> None:
    """Red when the challenge does not reach certbot's file, or what is issued does not reach nginx."""
    nginx = nginx_id(stack)
    pebble.start()
    stack.invoke("up", "--no-build")
    said = certs(stack)
    assert (said["state"], said["renewal"], said["names"]) == ("served", "in order", [NAME])
    assert "Pebble" in said["issuer"]
    assert served(stack, NAME) == said["fingerprint"]
    assert nginx_id(stack) == nginx, "nginx was replaced"
    site = Site(pebble.site_url, verify=pebble.trust())
    assert site.submit("/", {"text": "over-acme"}).status_code == 302
    redirect = Site(stack.url).get("/x?y", Host=NAME)
    assert redirect.headers["Location"] == f"{pebble.site_url}/x?y"
    eventually(lambda: stack.health("acme") == "healthy", "the service to be healthy")


def test_nothing_is_asked_for_twice(stack: World, pebble: Pebble) -> None:
    """Red when every `up` asks the CA for a new certificate: those are counted."""
    before = served(stack, NAME)
    stack.invoke("up", "--no-build")
    assert served(stack, NAME) == before


def test_the_key_is_nginxs_alone(stack: World, pebble: Pebble) -> None:
    """Red when another service mounts the certificate, or the ACME client runs as more than it needs."""
    mounted = {
        c["Config"]["Labels"].get("com.docker.compose.service")
        for c in stack.containers()
        if any(mount.get("Name") == f"{stack.project}_certificates" for mount in c["Mounts"])
    }
    assert mounted == {"nginx", "nginx-configuration", "acme"}
    acme = stack.container("acme")
    assert acme["Config"]["User"] == "101:101"
    assert acme["HostConfig"]["ReadonlyRootfs"]
    assert acme["HostConfig"]["CapDrop"] == ["ALL"]
    assert list(acme["NetworkSettings"]["Networks"]) == [f"{stack.project}_acme"]


def test_renewal_under_load(stack: World, pebble: Pebble) -> None:
    """Red when nginx is restarted for a certificate, never hears of it, or a deploy between loses it."""
    nginx, before = nginx_id(stack), served(stack, NAME)
    with Load(pebble.site_url, verify=pebble.trust()) as load:
        eventually(lambda: len(load.acknowledged) > 10, "the load to run")
        stack.invoke("certs", "--renew")
        forced = served(stack, NAME)
        assert forced != before

        # Its first attempt is at its start; the next would be twelve hours later.
        make_due(stack)
        docker("restart", f"{stack.project}-acme-1")
        eventually(lambda: served(stack, NAME) != forced, "a renewal that is due, served", timeout=180)
        seen = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > seen + 10, "the load to go on")
    assert load.failures == []
    assert nginx_id(stack) == nginx, "nginx was replaced"


def test_a_ca_that_is_down_harms_nothing(stack: World, pebble: Pebble) -> None:
    """Red when a failed renewal takes the certificate away, or nobody is told of it."""
    before = served(stack, NAME)
    pebble.disconnect()
    try:
        refused = stack.invoke("certs", "--renew", check=False)
        assert refused.returncode == 1
        assert "SLIP-123" in refused.stderr
        assert served(stack, NAME) == before
        said = certs(stack)
        assert (said["state"], said["renewal"]) == ("served", "the last attempt failed")
        assert said["last_success"] < said["last_attempt"]
        eventually(lambda: stack.health("acme") == "unhealthy", "the service to be unhealthy", timeout=120)
        # Neither a restart of the one nor of the other loses it.
        docker("restart", f"{stack.project}-nginx-1", f"{stack.project}-acme-1")
        eventually(lambda: served(stack, NAME) == before, "nginx to serve it again")
    finally:
        pebble.connect()
    stack.invoke("certs", "--renew")
    assert served(stack, NAME) != before
    assert certs(stack)["renewal"] == "in order"
    status = json.loads(docker("exec", f"{stack.project}-acme-1", "cat", "/srv/certbot/status.json"))
    assert status["failures"] == 0
