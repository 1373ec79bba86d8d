"""Limits: size of bodies, patience with the application and with clients, rate of logins."""

from __future__ import annotations

import socket

import pytest
from world import Answer, Nginx, World, eventually

MEBIBYTE = 2**20


def test_a_body_over_the_limit_gets_the_413_page(nginx: Nginx) -> None:
    """Red without client_max_body_size (nginx's own 1 MiB: the second half fails), or without the page."""
    answer = nginx.request("/echo", "POST", body=bytes(20 * MEBIBYTE))
    assert answer.status == 413
    assert b"larger than this site accepts" in answer.body
    accepted = nginx.request("/echo", "POST", body=bytes(9 * MEBIBYTE))
    assert accepted.json["body_bytes"] == 9 * MEBIBYTE


def test_the_limit_is_the_one_configured(world: World) -> None:
    """Red when the template ignores NGINX_CLIENT_MAX_BODY_SIZE."""
    world.start_stub()
    nginx = world.start_nginx(NGINX_CLIENT_MAX_BODY_SIZE="1k")
    world.wait_for_application(nginx)
    assert nginx.request("/echo", "POST", body=bytes(1024)).status == 200
    assert nginx.request("/echo", "POST", body=bytes(1025)).status == 413


KIB = 1024
# What stands around the path of a request, and around a header's value.
LINE = len("GET / HTTP/1.1\r\n")
FIELD = len("Cookie: \r\n")


def long_path(nginx: Nginx, size: int) -> Answer:
    """A request whose first line has ``size`` bytes."""
    return nginx.request("/" + "p" * (size - LINE))


def long_cookie(nginx: Nginx, size: int, **headers: str) -> Answer:
    """A request with a cookie header of ``size`` bytes."""
    return nginx.request("/echo", headers={**headers, "Cookie": "c" * (size - FIELD)})


@pytest.mark.parametrize(("buffers", "size"), [("4 16k", 16 * KIB), ("2 4k", 4 * KIB), ("8 32k", 32 * KIB)])
def test_address_and_headers_are_as_long_as_configured(shared: World, buffers: str, size: int) -> None:
    """Red when NGINX_LARGE_CLIENT_HEADER_BUFFERS is ignored, or without the pages for 414 and 494."""
    nginx = shared.start_nginx(NGINX_LARGE_CLIENT_HEADER_BUFFERS=buffers)
    shared.wait_for_application(nginx)
    assert long_path(nginx, size - 1).status == 200
    assert long_cookie(nginx, size - 1).status == 200
    address, headers = long_path(nginx, size + 1), long_cookie(nginx, size + 1)
    assert (address.status, headers.status) == (414, 431)
    assert b"longer than this site accepts" in address.body
    assert b"more cookies or other headers than this site accepts" in headers.body
    for page in (address, headers):
        assert page.header("X-Request-ID")
        assert b"nginx" not in page.body


def test_too_many_headers_get_the_431_page(nginx: Nginx) -> None:
    """Whether nginx counts them (1000, since 1.29) or their bytes. Red without the page for 494."""
    few = nginx.request("/echo", headers={f"X-{number}": "v" for number in range(900)})
    assert few.status == 200
    many = nginx.request("/echo", headers={f"X-{number}": "v" * 70 for number in range(1100)})
    assert many.status == 431
    assert b"than this site accepts" in many.body


def test_what_follows_too_large_headers_is_no_request(nginx: Nginx) -> None:
    """Red when the connection is kept: the rest of what is too large would be read as another request."""
    rest = "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 17 * KIB}\r\n\r\n{rest}".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_too_large_headers_are_json_for_those_who_want_json(nginx: Nginx) -> None:
    """Red when the error page is HTML by name."""
    answer = long_cookie(nginx, 17 * KIB, Accept="application/json")
    assert (answer.status, answer.json["error"]["status"]) == (431, 431)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip", 501),
        ("GET / HTTP/3.0\r\nHost: localhost", 505),
    ],
)
def test_what_nginx_does_not_speak_gets_the_page_too(nginx: Nginx, request_line: str, status: int) -> None:
    """Red without 501 and 505 in error-pages.conf."""
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as connection:
        connection.sendall(f"{request_line}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"The server does not know this" in answer


def test_a_slow_application_gets_the_504_page_and_is_asked_once(world: World) -> None:
    """Red when NGINX_PROXY_TIMEOUT is ignored, or with `proxy_next_upstream non_idempotent`."""
    stubs = [world.start_stub(), world.start_stub()]
    nginx = world.start_nginx(NGINX_PROXY_TIMEOUT="1s")
    world.wait_for_application(nginx)
    answer = nginx.request("/slow?seconds=4", "POST", body=b"order=1")
    assert answer.status == 504
    assert b"took too long to answer" in answer.body
    assert answer.header("Retry-After") == "5"
    assert sum(stub.seen()["slow"] for stub in stubs) == 1


def login(nginx: Nginx, client: str, path: str, method: str = "POST") -> int:
    """The status of one request to ``path``, made for ``client`` by the trusted balancer."""
    return nginx.request(
        path, method, {"X-Forwarded-For": client}, b"password=x" if method == "POST" else None
    ).status


def test_logins_are_slowed_down_per_client(behind_balancer: Nginx) -> None:
    """Red without limit_req, or with $server_name as the key (the second client would be refused too)."""
    guesses = [login(behind_balancer, "198.51.100.1", "/admin/login/") for _ in range(12)]
    assert guesses[:6] == [200] * 6
    assert 429 in guesses[6:]
    assert login(behind_balancer, "198.51.100.2", "/accounts/login/") == 200
    page = behind_balancer.request("/login/", "POST", {"X-Forwarded-For": "198.51.100.1"}, b"")
    assert page.status == 429
    assert b"too many attempts" in page.body
    assert page.header("Retry-After") == "30"


def test_only_posts_to_login_paths_count(behind_balancer: Nginx) -> None:
    """Red when login_key forgets the method or the path."""
    client = "198.51.100.3"
    assert {login(behind_balancer, client, "/admin/login/", "GET") for _ in range(20)} == {200}
    assert {login(behind_balancer, client, "/guestbook/") for _ in range(20)} == {200}
    assert login(behind_balancer, client, "/admin/login/") == 200


def test_another_spelling_of_the_path_counts_too(behind_balancer: Nginx) -> None:
    """Red when the map looks at $request_uri."""
    client = "198.51.100.4"
    assert 429 in [login(behind_balancer, client, "/admin/%6cogin/?next=/") for _ in range(12)]


def test_a_client_that_never_finishes_its_headers_is_cut(nginx: Nginx) -> None:
    """Red without client_header_timeout (nginx's own is 60 s)."""
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=25) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")

        def closed() -> bool:
            try:
                return connection.recv(1) == b""
            except ConnectionResetError:
                return True

        assert eventually("nginx closes the connection", closed, 25)
