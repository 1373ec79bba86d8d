"""What compose/redis.yaml and a project may rely on in the valkey image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from engine_probe import KILLED, Container, docker, image_environment, run, shell
from test_image_contract import declared

Start = Callable[..., Container]


def answers(container: Container, *options: str) -> bool:
    done = docker("exec", container.id, "valkey-cli", *options, "ping", check=False)
    return done.stdout.strip() == "PONG"


def ready(container: Container) -> Container:
    container.wait_for("valkey to answer", lambda: answers(container))
    return container


def test_it_declares_the_official_configuration(valkey_image: str) -> None:
    """Red when: WORKDIR /, EXPOSE 6380, USER valkey."""
    found = declared(valkey_image)
    # Older tags declare the volume, newer ones leave it to whoever runs them.
    assert found.pop("volumes") in ([], ["/data"])
    assert found == {
        "entrypoint": ["docker-entrypoint.sh"],
        "command": ["valkey-server"],
        "ports": ["6379/tcp"],
        "stop": "SIGTERM",
        "user": "root",
        "workdir": "/data",
        "healthcheck": None,
    }


def test_programs_and_version(valkey_image: str) -> None:
    """Under both families of names. Red when: a link is missing; VALKEY_VERSION is Debian's revision."""
    version = image_environment(valkey_image)["VALKEY_VERSION"]
    for program in ("valkey-server", "redis-server", "valkey-cli", "redis-cli"):
        assert run(valkey_image, "sh", "-c", f"command -v {program}") == f"/usr/local/bin/{program}"
        assert version in run(valkey_image, program, "--version")


def test_the_user_and_its_folder(valkey_image: str) -> None:
    """Red when: Debian gives the user its own number."""
    assert shell(valkey_image, "id -u valkey; id -g valkey; stat -c %u:%g:%a /data").split() == [
        "999", "999", "999:999:1777",
    ]  # fmt: skip


@pytest.mark.parametrize("user", ["0:0", "999:999"])
def test_it_serves_others_as_its_own_user(valkey_image: str, start: Start, user: str) -> None:
    """Another container is answered. Red when: protected mode is left on; the step down is lost."""
    container = ready(start(valkey_image, options=("--user", user)))
    assert container.exec("stat", "-c", "%u", "/proc/1") == "999"
    address = docker(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container.id
    ).stdout.strip()
    assert run(valkey_image, "valkey-cli", "-h", address, "ping") == "PONG"


def test_options_alone_are_the_servers_and_data_outlives_it(
    valkey_image: str, start: Start, volume: str
) -> None:
    """With an append-only file nothing acknowledged is lost by a stop.

    Red when: the entrypoint takes an option for a command; the data is elsewhere than in /data.
    """
    options = ("--user", "999:999", "--volume", f"{volume}:/data")
    first = ready(start(valkey_image, "--appendonly", "yes", "--port", "6379", options=options))
    assert first.exec("valkey-cli", "set", "word", "kept") == "OK"
    assert first.stop() != KILLED
    second = ready(start(valkey_image, "--appendonly", "yes", options=options))
    assert second.exec("valkey-cli", "get", "word") == "kept"


def test_without_options_it_saves_when_it_is_stopped(valkey_image: str, start: Start, volume: str) -> None:
    """Red when: an option of the stand-in's own takes the default moments of saving away."""
    first = ready(start(valkey_image, options=("--volume", f"{volume}:/data")))
    first.exec("valkey-cli", "set", "word", "kept")
    assert first.stop() == 0
    assert "dump.rdb" in run(valkey_image, "ls", "/data", options=("--volume", f"{volume}:/data"))


def test_a_folder_that_cannot_be_written_is_an_error(valkey_image: str, start: Start) -> None:
    """Red when: the server starts and fails at its first save."""
    container = start(
        valkey_image, options=("--user", "12345:12345", "--volume", "/data", "--workdir", "/etc")
    )
    assert container.wait() == 1
    assert "writ" in container.logs()
