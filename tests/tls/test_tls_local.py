"""TLS=local: the site over https, as a browser that trusts the stack's own CA sees it."""

from __future__ import annotations

import json
import socket
import ssl
import stat

import httpx
import pytest
from tlskit import NAMES, certs, https_port, https_url, local_ca, nginx_id, served, trust, visitor

from tests.support.site import Site
from tests.support.world import World, docker


def test_the_site_over_http2(prod: World) -> None:
    """Red without `http2 on`, when the certificate is not the local CA's, or lacks what RFC 5280 asks for."""
    by_the_letter = trust(local_ca(prod))
    by_the_letter.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
    page = Site(https_url(prod), verify=by_the_letter, http2=True).get("/")
    assert (page.status_code, page.http_version) == (200, "HTTP/2")
    assert "<html" in page.text


@pytest.mark.parametrize("host", ["127.0.0.1", "site.test"])
def test_every_name_is_covered(prod: World, host: str) -> None:
    """Red when a name of SERVER_NAMES is missing in the certificate, or a client without SNI is turned away.

    Who asks for an address sends no SNI.
    """
    argv = ["curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}"]
    argv += ["--cacert", "/ca.pem", "--connect-to", f"{host}:443:nginx:8443", f"https://{host}/"]
    assert (
        docker(
            "run", "--rm", "--network", f"{prod.project}_edge", "--volume", f"{local_ca(prod)}:/ca.pem:ro",
            "--entrypoint", argv[0], prod.container("nginx")["Config"]["Image"], *argv[1:],
        )
        == "200"
    )  # fmt: skip


def test_other_names_get_no_handshake(prod: World) -> None:
    """Red without ssl_reject_handshake: a stranger's name would be shown our certificate."""
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        served(prod, "other.example")
    # A name of ours in the handshake, and another one in the request.
    answer = visitor(prod, local_ca(prod)).get("/", Host="other.example")
    assert answer.status_code == 421


def test_http_is_redirected(prod: World) -> None:
    """Red when path, query or port are lost, or a POST becomes a GET (301)."""
    site = Site(prod.url)
    for method in ("GET", "POST"):
        answer = site.client.request(method, "/a%20b/?c=d&e=%2F")
        assert answer.status_code == 308
        assert answer.headers["Location"] == f"{https_url(prod)}/a%20b/?c=d&e=%2F"
    assert site.get("/", Host="other.example").status_code == 421, "a stranger's name was redirected"


def test_probes_and_challenges_are_not_redirected(prod: World) -> None:
    """Red when a load balancer's probe gets a redirect, or an ACME CA does."""
    site = Site(prod.url)
    assert site.get("/healthz/ready").status_code == 200
    # Nobody has asked for a certificate: it is the application that does not know it.
    answer = site.get("/.well-known/acme-challenge/unknown")
    assert answer.headers.get("Location", "").startswith("http://") is False
    assert answer.status_code in {404, 301}, answer.headers


def test_forms_and_sessions_over_https(prod: World) -> None:
    """Red when X-Forwarded-Proto or the port is wrong: Django then refuses the form (403), or redirects."""
    site = visitor(prod, local_ca(prod))
    assert site.submit("/", {"text": "over-https"}).status_code == 302
    assert "over-https" in site.get("/").text
    cookie = next(c for c in site.client.cookies.jar if c.name == "csrftoken")
    assert cookie.secure
    prod.invoke(
        "createsuperuser", "--username", "root", "--email", "root@example.org",
        env={"DJANGO_SUPERUSER_PASSWORD": "correct horse battery"},
    )  # fmt: skip
    answer = site.sign_in("root", "correct horse battery")
    assert answer.headers["Location"] == "/admin/"
    assert site.get("/admin/").status_code == 200
    assert next(c for c in site.client.cookies.jar if c.name == "sessionid").secure


