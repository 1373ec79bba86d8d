"""Releases that must not come up: the old one serves on, untouched, and the deploy says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from rolloutkit import assert_clean, assert_saw, edited, front, release, visitors, web

from tests.support.world import World

_MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("guestbook", "0001_initial")]
    operations = [
        migrations.RunSQL("create table half (id int)"),
        migrations.RunSQL("select no_such_column from half"),
    ]
"""
# What is changed, the step that must fail, and what the person must be told.
_FAILURES = {
    "does-not-build": (
        "example/config/settings.py", '"""', 'raise RuntimeError("broken settings")\n"""',
        "build", "broken settings",
    ),
    # Nothing but Django itself can tell this one.
    "debug-on": (
        "example/config/settings.py", 'DEBUG = env.flag("DEBUG")', 'DEBUG = __import__("time").time() > 1',
        "build", "SLIP-178: production would run with DEBUG = True",
    ),
    "bad-nginx-configuration": (
        "nginx/templates/site.d/broken.conf.template", "", "no_such_directive on;\n",
        "check nginx configuration", "no_such_directive",
    ),
    "failing-migration": (
        "example/guestbook/migrations/0099_fails.py", "", _MIGRATION, "migrate", "no_such_column",
    ),
    "never-ready": (
        "example/config/health.py", "check.result(timeout=DEADLINE)", "raise OSError('never')",
        "wait", "503",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(_FAILURES))
def test_a_bad_release_leaves_the_old_one_up(prod: World, name: str) -> None:
    """Red when health is not waited for, when a failed migration does not stop the deploy, when nginx's
    configuration is not tested before it is taken, or when what was started is left behind.
    """
    path, old, new, step, told = _FAILURES[name]
    before, containers = release(prod), {c["Id"] for c in web(prod)}
    # Longer than any good start here; the usual three minutes only take their time.
    impatient = {"WAIT_TIMEOUT": "40s"}
    with visitors(prod) as load, edited(prod, path, old, new):
        broken = prod.invoke("deploy", "--release", name, check=False, env=impatient)
    assert broken.returncode != 0
    assert f"SLIP-080: {name}: the step '{step}' failed" in broken.stderr
    assert told in broken.stderr + broken.stdout
    assert f"{before} serves" in broken.stderr
    assert_saw(load, before)
    assert_clean(prod, before)
    assert {c["Id"] for c in web(prod)} == containers, "the old replicas were touched"
    assert prod.sql("select count(*) from information_schema.tables where table_name = 'half'") == "0"


@pytest.mark.parametrize("task", ["up", "deploy"])
@pytest.mark.parametrize(
    ("file", "line", "code"),
    [
        (".env", "SERVER_NAMES=a.test,b.test", "SLIP-006"),
        (".env", "SERVER_NAMES=https://localhost", "SLIP-006"),
        (".env", "LOGIN_PATHS=^/(login", "SLIP-006"),
        (".env", "COMPOSE_OVERLAYS=nowhere.yaml", "SLIP-006"),
        (".env", "WEB_CPUS=4096", "SLIP-179"),
        ("app.prod.env", "DEBUG=1", "SLIP-178"),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_before_anything_is_touched(
    prod: World, task: str, file: str, line: str, code: str
) -> None:
    """Red when it reaches nginx, Compose or Django: the site went down, and another variable was blamed."""
    before, everything = release(prod), {c["Id"] for c in prod.containers()}
    path = prod.root / file
    text = path.read_text()
    path.write_text(f"{text}\n{line}\n")
    try:
        broken = prod.invoke(task, check=False)
    finally:
        path.write_text(text)
    assert broken.returncode != 0
    assert code in broken.stderr and line.partition("=")[0] in broken.stderr, broken.stderr
    assert {c["Id"] for c in prod.containers()} == everything
    assert_clean(prod, before)


def test_up_tries_nginxs_configuration_before_it_touches_what_serves(prod: World) -> None:
    """Red when Compose replaces web and nginx first, and the one-shot that runs ``nginx -t`` comes after."""
    before, containers = release(prod), {c["Id"] for c in web(prod)}
    with visitors(prod) as load:
        with edited(prod, "nginx/templates/site.d/broken.conf.template", "", "no_such_directive on;\n"):
            broken = prod.invoke("up", check=False)
        assert broken.returncode != 0
        assert "no_such_directive" in broken.stderr + broken.stdout
        assert {c["Id"] for c in web(prod)} == containers
        prod.invoke("up")
    assert_saw(load, before)
    assert_clean(prod, before)


def test_an_nginx_that_cannot_take_the_configuration_over(prod: World) -> None:
    """Red when `nginx -t` is believed: it knows nothing of the shared memory a reload takes over."""
    before = release(prod)
    zone = "nginx/templates/zz-zone.conf.template"
    with visitors(prod) as load:
        with edited(prod, zone, "", "limit_req_zone $uri zone=of-mine:1m rate=1r/s;\n"):
            prod.invoke("deploy", "--release", "with-a-zone")
        with edited(prod, zone, "", "limit_req_zone $host zone=of-mine:1m rate=1r/s;\n"):
            broken = prod.invoke("deploy", "--release", "with-another-key", check=False)
        assert broken.returncode != 0
        assert "the step 'switch' failed" in broken.stderr
        assert_clean(prod, "with-a-zone")
    assert_saw(load, before, "with-a-zone")
    front(prod, "at-rest", "with-a-zone")


@pytest.mark.parametrize("name", ["pre-deploy", "deploy-failed"])
def test_a_hook_that_refuses_stops_the_deploy(prod: World, tmp_path: Path, name: str) -> None:
    """Red when a hook's exit code is ignored, or `deploy-failed` is not called with what failed."""
    before, told = release(prod), tmp_path / "told"
    refusing = "#!/bin/sh\nexit 7\n"
    telling = f'#!/bin/sh\necho "$SLIPWAY_RELEASE $SLIPWAY_PREVIOUS_RELEASE $SLIPWAY_STEP" >{told}\n'
    with edited(prod, "hooks/pre-deploy", "", refusing), edited(prod, "hooks/deploy-failed", "", telling):
        (prod.root / "hooks/pre-deploy").chmod(0o755)
        if name == "deploy-failed":
            (prod.root / "hooks/deploy-failed").chmod(0o755)
        broken = prod.invoke("deploy", "--release", f"refused-{name}", check=False)
    assert broken.returncode != 0
    assert "SLIP-090" in broken.stderr or "hooks/pre-deploy ended with exit code 7" in broken.stderr
    assert told.exists() == (name == "deploy-failed")
    if told.exists():
        assert told.read_text() == f"refused-deploy-failed {before} pre-deploy hook\n"
    assert_clean(prod, before)
