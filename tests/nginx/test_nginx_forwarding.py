"""What the application is told about the client, and what it is not told by the client itself."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from pathlib import Path

import pytest
from world import Nginx, World

LIES = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "bank.example",
    "X-Forwarded-Port": "443",
    "X-Real-IP": "203.0.113.9",
    "X-Request-ID": "chosen-by-the-client",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=203.0.113.9;proto=https",
    "Proxy": "http://evil.example",
}


def gateway(world: World) -> str:
    """The address the test's own requests come from, as containers see it."""
    return world.subnet().rsplit(".", 1)[0] + ".1"


def test_the_application_learns_who_asked_and_for_what(shared: World, nginx: Nginx) -> None:
    """Red with `Host $host`: the port is lost, and Django refuses forms."""
    told = nginx.request("/echo").upstream_headers
    assert told["host"] == f"localhost:{nginx.port}"
    assert told["x-forwarded-host"] == f"localhost:{nginx.port}"
    assert told["x-forwarded-port"] == str(nginx.port)
    assert told["x-forwarded-proto"] == "http"
    assert told["x-forwarded-for"] == told["x-real-ip"] == gateway(shared)


def test_the_default_port_is_the_published_one_not_the_containers(nginx: Nginx) -> None:
    """Red with `X-Forwarded-Port $server_port`."""
    told = nginx.request("/echo", headers={"Host": "localhost"}).upstream_headers
    assert (told["host"], told["x-forwarded-port"]) == ("localhost", "80")


def test_a_strangers_forwarded_headers_are_replaced(shared: World, nginx: Nginx) -> None:
    """Red when a map in forwarded.conf drops $from_trusted_proxy, or proxy.conf a line that clears one."""
    told = nginx.request("/echo", headers=LIES).upstream_headers
    for name in ("x-forwarded-protocol", "x-forwarded-ssl", "x-forwarded-prefix", "forwarded", "proxy"):
        assert name not in told
    assert told["x-forwarded-for"] == told["x-real-ip"] == gateway(shared)
    assert told["x-forwarded-proto"] == "http"
    assert told["x-forwarded-host"] == f"localhost:{nginx.port}"
    assert told["x-forwarded-port"] == str(nginx.port)
    assert told["x-request-id"] != "chosen-by-the-client"


def test_a_trusted_balancer_is_believed(behind_balancer: Nginx) -> None:
    """Red when NGINX_TRUSTED_PROXY is ignored."""
    told = behind_balancer.request("/echo", headers=LIES).upstream_headers
    assert told["x-forwarded-for"] == told["x-real-ip"] == "203.0.113.9"
    assert told["x-forwarded-proto"] == "https"
    assert told["x-forwarded-host"] == "bank.example"
    assert told["x-forwarded-port"] == "443"
    assert told["x-request-id"] == "chosen-by-the-client"
    assert "x-forwarded-ssl" not in told


def test_the_address_the_balancer_added_counts(behind_balancer: Nginx) -> None:
    """Red when the first entry, the client's own invention, is taken."""
    headers = {"X-Forwarded-For": "10.0.0.1, 203.0.113.7"}
    assert (
        behind_balancer.request("/echo", headers=headers).upstream_headers["x-forwarded-for"] == "203.0.113.7"
    )


@pytest.mark.parametrize(
    ("header", "told", "value", "expected"),
    [
        ("X-Forwarded-Proto", "x-forwarded-proto", "https,http", "https"),
        ("X-Forwarded-Proto", "x-forwarded-proto", "https, http, http", "https"),
        ("X-Forwarded-Proto", "x-forwarded-proto", "http,https", "http"),
        ("X-Forwarded-Proto", "x-forwarded-proto", "HTTPS", "https"),
        ("X-Forwarded-Proto", "x-forwarded-proto", "wss", "https"),
        ("X-Forwarded-Proto", "x-forwarded-proto", "ws", "http"),
        ("X-Forwarded-Proto", "x-forwarded-proto", "httpsx,http", "http"),
        ("X-Forwarded-Proto", "x-forwarded-proto", ",https", "http"),
        ("X-Forwarded-Host", "x-forwarded-host", "shop.example, internal.example", "shop.example"),
        ("X-Forwarded-Host", "x-forwarded-host", "shop.example:8443,internal", "shop.example:8443"),
        ("X-Forwarded-Host", "x-forwarded-host", "[2001:db8::1]:8443, internal", "[2001:db8::1]:8443"),
        ("X-Forwarded-Host", "x-forwarded-host", "shop.example/evil, internal", "localhost"),
        ("X-Forwarded-Port", "x-forwarded-port", "443, 8080", "443"),
        ("X-Forwarded-For", "x-forwarded-for", "192.0.2.1, 2001:db8::7", "2001:db8::7"),
        ("X-Forwarded-For", "x-forwarded-for", "[2001:db8::7]:5000", "2001:db8::7"),
        ("X-Forwarded-For", "x-forwarded-for", "203.0.113.7:5000", "203.0.113.7"),
    ],
)
def test_of_a_list_the_clients_entry_counts(
    behind_balancer: Nginx, header: str, told: str, value: str, expected: str
) -> None:
    """Red when a map takes the whole list for a value, or a part of a word for a scheme."""
    answer = behind_balancer.request("/echo", headers={"Host": "localhost", header: value})
    assert answer.upstream_headers[told] == expected


