"""Error pages, refusals and the headers on every answer."""

from __future__ import annotations

import pytest
from world import Nginx, World

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "browsing-topics=(), camera=(self), geolocation=(self), microphone=(self), usb=(self)"
    ),
}


@pytest.mark.parametrize(
    "path", ["/plain", "/static/present.css", "/media/present.css", "/static/missing.css", "/.env"]
)
def test_security_headers_are_on_every_answer(shared: World, nginx: Nginx, path: str) -> None:
    """Red when a location adds a header of its own, or a line in response-headers.conf lacks `always`."""
    for volume in ("static", "media"):
        (shared.folder / volume / "present.css").write_text("a {}")
    answer = nginx.request(path)
    assert {name: answer.header(name) for name in SECURITY} == SECURITY
    assert answer.header("Server") == "nginx"


def test_frames_are_left_to_the_application(nginx: Nginx) -> None:
    """Red when nginx adds X-Frame-Options to a page Django exempted from it."""
    assert nginx.request("/plain").header("X-Frame-Options") is None
    assert nginx.request("/static/missing.css").header("X-Frame-Options") == "SAMEORIGIN"


def test_the_applications_headers_win_and_none_is_doubled(nginx: Nginx) -> None:
    """Red when a header is added whether or not the application sent it."""
    answer = nginx.request("/secure")
    assert answer.status == 503
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Referrer-Policy") == "no-referrer"
    assert answer.header("Permissions-Policy") == "geolocation=()"
    assert answer.header("X-Frame-Options") == "DENY"
    assert answer.header("Content-Security-Policy") == "default-src 'self'"
    assert answer.header("Cache-Control") == "private"
    assert answer.header("Retry-After") == "120"
    assert answer.header("X-Request-ID") != "the-applications-own"


@pytest.mark.parametrize("status", [400, 403, 404, 413, 429, 500, 502, 503])
def test_the_applications_own_error_page_passes_unchanged(nginx: Nginx, status: int) -> None:
    """Red with `proxy_intercept_errors on`."""
    answer = nginx.request(f"/status/{status}")
    assert (answer.status, answer.body) == (status, b"the application's own page")
    assert answer.header("Retry-After") is None


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "10.0.0.1", "localhost.:8080.evil"]
)
def test_an_unknown_host_is_refused(nginx: Nginx, host: str) -> None:
    """Red when site.conf.template is the default server."""
    answer = nginx.request("/echo?unknown-host", headers={"Host": host})
    assert answer.status in (400, 421)
    assert b"/echo" not in answer.body
    line = nginx.logged(lambda line: line["request_id"] == answer.header("X-Request-ID"))
    assert line["upstream_addr"] == ""


def test_an_unknown_host_gets_a_page_that_says_so(nginx: Nginx) -> None:
    """Red when unknown-host.conf closes the connection (444) or answers something else."""
    answer = nginx.request("/", headers={"Host": "evil.example"})
    assert answer.status == 421
    assert b"does not serve a site under that name" in answer.body


def test_several_names_and_wildcards_are_served(world: World) -> None:
    """Red when only the first of NGINX_SERVER_NAMES counts."""
    world.start_stub()
    nginx = world.start_nginx(NGINX_SERVER_NAMES="localhost www.example.org .example.com [::1]")
    world.wait_for_application(nginx)
    for host in ("www.example.org", "WWW.Example.ORG:8080", "example.com", "a.example.com", "[::1]:8080"):
        assert nginx.request("/echo", headers={"Host": host}).upstream_headers["host"] == host.lower()
    assert nginx.request("/echo", headers={"Host": "example.org"}).status == 421


def test_an_error_page_is_complete_and_names_the_request(nginx: Nginx) -> None:
    """Red with `ssi off`, or when the page loads anything from outside itself."""
    answer = nginx.request("/static/missing.css")
    page = answer.body.decode()
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert "<h1>Not found</h1>" in page
    assert str(answer.header("X-Request-ID")) in page
    assert "<!--#" not in page
    assert "src=" not in page
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("application/problem+json", True),
        ("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", False),
        ("*/*", False),
    ],
)
def test_an_error_is_json_for_those_who_want_json(nginx: Nginx, accept: str, is_json: bool) -> None:
    """Red when error_page always names the HTML page."""
    answer = nginx.request("/static/missing.css", headers={"Accept": accept})
    assert answer.status == 404
    if is_json:
        assert answer.header("Content-Type") == "application/json"
        assert answer.json["error"] == {
            "status": 404,
            "title": "Not found",
            "detail": "There is nothing at this address.",
            "request_id": answer.header("X-Request-ID"),
        }
    else:
        assert answer.body.startswith(b"<!doctype html>")


def test_the_error_pages_cannot_be_asked_for(nginx: Nginx) -> None:
    """Red when the location is not `internal`."""
    assert nginx.request("/_error/page.html").status == 404
