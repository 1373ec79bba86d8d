"""Settings: precedence, validation, and that nothing about them is said twice differently."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.config.settings import Settings, load, record_machine, recorded, variables
from slipway.core import values
from slipway.core.checkout import ROOT
from slipway.core.errors import SlipwayError
from slipway.orchestrators import init

_NOT_SETTINGS = {"APP_ENV_DIGEST", "BACKUP_RECIPE", "BACKUP_USER", "COMPOSE_PROJECT_NAME", "KIT_ROOT"}


def _compose_defaults() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "compose").glob("*.yaml")):
        text = re.sub(r"(?m)^\s*#.*$", "", path.read_text())
        for name, default in re.findall(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^$}\n]*))?", text):
            # A name without a default stands where another line has given one, or refuses to be empty.
            if name in variables() and "${" + name + "}" in text and not default:
                continue
            found.setdefault(name, set()).add(default)
    return found


def test_env_example_documents_every_variable_with_its_default() -> None:
    """Red when a variable is added, dropped or re-defaulted in one place only."""
    text = (ROOT / ".env.example").read_text()
    documented = dict(re.findall(r"(?m)^#?([A-Z0-9_]+)=(.*)$", text))
    assert list(documented) and set(documented) == set(variables())
    machine = {"HOST_UID", "HOST_GID", "RELEASE", "REVISION"}
    for name, variable in variables().items():
        assert documented[name] == ("" if name in machine else variable.default), name


def test_compose_files_use_the_same_defaults() -> None:
    """Red when ``${NAME:-default}`` in a compose file and the default in Settings differ."""
    known = variables()
    used = _compose_defaults()
    assert {"WEB_PORT", "HTTP_PORT", "POSTGRES_IMAGE"} <= set(used)
    for name, defaults in used.items():
        if name in _NOT_SETTINGS or name == "DB_PORT":
            continue
        assert name in known, f"{name} is used in compose/ and is not a setting"
        assert defaults == {known[name].default}, name


def test_precedence_is_environment_then_env_file_then_machine_then_default(checkout: Path) -> None:
    """Red when the order of the sources in ``_pick`` changes."""
    assert load(checkout, environ={}).web_port == 8000
    record_machine(checkout, {"WEB_PORT": "8001"})
    assert load(checkout, environ={}).web_port == 8001
    (checkout / ".env").write_text("WEB_PORT=8002\n")
    assert load(checkout, environ={}).web_port == 8002
    found = load(checkout, environ={"WEB_PORT": "8003"})
    assert found.web_port == 8003
    assert found.origins["WEB_PORT"] == "environment"


def test_an_empty_value_counts_as_not_set(checkout: Path) -> None:
    """As in Compose's ``${WEB_PORT:-8000}``; red when empty text reaches the check."""
    (checkout / ".env").write_text("WEB_PORT=\n")
    assert load(checkout, environ={"WEB_PORT": ""}).web_port == 8000


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("WEB_PORT=http", ["SLIP-006", "WEB_PORT", ".env:2", "'http'", "WEB_PORT=8000"]),
        ("WEB_PORT=70000", ["SLIP-006", "1 to 65535"]),
        ("WEB_REPLICAS=0", ["SLIP-006", "WEB_REPLICAS"]),
        ("DATABASE=mysql", ["SLIP-006", "postgres, none"]),
        ("CLIENT_MAX_BODY_SIZE=lots", ["SLIP-006", "10m"]),
        ("TRUSTED_PROXY=10.0.0.1/8", ["SLIP-006", "CIDR"]),
        ("TRUSTED_PROXY=10.0.0.0/8,172.16.0.0/12", ["SLIP-006", "CIDR", "10.0.0.0/8 2001:db8:1::/48"]),
        ("TRUSTED_PROXY=10.0.0.0/255.0.0.0", ["SLIP-006", "CIDR"]),
        ("TRUSTED_PROXY=10.0.0.0/8 fe80::1%eth0", ["SLIP-006", "CIDR", "fe80::1%eth0"]),
        ("TRUSTED_PROXY=proxy.example.org", ["SLIP-006", "CIDR"]),
        ("TRUSTED_PROXY=10.0.0.0/8 10.0.0.0/8", ["SLIP-006", "10.0.0.0/8 twice"]),
        ("MAINTENANCE_ALLOW=2001:DB8::/32 2001:db8::/32", ["SLIP-006", "2001:db8::/32 twice"]),
        ("HTTP_ADDRESS=[::]", ["SLIP-006", "without brackets (::)"]),
        ("HTTP_ADDRESS=0.0.0.0 [::1]", ["SLIP-006", "without brackets (::1)"]),
        ("HTTP_ADDRESS=fe80::1%eth0", ["SLIP-006", "without a zone"]),
        ("HTTP_ADDRESS=*", ["SLIP-006", "HTTP_ADDRESS=0.0.0.0"]),
        ("HTTP_ADDRESS=localhost", ["SLIP-006", "IP address"]),
        ("HTTP_ADDRESS=127.0.0.1:80", ["SLIP-006", "IP address"]),
        ("HTTP_ADDRESS=0.0.0.0 127.0.0.1", ["SLIP-006", "127.0.0.1 twice"]),
        ("HTTP_ADDRESS=::1 127.0.0.1 ::", ["SLIP-006", "::1 twice"]),
        ("LARGE_CLIENT_HEADER_BUFFERS=16k", ["SLIP-006", "4 16k"]),
        ("LARGE_CLIENT_HEADER_BUFFERS=1 16k", ["SLIP-006", "2 to 16"]),
        ("LARGE_CLIENT_HEADER_BUFFERS=4 65k", ["SLIP-006", "4k to 64k"]),
        ("LARGE_CLIENT_HEADER_BUFFERS=4 1m", ["SLIP-006", "4k to 64k"]),
        ("MAINTENANCE_ALLOW=10.0.0.0/8;192.0.2.7/32", ["SLIP-006", "CIDR", "192.0.2.7/32 10.0.0.0/8"]),
        ("PROJECT_ROOT=nowhere", ["SLIP-007", "PROJECT_ROOT", "nowhere"]),
        ("MANAGE_DIR=sub", ["SLIP-007", "MANAGE_DIR"]),
        ("PROXY_TIMEOUT=35s", ["SLIP-012", "STOP_GRACE_PERIOD", "PROXY_TIMEOUT"]),
        ("PROJECT_NAME=My Shop", ["SLIP-006", "PROJECT_NAME"]),
        ("SECRETS_DIR=example", ["SLIP-179", "SECRETS_DIR (.env:2)", "is the project's folder", "=secrets"]),
        ("BACKUP_DIR=./example/", ["SLIP-179", "BACKUP_DIR (.env:2)", "is the project's folder", "=backups"]),
        ("SECRETS_DIR=.", ["SLIP-179", "SECRETS_DIR", "is the kit's folder"]),
        ("BACKUP_DIR=/", ["SLIP-179", "BACKUP_DIR", "holds the project's folder"]),
        ("SECRETS_DIR=backups", ["SLIP-179", "SECRETS_DIR", "is the folder of BACKUP_DIR"]),
        ("BACKUP_DIR=secrets/backup", ["SLIP-179", "SECRETS_DIR (default)", "holds the folder of BACK"]),
        ("SECRETS_DIR=.env", ["SLIP-006", "SECRETS_DIR (.env:2)", ".env is no folder"]),
        ("BACKUP_DIR=.env/sub", ["SLIP-006", "BACKUP_DIR (.env:2)", ".env is no folder"]),
        ("COMPOSE_OVERLAYS=example/manage.py", ["SLIP-006", "COMPOSE_OVERLAYS", "no compose file", ".yaml"]),
        (f"APP_ENV={'x' * 300}", ["SLIP-006", "APP_ENV", "255 bytes"]),
        (f"PROJECT_ROOT={'é/' * 2500}", ["SLIP-006", "PROJECT_ROOT", "1024 bytes"]),
        (f"MANAGE_DIR={'x' * 300}", ["SLIP-006", "MANAGE_DIR", "255 bytes"]),
    ],
)
def test_a_wrong_value_names_variable_line_problem_and_example(
    checkout: Path, line: str, parts: list[str]
) -> None:
    """Red when the variable's check is replaced by ``str``."""
    (checkout / ".env").write_text(f"# mine\n{line}\n")
    with pytest.raises(SlipwayError) as caught:
        load(checkout, environ={})
    for part in parts:
        assert part in str(caught.value)
    assert caught.value.code == 1