def test_a_stranger_gets_no_list_believed_either(nginx: Nginx) -> None:
    """Red when the maps of lists lose $from_trusted_proxy."""
    lies = {name: f"{value}, x" for name, value in LIES.items() if name.startswith("X-Forwarded")}
    told = nginx.request("/echo", headers={"Host": "localhost", **lies}).upstream_headers
    assert told["x-forwarded-proto"] == "http"
    assert told["x-forwarded-host"] == "localhost"
    assert told["x-forwarded-port"] == "80"


def test_several_balancers_one_behind_the_other_are_believed(shared: World) -> None:
    """Red when only one network is taken, or IPv6 is left out, or with real_ip_recursive off."""
    trusted = f"198.51.100.0/24 2001:db8:1::/48 {shared.subnet()} 192.0.2.9"
    nginx = shared.start_nginx(NGINX_TRUSTED_PROXY=trusted)
    shared.wait_for_application(nginx)
    hops = "10.6.6.6, 203.0.113.7, 198.51.100.5, 2001:db8:1::5, 192.0.2.9"
    headers = {"X-Forwarded-For": hops, "X-Forwarded-Proto": "https, http"}
    told = nginx.request("/echo", headers=headers).upstream_headers
    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("203.0.113.7", "https")


def test_an_ipv6_client_is_served_where_the_network_has_ipv6(tmp_path: Path) -> None:
    """Red without `listen [::]:8080`: refused. A balancer of a trusted IPv6 network is believed there too."""
    tmp_path.chmod(0o755)
    world = World(tmp_path, ipv6=True)
    try:
        stub = world.start_stub()
        nginx = world.start_nginx(NGINX_TRUSTED_PROXY=f"192.0.2.0/24 {world.ipv6_subnet}")
        world.wait_for_application(nginx)
        address = nginx.inspect("{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}")
        assert ":" in address
        told = dict(json.loads(stub.fetch(f"http://[{address}]:8080/echo", host="localhost"))["headers"])
        assert ipaddress.ip_address(told["x-forwarded-for"]) in ipaddress.ip_network(world.ipv6_subnet)
        forwarded = stub.fetch(
            f"http://[{address}]:8080/echo", host="localhost", x_forwarded_for="2001:db8::9"
        )
        assert dict(json.loads(forwarded)["headers"])["x-forwarded-for"] == "2001:db8::9"
        assert "421" in stub.fetch(f"http://[{address}]:8080/echo", host="unknown.example")
    finally:
        world.destroy()


def test_https_at_the_balancer_means_port_443(behind_balancer: Nginx) -> None:
    """Red when the default port does not follow the forwarded scheme."""
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    assert behind_balancer.request("/echo", headers=headers).upstream_headers["x-forwarded-port"] == "443"


def test_a_request_has_one_id_everywhere(nginx: Nginx) -> None:
    """Red when answer, application and log are given different ids."""
    answer = nginx.request("/echo?one-id")
    given = answer.header("X-Request-ID")
    assert given is not None
    assert re.fullmatch("[0-9a-f]{32}", given)
    assert answer.upstream_headers["x-request-id"] == given
    assert nginx.logged(lambda line: line["uri"] == "/echo?one-id")["request_id"] == given
    assert nginx.request("/echo").header("X-Request-ID") != given


@pytest.mark.parametrize(
    "bad", ["short", "a" * 129, 'x","status":200,"y":"', "with space 1234", "<b>12345678</b>"]
)
def test_a_strange_request_id_is_replaced_even_from_the_balancer(behind_balancer: Nginx, bad: str) -> None:
    """Red when request-id.conf takes anything for an id."""
    answer = behind_balancer.request("/echo", headers={"X-Request-ID": bad})
    assert answer.header("X-Request-ID") == answer.upstream_headers["x-request-id"] != bad


def test_the_name_that_was_checked_is_the_name_that_is_passed_on(nginx: Nginx) -> None:
    """Red with `Host $http_host`: the request line's name is checked, the header's would be passed on."""
    answer = nginx.request("http://localhost/echo", headers={"Host": "evil.example"})
    assert answer.status == 400 or answer.upstream_headers["host"] == "localhost"


def raw(nginx: Nginx, text: str) -> socket.socket:
    """Send ``text`` as it is; return the open socket."""
    connection = socket.create_connection(("127.0.0.1", nginx.port), timeout=20)
    connection.sendall(text.encode())
    return connection


def test_websockets_pass_in_both_directions(nginx: Nginx) -> None:
    """Red when Upgrade or Connection is not passed on."""
    with raw(
        nginx, "GET /upgrade HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n"
    ) as ws:
        assert ws.recv(4096).startswith(b"HTTP/1.1 101")
        ws.sendall(b"ping over the socket")
        assert ws.recv(4096) == b"ping over the socket"


def test_other_upgrades_do_not_pass(nginx: Nginx) -> None:
    """Red with `Upgrade $http_upgrade`."""
    told = nginx.request(
        "/echo", headers={"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"}
    ).upstream_headers
    assert "upgrade" not in told
    assert "connection" not in told


def test_connections_to_the_application_are_kept_open(nginx: Nginx) -> None:
    """Red without `keepalive`, or with Connection: close: each request would come over a new connection."""
    ports = [nginx.request("/echo").json["connection"] for _ in range(10)]
    assert len(set(ports)) < len(ports), ports
