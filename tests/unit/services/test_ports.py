"""Host ports: whose they are, on the addresses of this machine."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace
from typing import Any

import pytest

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services import ports

ANY = "0.0.0.0"


@pytest.fixture(autouse=True)
def no_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that publishes nothing."""
    monkeypatch.setattr("slipway.engine.engine.publisher", lambda _port: None)


def code(address: str, port: int) -> str:
    """The code of what ``check`` raises; empty when the port is free."""
    try:
        ports.check("HTTP_PORT", address, port, "shop-prod")
    except SlipwayError as refused:
        return refused.slip_code
    return ""


@pytest.mark.parametrize(
    ("family", "address", "taken", "free"),
    [
        (socket.AF_INET6, "::1", ["::1", "::"], ["127.0.0.1", ANY]),
        (socket.AF_INET, "127.0.0.1", ["127.0.0.1", ANY], ["::1", "::"]),
    ],
)
def test_a_port_is_taken_where_it_is_and_not_in_the_other_family(
    family: socket.AddressFamily, address: str, taken: list[str], free: list[str]
) -> None:
    """Red when IPv6 is not asked for, or :: stands for IPv4 too (IPV6_V6ONLY): not with Docker."""
    with socket.socket(family) as holder:
        holder.bind((address, 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert {other: code(other, port) for other in taken} == dict.fromkeys(taken, "SLIP-063")
        assert {other: code(other, port) for other in free} == dict.fromkeys(free, "")


@pytest.mark.parametrize("address", ["192.0.2.77", "2001:db8::77"])
def test_an_address_of_another_machine_is_not_a_taken_port(address: str) -> None:
    """Red when every refusal of the system means that the port is taken."""
    with pytest.raises(SlipwayError, match=rf"SLIP-181: nothing can be published on {address}"):
        ports.check("HTTP_PORT", address, 8080, "shop-prod")


def test_a_port_that_only_root_may_have_is_free_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a person without rights is told that port 80 is taken: it is the engine that listens."""

    class Forbidden(socket.socket):
        def bind(self, _address: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        monkeypatch.setattr(socket, "socket", Forbidden)
        assert code(ANY, port) == ""
        holder.listen()
        assert code(ANY, port) == "SLIP-063"


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
def test_no_port_is_proposed_that_another_variable_names(settings: Settings, prod: bool) -> None:
    """Red when only those are passed over that somebody listens on now."""
    variable = "HTTP_PORT" if prod else "WEB_PORT"
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = int(holder.getsockname()[1])
        numbers = {"http_port": taken, "https_port": taken + 1, "web_port": taken + 2, "db_port": taken + 3}
        if not prod:
            numbers |= {"web_port": taken, "http_port": taken + 2}
        own = replace(settings, http_addresses=("127.0.0.1",), tls="local", **numbers)  # type: ignore[arg-type]
        with pytest.raises(SlipwayError, match=f"SLIP-063.*{variable}") as refused:
            ports.check_all(Session(Stack(own, prod), Runner()))
    assert int(refused.value.fix.rpartition("=")[2].split()[0]) > taken + 3
