"""Limits: size of bodies, patience with the application and with clients, rate of logins."""

from __future__ import annotations

import socket

from world import Nginx, World, eventually

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
