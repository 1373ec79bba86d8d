"""The development stack: for this machine's own eyes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from inside import LISTENING, Target, by_service, default_route, reached_from

from tests.support.world import World, docker, world

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A development stack of its own."""
    with world(tmp_path_factory.mktemp("development"), "hardening-dev", prod=False) as own:
        own.invoke("up")
        yield own


def test_it_listens_on_loopback_alone(dev: World) -> None:
    """Red when `127.0.0.1:` is taken from the port in dev.yaml."""
    bindings = [
        (service, binding["HostIp"])
        for service, container in by_service(dev).items()
        for at in container["NetworkSettings"]["Ports"].values()
        for binding in at or ()
    ]
    assert bindings == [("web", "127.0.0.1")]


def test_nothing_in_it_has_the_host(dev: World) -> None:
    """Red with `privileged`, `network_mode: host`, or the engine's socket among the volumes."""
    for name, container in by_service(dev).items():
        host = container["HostConfig"]
        assert not host["Privileged"] and not host["CapAdd"] and not host["Devices"], name
        assert host["PidMode"] == host["UTSMode"] == "" and host["IpcMode"] == "private", name
        assert host["NetworkMode"] != "host", name
        sources = {mount["Source"] for mount in container["Mounts"] if mount["Type"] == "bind"}
        assert not {path for path in sources if not path.startswith(f"{dev.root}/")}, name


def test_its_database_answers_its_own_stack_alone(dev: World) -> None:
    """Red without `internal: true`, or with a port on db."""
    db = by_service(dev)["db"]
    address = db["NetworkSettings"]["Networks"][f"{dev.project}_data"]["IPAddress"]
    target = Target(address, *LISTENING["db"])
    assert reached_from("bridge", [target]) == set()
    assert reached_from(f"container:{by_service(dev)['web']['Id']}", [target]) == {target}
    assert not default_route(db)


def test_its_secrets_are_files_too(dev: World) -> None:
    """Red with a secret among the variables of dev.yaml."""
    values = [(dev.root / "secrets" / name).read_text() for name in ("postgres_password", "secret_key")]
    ids = [container["Id"] for container in by_service(dev).values()]
    shown = docker("inspect", *ids) + docker("image", "inspect", f"{dev.project}-web")
    assert not [value for value in values if value in shown]
