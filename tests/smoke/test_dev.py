"""The development stack: edit on the host, run in containers, every task."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.smoke.conftest import PERSON
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker, free_port


@pytest.fixture
def site(dev: World) -> Iterator[Site]:
    """A visitor of the stack."""
    visitor = Site(dev.url)
    yield visitor
    visitor.client.close()


def test_the_page_answers(dev: World, site: Site) -> None:
    """Red when web does not start, or the port is not published where `url` says."""
    assert site.get("/").status_code == 200
    assert dev.invoke("url").stdout.strip() == f"{dev.url}/"
    assert json.loads(dev.invoke("url", "--json").stdout) == {"url": f"{dev.url}/"}


def test_the_database_is_migrated_postgresql(dev: World, site: Site) -> None:
    """Red without the migrate service, or when the project falls back to SQLite."""
    assert dev.container("migrate")["State"]["ExitCode"] == 0
    site.submit("/", {"text": "stored in PostgreSQL"})
    assert dev.sql("select count(*) from guestbook_entry where text = 'stored in PostgreSQL'") == "1"


def test_a_healthy_stack_leaves_the_doctor_nothing_to_find(dev: World) -> None:
    """Red when something is found in one, or left out: without an engine to ask, for example."""
    done = dev.invoke("doctor")
    assert (done.stdout, done.stderr) == ("no findings, no warnings\n", "")
    assert json.loads(dev.invoke("doctor", "--json").stdout) == {"findings": [], "not_looked_at": {}}


def test_a_host_edit_of_a_view_shows_up_without_a_rebuild(dev: World, site: Site) -> None:
    """Red without the bind mount, or with runserver's --noreload."""
    before = dev.container("web")["Id"]
    view = dev.root / "example" / "guestbook" / "views.py"
    source = view.read_text()
    edited = source + (
        "\n_index = index\n\n\n"
        "def index(request):\n"
        "    response = _index(request)\n"
        "    response['X-Edited'] = 'on the host'\n"
        "    return response\n"
    )
    view.write_text(edited)
    eventually(lambda: site.get("/").headers.get("X-Edited") == "on the host", "the edit to show")
    view.write_text(source)
    eventually(lambda: "X-Edited" not in site.get("/").headers, "the edit to be undone")
    assert dev.container("web")["Id"] == before


def test_a_file_made_in_the_container_belongs_to_the_person(dev: World) -> None:
    """Red without `user:` in compose/dev.yaml: the file would be root's."""
    dev.invoke("exec", "web", "--", "touch", "made-in-the-container")
    made = dev.root / "example" / "made-in-the-container"
    assert (made.stat().st_uid, made.stat().st_gid) == (PERSON, PERSON)
    made.unlink()


def test_invoke_test_runs_the_projects_tests_and_fails_with_them(dev: World) -> None:
    """Red when the exit code of the test command is swallowed."""
    passed = dev.invoke("test")
    assert re.search(r"Ran [1-9]\d* tests", passed.stdout + passed.stderr)
    broken = dev.root / "example" / "guestbook" / "tests" / "test_broken.py"
    broken.write_text("from unittest import TestCase\n\n\nclass T(TestCase):\n"
                      "    def test(self):\n        self.fail('on purpose')\n")  # fmt: skip
    try:
        failed = dev.invoke("test", "--", "guestbook.tests.test_broken", check=False)
    finally:
        broken.unlink()
    assert failed.returncode == 1
    assert "on purpose" in failed.stdout + failed.stderr


def test_only_loopback_publishes_and_the_database_does_not(dev: World) -> None:
    """Red when compose/dev.yaml publishes on all addresses, or db publishes without DB_PORT."""
    bindings = {c["Name"]: c["HostConfig"]["PortBindings"] for c in dev.containers()}
    assert bindings[f"/{dev.project}-db-1"] in ({}, None)
    web = bindings[f"/{dev.project}-web-1"]
    assert [b["HostIp"] for b in web["8000/tcp"]] == ["127.0.0.1"]


def test_a_second_up_leaves_running_containers_alone(dev: World) -> None:
    """Red when anything in the build or the configuration differs from one call to the next."""
    before = {c["Id"]: c["State"]["StartedAt"] for c in dev.containers() if c["State"]["Running"]}
    shown = dev.invoke("up")
    after = {c["Id"]: c["State"]["StartedAt"] for c in dev.containers() if c["State"]["Running"]}
    assert after == before
    assert dev.url in shown.stdout


def test_the_printed_command_does_the_same(dev: World) -> None:
    """Red when a task depends on anything that is not in the printed command."""
    import shlex
    import subprocess

    printed = next(
        line
        for line in dev.invoke("up").stderr.splitlines()
        if line.startswith("docker compose") and " up " in line
    )
    before = {c["Id"] for c in dev.containers() if c["State"]["Running"]}
    by_hand = subprocess.run(shlex.split(printed), cwd=dev.root, capture_output=True, check=True)
    assert by_hand.returncode == 0
    assert {c["Id"] for c in dev.containers() if c["State"]["Running"]} == before


# -- every task does what its help says --------------------------------------------------------------


