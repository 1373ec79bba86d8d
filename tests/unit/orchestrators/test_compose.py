"""The exact argv of every docker compose call."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.config.settings import Settings
from slipway.orchestrators import publishing
from slipway.orchestrators.compose import Stack

_FLAGS = ["--project-directory", ".", "--env-file", ".slipway/machine.env", "--env-file", ".env"]
_DEV_SECRETS = ["-f", ".slipway/secrets-dev.yaml"]
_DEV = [
    *["-f", "compose/base.yaml", "-f", "compose/backup.yaml", "-f", "compose/db.yaml"],
    *["-f", "compose/dev.yaml", "-f", "compose/dev-db.yaml", *_DEV_SECRETS],
]
_PROD = [
    *["-f", "compose/base.yaml", "-f", "compose/backup.yaml", "-f", "compose/db.yaml"],
    *["-f", "compose/prod.yaml", "-f", "compose/prod-db.yaml", "-f", ".slipway/secrets-prod.yaml"],
]
_ENTRYPOINT = ["python", "/opt/slipway/entrypoint.py"]


@pytest.fixture
def dev(settings: Settings) -> Stack:
    return Stack(settings, prod=False, cwd=settings.root)


@pytest.fixture
def prod(settings: Settings) -> Stack:
    return Stack(settings, prod=True, cwd=settings.root)


def _dev(*arguments: str) -> list[str]:
    return ["docker", "compose", "--project-name", "shop-dev", *_FLAGS, *_DEV, *arguments]


def _prod(*arguments: str) -> list[str]:
    return ["docker", "compose", "--project-name", "shop-prod", *_FLAGS, *_PROD, *arguments]


def test_build(dev: Stack, prod: Stack) -> None:
    assert dev.build() == _dev("build")
    assert prod.build(["web"], no_cache=True) == _prod("build", "--no-cache", "web")
    # Compose's own option: behind `build` Compose 2.40 warns of it.
    before, after = dev.build()[:2], dev.build()[2:]
    assert dev.build(progress="plain") == [*before, "--progress=plain", *after]


def test_up(dev: Stack, prod: Stack) -> None:
    assert dev.up() == _dev("up", "--detach", "--no-build", "--remove-orphans")
    expected = _prod("up", "--detach", "--no-build", "--remove-orphans", "--scale", "web=3")
    assert prod.up(scale=3) == expected


def test_down_keeps_volumes_unless_told(dev: Stack) -> None:
    assert dev.down() == _dev("down", "--remove-orphans")
    assert dev.down(volumes=True) == _dev("down", "--remove-orphans", "--volumes")


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_lifecycle(prod: Stack, verb: str) -> None:
    assert prod.lifecycle(verb) == _prod(verb)
    assert prod.lifecycle(verb, ["web", "db"]) == _prod(verb, "web", "db")


def test_ps_logs_stats_config(dev: Stack) -> None:
    assert dev.ps() == _dev("ps")
    assert dev.ps(everything=True, as_json=True) == _dev("ps", "--all", "--format", "json")
    assert dev.logs() == _dev("logs")
    everything = dev.logs(["web"], follow=True, tail="10", since="5m", timestamps=True)
    assert everything == _dev("logs", "--follow", "--tail", "10", "--since", "5m", "--timestamps", "web")
    assert dev.stats() == _dev("stats", "--no-stream")
    assert dev.stats(follow=True, as_json=True) == _dev("stats", "--format", "json")
    assert dev.config(as_json=True) == _dev("config", "--format", "json")


def test_execute_uses_the_running_container_else_a_one_off(dev: Stack) -> None:
    """A one-off passes the image's entrypoint by itself; an exec does not, so it is named."""
    argv = dev.execute("web", ["ls", "-l"], running=True, tty=True)
    assert argv == _dev("exec", "web", *_ENTRYPOINT, "ls", "-l")
    argv = dev.execute("web", ["ls"], running=True, tty=False, env=["A"])
    assert argv == _dev("exec", "-T", "--env", "A", "web", *_ENTRYPOINT, "ls")
    argv = dev.execute("web", ["ls"], running=False, tty=False)
    assert argv == _dev("run", "--rm", "-T", "web", "ls")
    argv = dev.execute("db", ["psql"], running=True, tty=True)
    assert argv == _dev("exec", "db", "psql")


def test_files_follow_the_settings(settings: Settings) -> None:
    """Red when a capability's overlay is always or never used."""
    without = replace(settings, database="none")
    assert Stack(without, prod=True).files()[:3] == [
        "compose/base.yaml", "compose/backup.yaml", "compose/prod.yaml",
    ]  # fmt: skip
    scheduled = replace(settings, backup_schedule="30 3 * * *")
    assert "compose/backup-schedule.yaml" in Stack(scheduled, prod=True).files()
    assert "compose/backup-schedule.yaml" not in Stack(scheduled, prod=False).files()
    assert set(Stack(scheduled, prod=True).services()) - set(Stack(scheduled, prod=True).serving()) == {
        "backup"
    }
    for prod in (True, False):
        assert "compose/backup-s3.yaml" not in Stack(settings, prod).files()
        assert "compose/backup-s3.yaml" in Stack(replace(settings, backup_s3_bucket="b"), prod).files()
    published = replace(settings, db_port=5432, overlays=("mine.yaml",))
    assert Stack(published, prod=False).files()[-1] == "mine.yaml"
    assert "compose/db-port.yaml" in Stack(published, prod=False).files()
    assert "compose/db-port.yaml" not in Stack(published, prod=True).files()
    assert "db" not in Stack(without, prod=False).services()


def test_paths_are_relative_to_where_the_task_was_called(settings: Settings) -> None:
    """So that the printed command can be pasted there."""
    stack = Stack(settings, prod=False, cwd=Path(settings.root / "example"))
    argv = stack.command("ps")
    assert argv[argv.index("--project-directory") + 1] == ".."
    assert "../compose/base.yaml" in argv


def test_no_egress_is_productions_alone(settings: Settings) -> None:
    """Red when WEB_EGRESS adds no file, or adds it to development."""
    closed = replace(settings, web_egress="off")
    file = "compose/no-egress.yaml"
    assert [file in Stack(closed, prod).files() for prod in (True, False)] == [True, False]
    assert file not in Stack(settings, prod=True).files()


def test_several_addresses_are_published_each(settings: Settings) -> None:
    """Red when one is left out, TLS has no second port there, or one address gets a file of its own."""
    file = ".slipway/addresses-prod.yaml"
    assert file not in Stack(replace(settings, http_addresses=("::",)), prod=True).files()
    both = replace(settings, http_addresses=("127.0.0.1", "::1"), overlays=("mine.yaml",))
    assert file not in Stack(both, prod=False).files()
    stack = Stack(both, prod=True)
    # What a person adds comes after it.
    assert stack.files().index(file) < stack.files().index("mine.yaml")
    assert re.findall(r'- "(.*)"', publishing.overlay(stack)) == [
        "127.0.0.1:${HTTP_PORT:-8080}:8080", "[::1]:${HTTP_PORT:-8080}:8080",
    ]  # fmt: skip
    over_tls = Stack(replace(both, tls="local"), prod=True)
    assert re.findall(r'- "(.*)"', publishing.overlay(over_tls))[1::2] == [
        "127.0.0.1:${HTTPS_PORT:-8443}:8443", "[::1]:${HTTPS_PORT:-8443}:8443",
    ]  # fmt: skip
