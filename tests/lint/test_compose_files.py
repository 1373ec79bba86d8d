"""Compose reads every combination of its files, and keeps the promises that can be read off them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.config import extraprocesses
from slipway.config.settings import Settings, load
from slipway.core import values
from slipway.orchestrators import init
from slipway.orchestrators.compose import Stack
from tests.support.world import copy_checkout

_KEPT = {"backup_schedule": "30 3 * * *", "backup_s3_bucket": "bucket"}
_BESIDE: dict[str, Any] = {
    "extra_databases": ("reports",),
    "redis": "on",
    "celery_app": "config",
    "celery_beat": "on",
    "named_processes": {"mailer": ("python", "manage.py", "send", "a $b 'c'")},
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a copy of the checkout that has been through ``invoke init``."""
    root = tmp_path_factory.mktemp("compose") / "kit"
    copy_checkout(root)
    init.create_missing(root)
    found = load(root, environ={})
    init.record(found)
    return found


def _config(settings: Settings, *, prod: bool, profiles: bool = False) -> dict[str, Any]:
    init.record(settings)
    argv = Stack(settings, prod, cwd=settings.root).config(as_json=True)
    # Services under a profile are not in a configuration that does not ask for it.
    argv[2:2] = ["--profile", "*"] if profiles else []
    done = subprocess.run(argv, cwd=settings.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "Compose warns about something"
    merged: dict[str, Any] = json.loads(done.stdout)
    return merged


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"database": "none"},
        {"db_port": 5432},
        {"web_egress": "off"},
        _KEPT,
        {"database": "none", **_KEPT},
        _BESIDE,
        {"database": "none", **_BESIDE, "celery_beat": "off", "extra_databases": ()},
        {"redis": "on"},
    ],
    ids=[
        *["default", "no-db", "db-port", "no-egress", "backups", "backups-no-db"],
        *["beside", "beside-no-db", "redis"],
    ],
)
def test_compose_reads_every_combination(
    settings: Settings, prod: bool, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a file does not parse, or uses a variable nobody sets."""
    monkeypatch.setenv("DB_PORT", str(changes.get("db_port", "")))
    merged = _config(replace(settings, **changes), prod=prod)
    assert ("db" in merged["services"]) == (changes.get("database") != "none")


_TLS = [{"tls": mode} for mode in ("off", "local", "files", "acme")]


@pytest.mark.parametrize("changes", _TLS, ids=lambda changes: str(changes["tls"]))
def test_tls_adds_a_port_to_nginx_and_nothing_else(
    settings: Settings, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when local and files need different containers of nginx, or others get the certificate."""
    (settings.root / "root.pem").touch()
    monkeypatch.setenv("ACME_CA_FILE", "root.pem")
    chosen = replace(settings, acme_ca_file="root.pem", **changes)
    services = _config(chosen, prod=True)["services"]
    assert set(services) == set(Stack(chosen, prod=True).services())
    ports = [port["target"] for port in services["nginx"]["ports"]]
    assert ports == ([8080] if chosen.tls == "off" else [8080, 8443])
    certificates = {
        (name, bool(volume.get("read_only")))
        for name, service in services.items()
        for volume in service.get("volumes", [])
        if volume["source"] == "certificates"
    }
    expected = {("nginx", True), ("nginx-configuration", False)} if chosen.tls != "off" else set()
    assert certificates == expected | ({("acme", False)} if chosen.tls == "acme" else set())
    if chosen.tls in {"local", "files"}:
        other = replace(chosen, tls="files" if chosen.tls == "local" else "local")
        assert _config(other, prod=True)["services"]["nginx"] == services["nginx"]


@pytest.mark.parametrize("value", ["127.0.0.1", "::", "::1", "0.0.0.0 ::", "127.0.0.1 ::1 192.0.2.1"])
@pytest.mark.parametrize("tls", ["off", "local"])
def test_nginx_is_published_on_the_addresses_alone(
    settings: Settings, value: str, tls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red with the short form, which takes ::1 apart at its colons, or when the list replaces nothing."""
    monkeypatch.setenv("HTTP_ADDRESS", value)
    chosen = replace(settings, http_addresses=values.addresses(value), tls=tls)
    ports = _config(chosen, prod=True)["services"]["nginx"]["ports"]
    targets = (8080, 8443) if tls == "local" else (8080,)
    expected = sorted((address, target) for address in value.split() for target in targets)
    assert sorted((port["host_ip"], port["target"]) for port in ports) == expected
    assert {port["published"] for port in ports} == set(map(str, targets))


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
@pytest.mark.parametrize("changes", [{}, _BESIDE], ids=["default", "beside"])
def test_services_are_those_the_tasks_know(settings: Settings, prod: bool, changes: dict[str, Any]) -> None:
    """Red when Stack.services and the compose files part ways."""
    chosen = replace(settings, **changes)
    assert set(_config(chosen, prod=prod)["services"]) == set(Stack(chosen, prod).services())


def test_the_names_of_services_are_taken(settings: Settings) -> None:
    """Red when a service is added whose name a PROCESS_NAME line could take over."""
    chosen = replace(settings, redis="on", extra_databases=("reports",), tls="acme")
    assert set(_config(chosen, prod=True, profiles=True)["services"]) == extraprocesses.TAKEN


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
def test_a_process_beside_web_is_given_what_web_has(settings: Settings, prod: bool) -> None:
    """Red when one has another image, other variables, secrets, networks or files, or does not wait.

    And when Compose takes a dollar of its command for a variable.
    """
    chosen = replace(settings, **_BESIDE, data_paths=("db.sqlite3",), settings_overlay=("DEBUG",))
    services = _config(chosen, prod=prod)["services"]
    web = services["web"]
    assert ("SLIPWAY_OVERLAY" in web["environment"]) and all(
        services[name]["environment"]["SLIPWAY_OVERLAY"] == web["environment"]["SLIPWAY_OVERLAY"]
        for name in ("worker", "beat", "mailer")
    )
    assert services["mailer"]["command"] == ["python", "manage.py", "send", "a $$b 'c'"]
    for name in ("worker", "beat", "mailer"):
        service = services[name]
        assert service["image"] == web["image"] and service["pull_policy"] == "never", name
        assert "build" not in service and not service.get("ports"), name
        assert set(service["networks"]) == {"edge", "data"}, name
        assert not (service["networks"]["edge"] or {}).get("aliases"), f"{name}: nginx would send it requests"
        assert service["secrets"] == web["secrets"], name
        assert service.get("env_file") == web.get("env_file"), name
        assert service.get("user") == web.get("user"), name
        volumes = [volume for volume in service["volumes"] if volume["target"] != "/srv/beat"]
        assert volumes == web["volumes"], name
        assert ("/srv/beat" in {volume["target"] for volume in service["volumes"]}) == (name == "beat")
        conditions = {of: how["condition"] for of, how in service["depends_on"].items()}
        assert conditions == {
            "migrate": "service_completed_successfully",
            "db": "service_healthy",
            "redis": "service_healthy",
        }, name
        assert service["stop_grace_period"] == "35s", name
        assert service["restart"] == ("always" if prod else "on-failure"), name


def test_the_time_of_a_request_reaches_every_container(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when one keeps its own time: a request is cut by it, or waits for an answer that cannot come."""
    monkeypatch.setenv("WEB_TIMEOUT", "60s")
    chosen = replace(load(settings.root), named_processes={"mailer": ("true",)})
    services = _config(chosen, prod=True)["services"]
    assert services["web"]["environment"]["WEB_TIMEOUT"] == "60s"
    assert services["nginx-configuration"]["environment"]["NGINX_PROXY_TIMEOUT"] == "60s"
    assert {services[name]["stop_grace_period"] for name in ("web", "nginx", "mailer")} == {"1m5s"}


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
def test_one_shots_see_the_files_that_web_sees(settings: Settings, prod: bool) -> None:
    """Red when a volume is given to web alone: a migration that opens an upload then finds none."""
    chosen = replace(settings, data_paths=("db.sqlite3",))
    stack = Stack(chosen, prod)
    services = _config(chosen, prod=prod)["services"]

    def seen(service: str) -> dict[str, str]:
        return {volume["target"]: volume["source"] for volume in services[service]["volumes"]}

    assert {chosen.media_root, "/srv/data", "/srv/static"} <= set(seen("web")) or not prod
    for service in stack.one_shots():
        assert seen(service) == seen("web"), service
    writable = [v["target"] for v in services["migrate"]["volumes"] if not v.get("read_only")]
    assert writable == [v["target"] for v in services["web"]["volumes"] if not v.get("read_only")]


def test_redis_is_reached_by_the_project_alone(settings: Settings) -> None:
    """Red when its port is published, or it is put on a network with a route."""
    for prod in (False, True):
        redis = _config(replace(settings, redis="on"), prod=prod)["services"]["redis"]
        assert set(redis["networks"]) == {"data"} and not redis.get("ports")
        assert redis["user"] == "999:999"
        assert [(v["source"], v["target"]) for v in redis["volumes"]] == [("redis", "/data")]


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
def test_every_one_shot_is_waited_for(settings: Settings, prod: bool) -> None:
    """A one-shot nobody depends on makes a waiting `up` fail with "exited (0)"; red when one appears."""
    services = _config(replace(settings, **_BESIDE), prod=prod)["services"]
    one_shots = {name for name, service in services.items() if service.get("restart") == "no"}
    adopted = {
        name
        for service in services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    wanted = {"databases", "migrate"} | ({"static", "nginx-configuration"} if prod else set())
    assert one_shots == adopted == wanted


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
def test_every_service_that_stays_has_a_health_check_and_log_limits(settings: Settings, prod: bool) -> None:
    """Red when a new service is added without them."""
    for name, service in _config(replace(settings, tls="acme", **_BESIDE), prod=prod)["services"].items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["init"] is True, name
        if service.get("restart") != "no":
            assert service["healthcheck"]["test"], name


def test_what_hangs_is_ended_in_production_alone(settings: Settings) -> None:
    """Red when development has it too (a server at a breakpoint is silent), or what is ended stays down."""

    def ending(prod: bool) -> dict[str, str]:
        services = _config(settings, prod=prod)["services"]
        tests = {name: " ".join(s.get("healthcheck", {}).get("test", [])) for name, s in services.items()}
        return {
            name: services[name].get("restart", "no")
            for name, test in tests.items()
            if "--end-if-silent" in test or test.endswith("/bin/probe")
        }

    assert ending(False) == {}
    assert ending(True) == {"web": "always", "nginx": "always"}


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
def test_every_file_of_the_secrets_folder_reaches_the_project(settings: Settings, prod: bool) -> None:
    """Red when only the generated ones are mounted, or nginx gets any."""
    own = settings.path(settings.secrets_dir) / "mail_password"
    own.write_text("a-secret-of-the-project")
    try:
        init.record(settings)
        services = _config(settings, prod=prod)["services"]
    finally:
        own.unlink()
        init.record(settings)
    mounted = {name: {s["source"] for s in service.get("secrets", [])} for name, service in services.items()}
    everything = {"mail_password", "postgres_password", "secret_key"}
    for name in Stack(settings, prod).project_services():
        assert mounted[name] == everything, name
    assert mounted["db"] == {"postgres_password"}
    assert mounted.get("nginx", set()) == mounted.get("nginx-configuration", set()) == set()


@pytest.mark.parametrize(
    ("changes", "networks"),
    [
        ({"backup_schedule": "* * * * *"}, {"data"}),
        (_KEPT, {"data", "store"}),
        ({**_KEPT, "database": "none"}, {"store"}),
        ({"backup_schedule": "* * * * *", "database": "none"}, set()),
    ],
)
def test_scheduled_backups_stay_and_have_a_way_out_only_to_a_store(
    settings: Settings, changes: dict[str, Any], networks: set[str]
) -> None:
    """Red when the schedule starts nothing, is less confined than the one-off, or may reach the internet."""
    found = _config(replace(settings, **changes), prod=True)["services"]["backup"]
    assert set(found.get("networks", {})) == networks
    assert found.get("network_mode", "") == ("" if networks else "none")
    assert (found["read_only"], found["cap_drop"], found["restart"]) == (True, ["ALL"], "always")
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["healthcheck"]["test"]
    assert "profiles" not in found


def test_only_a_managed_database_gives_the_data_network_a_route(settings: Settings) -> None:
    """Red when `migrate` cannot reach a managed database, or `db` has a way out."""
    with_db = _config(settings, prod=True)["networks"]["data"]
    without = _config(replace(settings, database="none"), prod=True)["networks"]["data"]
    assert with_db["internal"] is True
    assert not without.get("internal")


def test_production_is_hardened_throughout(settings: Settings) -> None:
    """With every service that a setting adds. Red when one forgets one of them."""
    chosen = replace(settings, tls="acme", **_KEPT, **_BESIDE)
    for name, service in _config(chosen, prod=True)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"memory", "pids"}, name
        assert service["cpu_shares"], name
        assert service["memswap_limit"] == limits["memory"], f"{name}: swap counts too"
        assert all("size=" in options for options in service.get("tmpfs", ())), name
        assert service.get("restart") in {"always", "no"}, name
        assert bool(service.get("ports")) == (name == "nginx"), name


def test_temporary_files_of_the_project_wait_on_a_disk(settings: Settings) -> None:
    """One-shots write large ones too. Red when a service that has a list of volumes of its own forgets it."""
    chosen = replace(settings, **_BESIDE)
    services = _config(chosen, prod=True)["services"]
    for name in Stack(chosen, prod=True).project_services():
        mounts = {volume["target"]: volume for volume in services[name].get("volumes", [])}
        assert mounts["/srv/temporary"]["source"] == "temporary", name
        assert not mounts["/srv/temporary"].get("read_only"), name


def test_who_is_waited_for_goes_first(settings: Settings) -> None:
    """When the processors are busy. Red when a service that a setting adds has no weight, or web has the
    database's.
    """
    chosen = replace(settings, tls="acme", **_KEPT, **_BESIDE)
    services = _config(chosen, prod=True)["services"]
    first = {name for name, service in services.items() if service["cpu_shares"] > 1024}
    assert first == {"db", "nginx", "redis"}
    assert {name for name, service in services.items() if service["cpu_shares"] == 1024} == {"web"}


def test_the_processors_are_limited_where_a_setting_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a service of one's own is forgotten, or 0 is passed on as a limit of nothing."""
    names = ("WEB", "DB", "NGINX", "REDIS", "PROCESS", "BACKUP")
    chosen = replace(settings, **_KEPT, **_BESIDE)

    def limited() -> set[str]:
        services = _config(chosen, prod=True)["services"]
        limits = {name: service["deploy"]["resources"]["limits"] for name, service in services.items()}
        return {name for name, limit in limits.items() if limit.get("cpus")}

    assert limited() == set()
    services = _config(chosen, prod=True)["services"].keys()
    for name in names:
        monkeypatch.setenv(f"{name}_CPUS", "1.5")
    # That one takes a second.
    assert limited() == services - {"databases"}


@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
@pytest.mark.parametrize("database", ["postgres", "none"])
def test_the_containers_of_backups_may_do_no_more_than_they_must(
    settings: Settings, prod: bool, database: str
) -> None:
    """Red when `up` starts one, one has a route out or a right too many, or a secret of another's."""
    chosen = replace(settings, database=database)
    by_default = _config(chosen, prod=prod)["services"].keys()
    services = _config(chosen, prod=prod, profiles=True)["services"]
    own = {"backup", "restore-media", "verify"}
    assert own <= services.keys() and not own & by_default
    for name in own:
        service = services[name]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"memory", "pids"}, name
        assert service["cpu_shares"], name
        assert service["memswap_limit"] == limits["memory"], f"{name}: swap counts too"
        assert all("size=" in options for options in service.get("tmpfs", ())), name
        assert service["user"].split(":")[0] != "0" or (not prod and name == "restore-media"), name
        reaches_the_database = name == "backup" and database == "postgres"
        assert service.get("network_mode") == (None if reaches_the_database else "none"), name
        assert list(service.get("networks") or []) == (["data"] if reaches_the_database else []), name
        secrets = [secret["source"] for secret in service.get("secrets") or []]
        assert secrets == (["postgres_password"] if reaches_the_database else []), name
        writable = {v["target"] for v in service["volumes"] if not v.get("read_only")}
        media = "/app/media" if prod else "/app"
        assert writable == {"backup": {"/backups"}, "restore-media": {media}, "verify": {"/scratch"}}[name]


def test_compose_and_the_tasks_read_the_same_from_an_env_file(settings: Settings, tmp_path: Path) -> None:
    """Red when ``envfile`` accepts a form on which the two parsers differ.

    Every accepted form goes through Compose's own parser and must come out the same.
    """
    from slipway.core import envfile
    from slipway.core.errors import SlipwayError

    forms = [
        "x", "x ", " x", "'x '", '"x "', "x # c", "x#c", "'x' # c", "a'b", 'a"b', "a\\b", "'a\\b'", "'a\\'b'",
        '"a\\nb"', "a$b", "a$$b", "'a$b'", '"a$b"', "${HOME}", "", " # c", "#c", "'a#b'", "{{secret:x}}",
        "[a]", "a b", "'a\"b'", "\"a'b\"", "x'", "''", "é", "'two\nlines'", "a=b", "'x'y", "'open",
    ]  # fmt: skip
    accepted = 0
    for number, form in enumerate(forms):
        path = tmp_path / f"{number}.env"
        path.write_text(f"VALUE={form}\n")
        try:
            ours = envfile.read(path)["VALUE"].value
        except SlipwayError:
            continue
        accepted += 1
        compose = tmp_path / "compose.yaml"
        compose.write_text(f"services: {{a: {{image: a, env_file: {number}.env}}}}\n")
        done = subprocess.run(
            ["docker", "compose", "-f", str(compose), "config", "--format", "json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        theirs = json.loads(done.stdout)["services"]["a"]["environment"]["VALUE"]
        assert theirs.replace("$$", "$") == ours, form
    assert accepted >= 25


@pytest.mark.parametrize("folder", ["it's", "a b", "a$b", 'a"b', "a#b, c", "it's #1"])
@pytest.mark.parametrize("prod", [False, True], ids=["dev", "prod"])
def test_the_kit_may_lie_in_any_folder(settings: Settings, tmp_path: Path, folder: str, prod: bool) -> None:
    """Red when a generated file cannot be read, by the tasks or by Compose, because of the folder's name."""
    root = tmp_path / folder
    shutil.copytree(settings.root, root, symlinks=True)
    moved = load(root, environ={})
    merged = _config(moved, prod=prod)
    # Again, from what has been written.
    assert load(root, environ={}).name
    # What Compose prints can be read by it again: a dollar is doubled.
    docker = merged["services"]["web"]["build"]["additional_contexts"]["docker"].replace("$$", "$")
    secret = merged["secrets"]["secret_key"]["file"].replace("$$", "$")
    assert (docker, secret) == (str(root / "docker"), str(root / "secrets" / "secret_key"))
