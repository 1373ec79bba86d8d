"""Deploys, failed deploys and a rollback under load: no request fails, no entry is lost or doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker, world

_SLOW = """
import time
from django.http import HttpResponse

def slow(request):
    time.sleep(2.5)
    return HttpResponse("slow")

urlpatterns.insert(0, path("slow", slow))
"""


_FAILING_MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("guestbook", "0001_initial")]
    operations = [
        migrations.RunSQL("create table half (id int)"),
        migrations.RunSQL("select no_such_column from half"),
    ]
"""
_HARMLESS_MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("guestbook", "0001_initial")]
    operations = [migrations.RunSQL("select 1", "select 1")]
"""


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack with two replicas, and a view that takes its time."""
    folder = tmp_path_factory.mktemp("rollout")
    sizes = {"WEB_REPLICAS": "2", "WEB_THREADS": "8", "DB_MAX_CONNECTIONS": "200"}
    with world(folder, "rollout", prod=True, **sizes) as own:
        urls = own.root / "example" / "config" / "urls.py"
        urls.write_text(urls.read_text() + _SLOW)
        own.invoke("up")
        yield own
        if request.session.testsfailed:
            own.save("rollout")


def _edit(own: World, path: str, old: str, new: str) -> None:
    file = own.root / path
    source = file.read_text()
    assert old in source, path
    file.write_text(source.replace(old, new, 1))


def _replicas(own: World) -> list[str]:
    return sorted(c["Name"] for c in own.containers(everything=True) if "-web-" in c["Name"])


def _assert_at_rest(own: World, release: str) -> None:
    """One release, two healthy replicas, nothing else, and nginx naming the service again."""
    assert Site(own.url).release() == release
    webs = [c for c in own.containers() if "-web-" in c["Name"]]
    assert len(webs) == 2, _replicas(own)
    assert {c["Config"]["Image"] for c in webs} == {f"{own.project}-web:{release}"}
    assert {c["State"]["Health"]["Status"] for c in webs} == {"healthy"}
    line = docker("exec", f"{own.project}-nginx-1", "cat", "/etc/nginx/conf.d/upstream.d/web.conf")
    assert "\nserver web:8000 " in f"\n{line}"


def _assert_stored_once(own: World, load: Load) -> None:
    stored = own.sql("select text from guestbook_entry where text like 'entry-%'").splitlines()
    assert sorted(stored) == sorted(set(stored)), "an entry was stored twice"
    assert set(load.acknowledged) <= set(stored), "an acknowledged entry was lost"


def _ledger(own: World) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(own.invoke("releases", "--json").stdout)
    return found


@pytest.mark.parametrize("failure", ["never ready", "failing migration"])
def test_a_bad_release_leaves_the_old_one_up(prod: World, failure: str) -> None:
    """Red when health is not waited for, or a failed migration does not stop the deploy."""
    before = Site(prod.url).release()
    saved = {path: path.read_text() for path in (prod.root / "example").rglob("*.py")}
    migration = prod.root / "example/guestbook/migrations/0099_fails.py"
    if failure == "never ready":
        _edit(prod, "example/config/health.py", "check.result(timeout=DEADLINE)", "raise OSError('never')")
    else:
        migration.write_text(_FAILING_MIGRATION)
    try:
        with Load(prod.url) as load:
            eventually(lambda: len(load.acknowledged) > 5, "the load to run")
            broken = prod.invoke("deploy", "--release", failure.replace(" ", "-"), check=False)
        assert broken.returncode != 0
        assert f"{before} serves" in broken.stderr, broken.stderr
        assert load.failures == []
        assert set(load.releases) == {before}
        _assert_at_rest(prod, before)
        assert prod.sql("select count(*) from information_schema.tables where table_name = 'half'") == "0"
    finally:
        for path, text in saved.items():
            path.write_text(text)
        migration.unlink(missing_ok=True)


