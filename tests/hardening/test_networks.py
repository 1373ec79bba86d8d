"""Who reaches whom: tried from the network of each container, of a stranger's, and of the host."""

from __future__ import annotations

import re
import secrets
import socket

import pytest
from inside import (
    LISTENING,
    Target,
    addresses,
    default_route,
    execute,
    gateway,
    reached_from,
    running,
    service_of_the_host,
)

from tests.support.world import World, loopbacks


def _targets(prod: World) -> dict[Target, str]:
    """Everything that listens, and the network where it does."""
    return {
        Target(address, *LISTENING[name]): network
        for name, container in running(prod).items()
        if name in LISTENING
        for network, address in addresses(container).items()
    }


def _listening(prod: World, service: str) -> tuple[set[int], set[int]]:
    """The ports on which a container listens: for others, and for itself alone."""
    table = execute(running(prod)[service], "cat", "/proc/net/tcp", "/proc/net/tcp6")
    found = re.findall(r"(?m)^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:0000 0A", table)
    # Docker's own DNS listens on 127.0.0.11, and IPv6's loopback is all zeros but the last digit.
    own = {int(port, 16) for address, port in found if _is_loopback(address)}
    return {int(port, 16) for address, port in found if not _is_loopback(address)}, own


def _is_loopback(address: str) -> bool:
    return address.endswith("7F") if len(address) == 8 else address == f"{'0' * 24}01000000"


def test_each_container_listens_where_it_should(prod: World) -> None:
    """Red when gunicorn's or nginx's other listeners move to all addresses; seen with `listen 8081`."""
    assert set(LISTENING) <= set(running(prod))
    for name in running(prod):
        expected = {LISTENING[name][0]} if name in LISTENING else set()
        assert _listening(prod, name)[0] == expected, name
    assert {8081, 8082} <= _listening(prod, "nginx")[1]


def test_containers_reach_each_other_only_where_they_share_a_network(prod: World) -> None:
    """nginx does not reach the database by its address either. Red when nginx joins `data`, or db `edge`."""
    targets = _targets(prod)
    assert len(targets) == 5, "db and redis on data, web on both, nginx on edge"
    for name, container in running(prod).items():
        shared = {target for target, network in targets.items() if network in addresses(container)}
        assert reached_from(f"container:{container['Id']}", targets) == shared, name


def test_names_of_other_networks_are_not_even_known(prod: World) -> None:
    """Red when nginx joins `data`."""
    nginx, db = running(prod)["nginx"], running(prod)["db"]
    assert execute(nginx, "getent", "hosts", "db") == ""
    assert execute(nginx, "getent", "hosts", "redis") == ""
    assert execute(nginx, "getent", "hosts", "web") != ""
    assert execute(db, "getent", "hosts", "nginx") == ""


def test_a_stranger_on_the_same_engine_reaches_nothing(prod: World) -> None:
    """Red when a service is put on a network that others are on, e.g. `network_mode: bridge`."""
    assert reached_from("bridge", _targets(prod)) == set()


def test_the_database_has_no_way_out_and_the_web_service_has(prod: World) -> None:
    """Neither to the world nor to the host it runs on.

    Red without `internal: true` (the route is there), or without inhibit_ipv4 in db.yaml (the host answers).
    """
    db, web = running(prod)["db"], running(prod)["web"]
    assert default_route(web) and not default_route(db)
    with service_of_the_host() as port:
        word = secrets.token_hex(8)
        from_db = {Target(gateway(network), port, word, word) for network in addresses(db)}
        assert reached_from(f"container:{db['Id']}", from_db) == set()
        # The control: the service can be reached from where there is a way.
        from_web = {Target(gateway(f"{prod.project}_edge"), port, word, word)}
        assert reached_from(f"container:{web['Id']}", from_web) == from_web


def test_only_the_published_address_answers_on_the_host(prod: World) -> None:
    """Red with `ports:` on web or db, or with HTTP_ADDRESS left out of nginx's."""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((gateway("bridge"), prod.port), timeout=3).close()
    for address in loopbacks():
        socket.create_connection((address, prod.port), timeout=3).close()
    published = {
        port
        for container in prod.containers()
        for port, at in container["NetworkSettings"]["Ports"].items()
        if at
    }
    assert published == {"8080/tcp"}