def test_ps(dev: World) -> None:
    """Red when --all is ignored, or --json is not JSON."""
    services = {row["service"]: row for row in json.loads(dev.invoke("ps", "--json").stdout)}
    assert services["web"]["state"] == services["db"]["state"] == "healthy"
    assert "migrate" not in services
    everything = {row["service"]: row for row in json.loads(dev.invoke("ps", "--all", "--json").stdout)}
    assert everything["migrate"]["state"] == "done"
    assert "healthy" in dev.invoke("ps").stdout


def test_logs_selects_and_limits(dev: World, site: Site) -> None:
    """Red when --tail or the service selection is dropped."""
    site.get("/")
    everything = dev.invoke("logs").stdout
    assert "db-1" in everything and "web-1" in everything
    web = dev.invoke("logs", "--services=web", "--tail", "2").stdout.strip().splitlines()
    assert len(web) <= 2 and all("web-1" in line for line in web)
    assert "db-1" not in dev.invoke("logs", "--services", "web").stdout
    assert dev.invoke("logs", "--since", "2099-01-01T00:00:00Z").stdout.strip() == ""


def test_shell_reaches_bash_psql_and_django_through_a_pipe(dev: World) -> None:
    """Red when a terminal is demanded (no -T), or `db` opens the wrong shell."""
    assert "from-bash" in dev.invoke("shell", stdin="echo from-bash\n").stdout
    answer = dev.invoke("shell", "--service=db", stdin="select 6 * 7 as answer;\n").stdout
    assert "42" in answer
    script = "from django.conf import settings; print('debug is', settings.DEBUG)\n"
    assert "debug is True" in dev.invoke("shell", "--django", stdin=script).stdout