def test_a_second_deploy_at_the_same_time_is_refused(prod: World) -> None:
    """Red without the lock: both would start containers and stop each other's."""
    first = subprocess.Popen(
        [sys.executable, "-m", "invoke", "deploy", "--release", "first-come"], cwd=prod.root,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lock = prod.root / ".slipway" / "deploy.lock"
    eventually(lambda: str(first.pid) in lock.read_text(), "the first deploy to hold the lock")
    second = prod.invoke("deploy", "--release", "second-come", check=False)
    output = first.communicate(timeout=300)[0].decode()
    assert second.returncode != 0
    assert "SLIP-077" in second.stderr and str(first.pid) in second.stderr
    assert first.returncode == 0, output
    _assert_at_rest(prod, "first-come")


@pytest.mark.parametrize("step", ["migrate", "start", "wait", "switch", "drain", "stop"])
def test_a_deploy_killed_at_any_step_drops_nothing_and_can_be_run_again(prod: World, step: str) -> None:
    """Red when a restart does not remove what the killed one left, or trusts what it did not finish."""
    release = f"killed-at-{step}"
    with Load(prod.url) as load:
        eventually(lambda: len(load.acknowledged) > 5, "the load to run")
        killed = subprocess.Popen(
            [sys.executable, "-m", "invoke", "deploy", "--release", release], cwd=prod.root,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert killed.stderr is not None
        for line in killed.stderr:
            if line.strip() == f"== {step}":
                break
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait(timeout=30)
        again = prod.invoke("deploy", "--release", f"{release}-again")
        assert again.returncode == 0
    assert load.failures == []
    _assert_at_rest(prod, f"{release}-again")
    _assert_stored_once(prod, load)


def test_migrations_in_between_must_be_decided_about(prod: World) -> None:
    """Red when rollback forgets what the database has that the old code has not."""
    before = Site(prod.url).release()
    migration = prod.root / "example/guestbook/migrations/0002_harmless.py"
    migration.write_text(_HARMLESS_MIGRATION)
    try:
        prod.invoke("deploy", "--release", "with-migration")
        refused = prod.invoke("rollback", check=False)
        assert refused.returncode != 0
        assert "SLIP-083" in refused.stderr and "guestbook.0002_harmless" in refused.stderr
        _assert_at_rest(prod, "with-migration")
        prod.invoke("rollback", "--keep-schema")
        _assert_at_rest(prod, before)
        assert list((prod.root / "backups").glob("*-before-with-migration.dump"))
    finally:
        migration.unlink()


def test_good_broken_and_back_under_load(prod: World) -> None:
    """Red when the old replicas stop before nginx's old workers are gone, when `up` recreates instead, or
    when a broken release is switched to.
    """
    before = Site(prod.url).release()
    with Load(prod.url) as load:
        eventually(lambda: len(load.acknowledged) > 20, "the load to run")

        _edit(prod, "example/guestbook/templates/guestbook/index.html", "Entries", "All entries")
        prod.invoke("deploy", "--release", "second")
        _assert_at_rest(prod, "second")

        _edit(prod, "example/config/wsgi.py", '"""', 'raise RuntimeError("crashes at start")\n"""')
        broken = prod.invoke("deploy", "--release", "third", check=False)
        assert broken.returncode != 0
        assert "SLIP-080" in broken.stderr
        assert "crashes at start" in broken.stderr
        assert "second serves" in broken.stderr
        _assert_at_rest(prod, "second")

        prod.invoke("rollback")
        _assert_at_rest(prod, before)
    assert load.failures == []
    assert load.releases[0] == before
    # Two pages may be on their way while the switch happens, so the order is that of a few requests.
    assert set(load.releases) == {before, "second"}
    assert load.releases[-1] == before
    _assert_stored_once(prod, load)
    print(f"\n{load.requests} requests, {len(load.acknowledged)} posts acknowledged, 0 failed")
    results = [(entry["release"], entry["kind"], entry["result"].split(":")[0]) for entry in _ledger(prod)]
    assert results[:3] == [
        (before, "rollback", "live"),
        ("third", "deploy", "failed"),
        ("second", "deploy", "live"),
    ]