def test_hsts_only_when_asked_and_only_over_https(prod: World) -> None:
    """Red when it is sent unasked, over http, on errors of nginx not, or beside Django's own."""
    site, plain = visitor(prod, local_ca(prod)), Site(prod.url)
    header = "Strict-Transport-Security"
    nginx = nginx_id(prod)
    assert header not in site.get("/").headers
    prod.write_env(HSTS_SECONDS="3600")
    try:
        prod.invoke("up", "--no-build")
        # A new connection: nginx lets one that is kept open end with the configuration it began with.
        site = visitor(prod, local_ca(prod))
        assert site.get("/").headers.get_list(header) == ["max-age=3600"]
        assert site.get("/static/missing").headers.get_list(header) == ["max-age=3600"]
        for path in ("/", "/healthz/ready"):
            assert header not in plain.get(path).headers
    finally:
        prod.write_env(HSTS_SECONDS="")
    assert nginx_id(prod) == nginx, "nginx was replaced"


def test_what_the_tasks_say(prod: World) -> None:
    """Red when `url` or `certs` speak of something else than what is served."""
    assert json.loads(prod.invoke("url", "--json").stdout) == {"url": f"{https_url(prod)}/"}
    said = certs(prod)
    assert said["state"] == "served"
    assert said["fingerprint"] == served(prod)
    assert {"localhost", "site.test", "127.0.0.1", "::1"} <= set(said["names"])
    assert said["days_left"] > 365
    told = prod.invoke("certs").stdout
    assert f"cp {local_ca(prod)} /usr/local/share/ca-certificates/" in told
    refused = prod.invoke("certs", "--renew", check=False)
    assert "SLIP-115" in refused.stderr


def test_the_keys_stay_where_they_are_needed(prod: World) -> None:
    """Red when a key is readable by others, the CA's is mounted anywhere, or nginx can write its own."""
    folder = local_ca(prod).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert not list((prod.root / "secrets/tls").glob(".bundle*")), "a copy of the key was left"
    sources = [mount["Source"] for c in prod.containers() for mount in c["Mounts"]]
    assert not [source for source in sources if "tls/local" in source or source.endswith("/tls")]
    with_volume = {
        c["Config"]["Labels"]["com.docker.compose.service"]
        for c in prod.containers()
        if any(mount.get("Name") == f"{prod.project}_certificates" for mount in c["Mounts"])
    }
    assert with_volume == {"nginx", "nginx-configuration"}
    listing = docker("exec", f"{prod.project}-nginx-1", "stat", "-c", "%a %u", "/srv/tls/live/privkey.pem")
    assert listing.split() == ["600", "101"]
    refused = docker("exec", f"{prod.project}-nginx-1", "touch", "/srv/tls/x", check=False)
    assert refused == ""
    mounts = prod.container("nginx")["Mounts"]
    assert [m["RW"] for m in mounts if m["Destination"] == "/srv/tls"] == [False]


def test_another_name_makes_another_certificate(prod: World) -> None:
    """Red when a changed SERVER_NAMES leaves the old certificate, or replaces the CA that people trust."""
    before, authority, nginx = served(prod), local_ca(prod).read_bytes(), nginx_id(prod)
    prod.write_env(SERVER_NAMES=f"'{NAMES} more.test'")
    try:
        said = certs(prod, "--reload")
    finally:
        prod.write_env(SERVER_NAMES=f"'{NAMES}'")
    assert "more.test" in said["names"]
    assert said["fingerprint"] == served(prod) != before
    assert local_ca(prod).read_bytes() == authority
    assert visitor(prod, local_ca(prod)).get("/").status_code == 200
    assert nginx_id(prod) == nginx, "nginx was replaced"


def test_a_port_that_is_taken_is_named(prod: World) -> None:
    """Red when HTTPS_PORT is not looked at before anything is started."""
    usual = str(https_port(prod))
    with socket.create_server(("0.0.0.0", 0)) as other:
        for taken, code in ((other.getsockname()[1], "SLIP-063"), (prod.port, "SLIP-115")):
            prod.write_env(HTTPS_PORT=str(taken))
            try:
                refused = prod.invoke("up", "--no-build", check=False)
            finally:
                prod.write_env(HTTPS_PORT=usual)
            assert f"{code}: " in refused.stderr
            assert "HTTPS_PORT" in refused.stderr
            assert "docker compose" not in refused.stderr


def test_a_client_that_does_not_trust_the_ca_refuses(prod: World) -> None:
    """Red when the tests above verify nothing."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        Site(https_url(prod)).get("/")
    assert trust(local_ca(prod)).verify_mode == ssl.CERT_REQUIRED