def test_manage_and_exec_pass_arguments_and_exit_codes(dev: World) -> None:
    """Red when words after -- are lost, or a failing command ends in 0."""
    assert "guestbook" in dev.invoke("manage", "showmigrations").stdout
    assert (
        "[X]  guestbook.0001_initial"
        in dev.invoke("manage", "showmigrations", "--", "--plan", "guestbook").stdout
    )
    assert dev.invoke("exec", "web", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    assert dev.invoke("manage", "nonsense", check=False).returncode != 0


def test_makemigrations_writes_into_the_project_and_migrate_applies_it(dev: World) -> None:
    """Red when the container cannot write the bind mount, or the file is root's."""
    models = dev.root / "example" / "guestbook" / "models.py"
    source = models.read_text()
    folder = dev.root / "example" / "guestbook" / "migrations"
    known = set(folder.glob("*.py"))
    models.write_text(source + "\n\nclass Marker(models.Model):\n    note = models.CharField(max_length=9)\n")
    try:
        dev.invoke("makemigrations", "--apps=guestbook")
        (written,) = set(folder.glob("*.py")) - known
        assert written.stat().st_uid == PERSON
        dev.invoke("migrate")
        assert dev.sql("select count(*) from guestbook_marker") == "0"
        dev.invoke("migrate", "--", "guestbook", "0001")
        tables = dev.sql(
            "select count(*) from information_schema.tables where table_name = 'guestbook_marker'"
        )
        assert tables == "0"
        written.unlink()
    finally:
        restored = datetime.now(UTC).isoformat()
        models.write_text(source)
    # Or the next test meets the restart that runserver makes when it sees this.
    # A terminal: what it says on stderr is here too.
    since = ["logs", "--since", restored, f"{dev.project}-web-1"]
    eventually(lambda: "Watching for file changes" in docker(*since), "runserver to restart")
    eventually(lambda: Site(dev.url).get("/").status_code == 200, "web to answer again")


def test_createsuperuser_and_sign_in(dev: World, site: Site) -> None:
    """Red when the password is not handed on; it must not be echoed either."""
    secret = "Corr3ct-horse"
    shown = dev.invoke(
        "createsuperuser", "--username", "ada", "--email", "ada@example.org",
        env={"DJANGO_SUPERUSER_PASSWORD": secret},
    )  # fmt: skip
    assert secret not in shown.stdout + shown.stderr
    assert site.sign_in("ada", "wrong").status_code == 200
    assert site.sign_in("ada", secret).status_code == 302


def test_collectstatic_writes_to_static_root(dev: World) -> None:
    """Red when the task collects nothing."""
    dev.invoke("collectstatic")
    collected = dev.root / "example" / "staticfiles"
    assert (collected / "admin" / "css" / "base.css").exists()
    assert collected.stat().st_uid == PERSON


def test_stats_inspect_config_images_volumes_networks(dev: World) -> None:
    """Red when a task prints something else than what the engine says."""
    stats = [json.loads(line) for line in dev.invoke("stats", "--json").stdout.splitlines()]
    assert f"{dev.project}-web-1" in {row["Name"] for row in stats}
    (inspected,) = json.loads(dev.invoke("inspect", "web").stdout)
    assert inspected["Id"] == dev.container("web")["Id"]
    config = json.loads(dev.invoke("config", "--json").stdout)
    assert set(config["services"]) == {"db", "migrate", "web"}
    images = {row["image"]: row for row in json.loads(dev.invoke("images", "--json").stdout)}
    assert images[f"{dev.project}-web"]["bytes"] > 50_000_000
    assert f"{dev.project}_db" in dev.invoke("volumes").stdout
    assert f"{dev.project}_data" in dev.invoke("networks").stdout


def test_machine_and_bases_print_json(dev: World) -> None:
    """Red when a fact is missing that a bug report needs."""
    facts = json.loads(dev.invoke("machine", "--json").stdout)
    assert {"engine", "compose", "buildx", "python", "os"} <= set(facts)
    rows = {row["variable"]: row for row in json.loads(dev.invoke("bases", "--json").stdout)}
    assert all(row["present"] for row in rows.values())
    assert set(rows) == {"PYTHON_IMAGE", "POSTGRES_IMAGE", "NGINX_IMAGE"}


def test_stop_start_restart(dev: World, site: Site) -> None:
    """Red when a task acts on other services than the named one."""
    database = dev.container("db")["State"]["StartedAt"]
    dev.invoke("stop", "--services", "web")
    assert dev.container("web")["State"]["Status"] == "exited"
    assert dev.invoke("manage", "check").returncode == 0, "a one-off container serves while web is down"
    dev.invoke("start", "--services", "web")
    eventually(lambda: site.get("/").status_code == 200, "web to answer after start")
    before = dev.container("web")["State"]["StartedAt"]
    dev.invoke("restart", "--services", "web")
    assert dev.container("web")["State"]["StartedAt"] != before
    assert dev.container("db")["State"]["StartedAt"] == database
    eventually(lambda: site.get("/").status_code == 200, "web to answer after restart")


def test_open_calls_the_browser_with_the_url(dev: World, tmp_path: Path) -> None:
    """Red when another URL is opened."""
    seen = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    dev.invoke("open", env={"BROWSER": str(browser)})
    eventually(
        lambda: seen.exists() and seen.read_text().strip() == f"{dev.url}/", "the browser to be called"
    )


def test_prune_asks_shows_and_spares_volumes_and_other_projects(dev: World) -> None:
    """Red when prune goes without consent, takes volumes untold, or the label filter is dropped."""
    other = docker("create", "--label", f"com.docker.compose.project={dev.name}-other", "--entrypoint",
                   "true", f"{dev.project}-web").strip()  # fmt: skip
    own = docker("create", "--label", f"com.docker.compose.project={dev.project}", "--entrypoint", "true",
                 "--name", f"{dev.project}-idle", f"{dev.project}-web").strip()  # fmt: skip
    try:
        refused = dev.invoke("prune", check=False)
        assert refused.returncode == 1 and "SLIP-069" in refused.stderr
        assert f"{dev.project}-idle" in refused.stdout
        assert docker("ps", "-aq", "--no-trunc", "--filter", f"id={own}").strip() == own
        dev.invoke("prune", "--yes")
        assert docker("ps", "-aq", "--filter", f"id={own}").strip() == ""
        assert docker("ps", "-aq", "--no-trunc", "--filter", f"id={other}").strip() == other
        assert f"{dev.project}_db" in docker("volume", "ls", "--quiet")
        assert dev.health("web") == "healthy"
    finally:
        docker("rm", "--force", other, own, check=False)


def test_db_port_publishes_the_database_on_loopback(dev: World) -> None:
    """Red when compose/db-port.yaml is not used, or publishes on all addresses."""
    import socket

    port = free_port()
    dev.write_env(DB_PORT=str(port))
    try:
        dev.invoke("up", "--no-build")
        (binding,) = dev.container("db")["HostConfig"]["PortBindings"]["5432/tcp"]
        assert binding == {"HostIp": "127.0.0.1", "HostPort": str(port)}
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    finally:
        dev.write_env(DB_PORT="")
        dev.invoke("up", "--no-build")


def test_down_keeps_data_and_down_volumes_leaves_nothing(dev: World, site: Site) -> None:
    """Red when `down` loses the volume, asks nobody, or leaves an image, network or volume behind."""
    dev.invoke("down")
    assert dev.left_behind()["containers"] == []
    assert len(dev.left_behind()["volumes"]) == 1
    dev.invoke("up", "--no-build")
    assert dev.sql("select count(*) from guestbook_entry where text = 'stored in PostgreSQL'") == "1"

    refused = dev.invoke("down", "--volumes", check=False)
    assert refused.returncode == 1 and "SLIP-069" in refused.stderr
    assert dev.health("web") == "healthy"

    dev.invoke("down", "--volumes", "--yes")
    assert dev.left_behind() == {"containers": [], "volumes": [], "networks": [], "images": []}
    assert (dev.root / "secrets" / "secret_key").exists()


def test_a_command_in_a_fresh_clone_builds_what_it_needs(dev: World) -> None:
    """And prints nothing of that. Red when `migrate`, which it waits for, has no image."""
    dev.invoke("down", "--volumes", "--yes")
    assert dev.invoke("exec", "web", "--", "echo", "said").stdout == "said\n"
    dev.invoke("down", "--volumes", "--yes")
    assert dev.left_behind() == {"containers": [], "volumes": [], "networks": [], "images": []}
