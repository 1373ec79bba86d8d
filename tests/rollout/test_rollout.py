"""Deploys, failed deploys and a rollback under load: no request fails, no entry is lost or doubled."""

from __future__ import annotations

import json
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


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The production stack with two replicas, and a view that takes its time."""
    folder = tmp_path_factory.mktemp("rollout")
    with world(folder, "rollout", prod=True, WEB_REPLICAS="2", WEB_THREADS="8") as own:
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


def _ledger(own: World) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(own.invoke("releases", "--json").stdout)
    return found


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
    stored = prod.sql("select text from guestbook_entry where text like 'entry-%'").splitlines()
    assert sorted(stored) == sorted(set(stored)), "an entry was stored twice"
    assert set(load.acknowledged) <= set(stored), "an acknowledged entry was lost"
    print(f"\n{load.requests} requests, {len(load.acknowledged)} posts acknowledged, 0 failed")
    results = [(entry["release"], entry["kind"], entry["result"].split(":")[0]) for entry in _ledger(prod)]
    assert results == [
        (before, "rollback", "live"),
        ("third", "deploy", "failed"),
        ("second", "deploy", "live"),
        (before, "up", "live"),
    ]
