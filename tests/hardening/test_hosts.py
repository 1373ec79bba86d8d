"""Whose name a request bears: others' names, forged ones, and what the project makes of them.

Against a stub, and behind a load balancer: tests/nginx/test_nginx_forwarding.py and test_nginx_answers.py.
"""

from __future__ import annotations

import json

import httpx
import pytest
from rawhttp import send, statuses, watched

from tests.support.world import World, docker, loopbacks

FOREIGN = (
    "evil.example",
    "localhost.evil.example",
    "evil.example:8080",
    "localhost@evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.1",
    "[::2]",
    "xn--localhst-j1a",
    "web",
    "db:5432",
)


@pytest.mark.parametrize("host", FOREIGN)
def test_another_sites_name_never_reaches_the_application(prod: World, host: str) -> None:
    """Red when site.conf.template is the default server; Django would answer 400 and have been asked."""
    with watched(prod) as watch:
        request = f"GET {watch.path('outer')} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        answer = send(prod.port, request.encode())
    assert statuses(answer) in ([421], [400])
    assert watch.seen() == []


FORGED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "X-Host": "evil.example",
    "X-Original-URL": "/admin/",
    "X-Rewrite-URL": "/admin/",
    "Forwarded": "host=evil.example;proto=https",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-For": "127.0.0.1",
}


def _seen(prod: World, *lines: str, target: str = "{path}") -> dict[str, object]:
    with watched(prod) as watch:
        first = f"GET {target.format(path=watch.path('outer'))} HTTP/1.1"
        answer = send(prod.port, "\r\n".join([first, *lines, "Connection: close", "", ""]).encode())
    assert statuses(answer) == [200]
    assert watch.seen() == ["GET outer"]
    seen: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return seen


def test_an_address_in_a_mail_is_that_of_the_site(prod: World) -> None:
    """Forged headers change neither the address, such as that of a password reset, nor its scheme.

    Red when proxy.conf or forwarded.conf passes a stranger's X-Forwarded-Proto on; or, for a project with
    USE_X_FORWARDED_HOST, its X-Forwarded-Host.
    """
    host = f"localhost:{prod.port}"
    seen = _seen(prod, f"Host: {host}", *(f"{name}: {value}" for name, value in FORGED.items()))
    assert (seen["absolute"], seen["secure"]) == (f"http://{host}/reset/", False)
    headers = seen["headers"]
    assert isinstance(headers, dict)
    assert headers["X-Forwarded-Host"] == host
    assert "evil" not in json.dumps({k: v for k, v in headers.items() if k in {"Host", "Forwarded"}})
    assert headers["X-Forwarded-For"] != "127.0.0.1"


def test_the_clients_address_is_its_own(prod: World) -> None:
    """Red when the project is told nginx's address (gunicorn's own way), or the one that a stranger claims.

    Behind a load balancer, and with an ASGI server: test_addresses.py.
    """
    network = prod.container("nginx")["NetworkSettings"]["Networks"][f"{prod.project}_edge"]
    for forged in ("127.0.0.1", "203.0.113.9", "2001:db8::7", "203.0.113.9, 10.0.0.1", "unknown"):
        seen = _seen(prod, "Host: localhost", f"X-Forwarded-For: {forged}", f"X-Real-IP: {forged}")
        # This machine, as containers see it.
        assert seen["address"] == network["Gateway"], forged


def test_the_name_in_the_line_is_the_one_that_counts(prod: World) -> None:
    """Red with `Host $http_host`: nginx would check localhost, and the project be told evil.example."""
    seen = _seen(prod, "Host: evil.example", target="http://localhost{path}")
    assert str(seen["absolute"]).startswith("http://localhost")


def test_the_published_addresses_are_the_configured_ones(prod: World) -> None:
    """Red when `ports:` leaves HTTP_ADDRESS out: the site would be open to all; or one of the list."""
    published = set(docker("port", f"{prod.project}-nginx-1").split("\n")[:-1])
    hosts = [f"[{address}]" if ":" in address else address for address in loopbacks()]
    assert published == {f"8080/tcp -> {host}:{prod.port}" for host in hosts}
    for host in hosts:
        answer = httpx.get(f"http://{host}:{prod.port}/", headers={"Host": "localhost"})
        assert answer.status_code == 200, host