@pytest.mark.parametrize("name", ["SECRETS_DIR", "BACKUP_DIR"])
def test_a_folder_of_secrets_or_backups_with_manage_py_is_refused(checkout: Path, name: str) -> None:
    """Red when the code is mounted as secrets, or no rule keeps what is kept there out of the image."""
    (checkout / "example" / "app").mkdir()
    (checkout / "example" / "manage.py").rename(checkout / "example" / "app" / "manage.py")
    (checkout / ".env").write_text(f"MANAGE_DIR=app\n{name}=example/app\n")
    with pytest.raises(SlipwayError, match=rf"SLIP-179: {name} \(\.env:2\).* is the folder of manage\.py"):
        load(checkout, environ={})
    (checkout / ".env").write_text(f"MANAGE_DIR=app\n{name}=example/kept\n")
    load(checkout, environ={})


def test_a_folder_without_manage_py_is_named(checkout: Path) -> None:
    """Red when the check for manage.py is removed."""
    (checkout / "example" / "manage.py").unlink()
    with pytest.raises(SlipwayError, match=r"SLIP-008.*manage\.py"):
        load(checkout, environ={})


def test_an_unknown_variable_is_a_warning_with_the_nearest_name(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when unknown names are silently ignored, or refused."""
    (checkout / ".env").write_text("WEB_PROT=9000\nSTRIPE_ID=x\n")
    assert load(checkout, environ={}).web_port == 8000
    warned = capsys.readouterr().err
    assert ".env:1: WEB_PROT" in warned and "did you mean WEB_PORT?" in warned
    assert ".env:2: STRIPE_ID" in warned and "app.env" in warned


def test_a_missing_env_file_is_an_error_unless_defaults_will_do(checkout: Path) -> None:
    """Red when ``required`` is ignored."""
    (checkout / ".env").unlink()
    with pytest.raises(SlipwayError, match=r"SLIP-001(.|\n)*invoke init"):
        load(checkout, environ={})
    assert load(checkout, required=False, environ={}).http_port == 8080


def test_slipway_env_is_used_where_the_project_tracks_its_own_dotenv(checkout: Path) -> None:
    """Red when ``settings_file`` looks at .env only."""
    (checkout / ".env").write_text("DEBUG=1\nWEB_PORT=1\n")
    (checkout / "slipway.env").write_text("WEB_PORT=9000\n")
    found = load(checkout, environ={})
    assert (found.web_port, found.env_file) == (9000, "slipway.env")


def test_the_name_comes_from_the_folder(checkout: Path) -> None:
    """Red when the fallback is a constant."""
    assert load(checkout, environ={}).project(prod=True) == "shop-prod"
    renamed = checkout.rename(checkout.with_name("Shop"))
    assert load(renamed, environ={}).project(prod=False) == "shop-dev"


def test_folders_whose_names_become_the_same_have_names_of_their_own(checkout: Path) -> None:
    """Red when characters are replaced and nothing tells the results apart."""
    odd = ["a$b", "a,b", "a#b", "a b", "日本", "日本語", "-ab", "ab-", "x" * 41, "x" * 42]
    names = []
    for name in ["a-b", "ab", "slipway", *odd]:
        checkout = checkout.rename(checkout.with_name(name))
        names.append(load(checkout, environ={}).name)
    assert len(set(names)) == len(names), names
    assert names[:3] == ["a-b", "ab", "slipway"]
    assert all(re.fullmatch(r"a-b-[0-9a-f]{6}", name) for name in names[3:7]), names


def test_an_installation_keeps_the_name_it_has(checkout: Path) -> None:
    """Red when the stacks of a folder change their name by an upgrade of the kit, or by a move."""
    checkout = checkout.rename(checkout.with_name("My Shop"))
    record_machine(checkout, {"KIT_ROOT": str(checkout)})
    assert load(checkout, environ={}).name == "my-shop"
    record_machine(checkout, {"PROJECT_NAME": "my-shop"})
    moved = checkout.rename(checkout.with_name("store"))
    found = load(moved, environ={})
    assert found.name == "my-shop" and not found.is_set_by_hand("PROJECT_NAME")


def test_record_machine_merges_and_leaves_an_unchanged_file_alone(checkout: Path) -> None:
    """Red when the file is rewritten each time: its inode would change."""
    record_machine(checkout, {"HOST_UID": "1001"})
    record_machine(checkout, {"PYTHON_IMAGE": "slipway/python:3.13-slim-trixie"})
    path = checkout / ".slipway" / "machine.env"
    before = path.stat().st_ino
    record_machine(checkout, {"HOST_UID": "1001"})
    assert path.stat().st_ino == before
    found = load(checkout, environ={})
    assert (found.host_uid, found.python_image) == (1001, "slipway/python:3.13-slim-trixie")


def test_an_image_is_asked_for_only_where_it_is_used(settings: Settings) -> None:
    """Red when a project without Redis waits for its image, or one with Redis starts without."""
    assert "REDIS_IMAGE" not in settings.images()
    assert replace(settings, redis="on").images()["REDIS_IMAGE"] == "valkey/valkey:8.1-trixie"


def test_docker_is_no_package_so_the_sdk_is_not_shadowed() -> None:
    """Red when docker/__init__.py appears."""
    import docker

    assert not (ROOT / "docker" / "__init__.py").exists()
    assert hasattr(docker, "from_env")


def test_the_python_image_follows_the_version(checkout: Path) -> None:
    """Red when a stand-in recorded for another version wins, or PYTHON_IMAGE set by hand does not."""
    assert load(checkout, environ={"PYTHON_VERSION": "3.11"}).python_image == "python:3.11-slim-trixie"
    record_machine(checkout, {"PYTHON_IMAGE": "slipway/python:3.13-slim-trixie"})
    assert load(checkout, environ={}).python_image == "slipway/python:3.13-slim-trixie"
    (checkout / ".env").write_text("PYTHON_VERSION=3.14\n")
    assert load(checkout, environ={}).python_image == "python:3.14-slim-trixie"
    own = {"PYTHON_IMAGE": "acme/python:3.12"}
    assert load(checkout, environ=own).python_image == "acme/python:3.12"
    # What the official Python image says of itself to everything that runs in it, these tasks included.
    assert load(checkout, environ={"PYTHON_VERSION": "3.12.7"}).python_version == "3.14"


def test_compose_is_told_of_the_python_image(checkout: Path) -> None:
    """Red when Compose builds on the default, or on what was recorded for another version."""
    record_machine(checkout, {"PYTHON_IMAGE": "slipway/python:3.13-slim-trixie"})
    init.record(load(checkout, environ={"PYTHON_VERSION": "3.11"}))
    assert recorded(checkout)["PYTHON_IMAGE"] == "python:3.11-slim-trixie"
    init.record(load(checkout, environ={}))
    assert "PYTHON_IMAGE" not in recorded(checkout)


@pytest.mark.parametrize(
    ("lines", "gunicorn", "proxy", "grace"),
    [
        ("", 30, "30s", "35s"),
        ("WEB_TIMEOUT=60s", 60, "60s", "65s"),
        ("WEB_TIMEOUT=5s", 5, "5s", "10s"),
        ("PROXY_TIMEOUT=20s", 30, "20s", "35s"),
        ("STOP_GRACE_PERIOD=50s", 30, "30s", "50s"),
        ("WEB_TIMEOUT=60s PROXY_TIMEOUT=20s", 60, "20s", "65s"),
        ("WEB_TIMEOUT=60s STOP_GRACE_PERIOD=90s", 60, "60s", "90s"),
        ("PROXY_TIMEOUT=40s STOP_GRACE_PERIOD=50s", 30, "40s", "50s"),
        ("WEB_TIMEOUT=60s PROXY_TIMEOUT=70s STOP_GRACE_PERIOD=90s", 60, "70s", "90s"),
        ("WEB_TIMEOUT=60s PROXY_TIMEOUT= STOP_GRACE_PERIOD=", 60, "60s", "65s"),
    ],
)
def test_every_time_of_a_request_follows_from_one(
    checkout: Path, configured: Any, lines: str, gunicorn: int, proxy: str, grace: str
) -> None:
    """Red when a time stays behind WEB_TIMEOUT, or one that a person has set is overruled."""
    (checkout / ".env").write_text(lines.replace(" ", "\n") + "\n")
    in_file = load(checkout, environ={})
    (checkout / ".env").write_text("")
    record_machine(checkout, {"PROXY_TIMEOUT": "300s", "STOP_GRACE_PERIOD": "305s"})
    in_environment = load(checkout, environ=dict(line.split("=") for line in lines.split()))
    for found in (in_file, in_environment):
        server = configured(WEB_TIMEOUT=found.web_timeout)
        assert (server["timeout"], server["graceful_timeout"]) == (gunicorn, gunicorn)
        assert (found.proxy_timeout, found.stop_grace_period) == (proxy, grace)


@pytest.mark.parametrize(
    ("lines", "problem", "fix", "absent"),
    [
        (
            "WEB_TIMEOUT=60s STOP_GRACE_PERIOD=40s",
            "STOP_GRACE_PERIOD (40s, .env:2) is not longer than WEB_TIMEOUT (60s, .env:1)",
            "take STOP_GRACE_PERIOD out, it is 65s then; or raise it above 60s",
            "PROXY_TIMEOUT",
        ),
        (
            "STOP_GRACE_PERIOD=30s",
            "STOP_GRACE_PERIOD (30s, .env:1) is not longer than WEB_TIMEOUT (30s, default)",
            "take STOP_GRACE_PERIOD out, it is 35s then; or raise it above 30s",
            "PROXY_TIMEOUT",
        ),
        (
            "STOP_GRACE_PERIOD=25s PROXY_TIMEOUT=20s",
            "STOP_GRACE_PERIOD (25s, .env:1) is not longer than WEB_TIMEOUT (30s, default)",
            "raise it above 30s",
            "PROXY_TIMEOUT",
        ),
        (
            "STOP_GRACE_PERIOD=50s PROXY_TIMEOUT=50s",
            "STOP_GRACE_PERIOD (50s, .env:1) is not longer than PROXY_TIMEOUT (50s, .env:2)",
            "raise STOP_GRACE_PERIOD above PROXY_TIMEOUT; or take both out",
            "WEB_TIMEOUT (",
        ),
        (
            "STOP_GRACE_PERIOD=30s PROXY_TIMEOUT=30s",
            "STOP_GRACE_PERIOD (30s, .env:1) is not longer than PROXY_TIMEOUT (30s, .env:2)",
            "raise STOP_GRACE_PERIOD above PROXY_TIMEOUT; or take both out",
            "WEB_TIMEOUT (",
        ),
        (
            "PROXY_TIMEOUT=35s",
            "STOP_GRACE_PERIOD (35s, default) is not longer than PROXY_TIMEOUT (35s, .env:1)",
            "set WEB_TIMEOUT=35s in place of PROXY_TIMEOUT, or STOP_GRACE_PERIOD to more",
            "",
        ),
        (
            "WEB_TIMEOUT=60s PROXY_TIMEOUT=70s",
            "STOP_GRACE_PERIOD (65s, by WEB_TIMEOUT) is not longer than PROXY_TIMEOUT (70s, .env:2)",
            "set WEB_TIMEOUT=70s in place of PROXY_TIMEOUT, or STOP_GRACE_PERIOD to more",
            "",
        ),
    ],
)
def test_a_short_grace_period_is_told_by_the_variables_that_a_person_has_set(
    checkout: Path, lines: str, problem: str, fix: str, absent: str
) -> None:
    """Red when the message names a variable that is not in .env, or a fix that does not help."""
    (checkout / ".env").write_text(lines.replace(" ", "\n") + "\n")
    with pytest.raises(SlipwayError) as caught:
        load(checkout, environ={})
    assert caught.value.slip_code == "SLIP-012"
    assert problem in caught.value.problem and fix in caught.value.fix
    assert not absent or absent not in str(caught.value)


def test_addresses_and_networks_are_lists_with_ipv6(checkout: Path) -> None:
    """Red when one of them is a single value, or IPv4 alone."""
    (checkout / ".env").write_text(
        "HTTP_ADDRESS=0.0.0.0 ::\nTRUSTED_PROXY=10.0.0.0/8 172.16.0.0/12 2001:db8::/32 192.0.2.9\n"
        "MAINTENANCE_ALLOW=2001:db8::7 198.51.100.0/24\n"
    )
    found = load(checkout, environ={})
    assert found.http_addresses == ("0.0.0.0", "::")
    assert found.trusted_proxies == ("10.0.0.0/8", "172.16.0.0/12", "2001:db8::/32", "192.0.2.9/32")
    assert found.maintenance_allow == ("2001:db8::7/128", "198.51.100.0/24")


@pytest.mark.parametrize(
    ("networks", "whole"),
    [
        (["10.0.0.0/8"], None),
        (["0.0.0.0/0"], "0.0.0.0/0"),
        (["10.0.0.0/8", "::/0"], "::/0"),
        (["128.0.0.0/1", "2001:db8::/32", "0.0.0.0/1"], "0.0.0.0/0"),
        (["::/1"], None),
    ],
)
def test_everything_is_found_however_it_is_written(networks: list[str], whole: str | None) -> None:
    """Red when only 0.0.0.0/0 as a word is looked for."""
    assert values.everything(networks) == whole
