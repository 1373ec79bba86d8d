"""What the rollout tests share: a site that is changed while it is used, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World

REPLICAS = 2
ONE_SHOTS = ("migrate", "static", "nginx-configuration")


@contextlib.contextmanager
def visitors(own: World) -> Iterator[Load]:
    """Ten visitors, at work before the block begins; after it no request may have failed.

    Every entry that was acknowledged must be stored, and none twice.
    """
    with Load(own.url) as load:
        eventually(lambda: len(load.acknowledged) > 10, "the load to run")
        yield load
    assert load.failures == []
    stored = own.sql(f"select text from guestbook_entry where text like 'entry-{load.run}-%'").splitlines()
    assert len(stored) == len(set(stored)), "an entry was stored twice"
    assert set(load.acknowledged) <= set(stored), "an acknowledged entry was lost"
    print(f"\n{load.requests} requests, {len(load.acknowledged)} posts acknowledged, 0 failed")


def assert_saw(load: Load, *releases: str) -> None:
    """Every visitor saw these releases, one after the other, and no other."""
    assert load.releases, "nobody looked at the page"
    assert {tuple(seen) for seen in load.releases.values()} == {releases}


@contextlib.contextmanager
def edited(own: World, path: str, old: str, new: str) -> Iterator[None]:
    """``path`` of the copy with ``old`` replaced by ``new``, or a new file, for a while."""
    file = own.root / path
    before = file.read_text() if file.exists() else None
    assert (before is None) == (not old), path
    assert old in (before or ""), path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(before.replace(old, new, 1) if before is not None else new)
    try:
        yield
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)


def release(own: World) -> str:
    """The release that serves."""
    return Site(own.url).release()


def web(own: World) -> list[dict[str, Any]]:
    """The containers of web, in whatever state."""
    return [c for c in own.containers() if c["Config"]["Labels"]["com.docker.compose.service"] == "web"]


def nginx_id(own: World) -> str:
    """Which container nginx is."""
    return str(own.container("nginx")["Id"])


def front(own: World, *arguments: str) -> str:
    """What ``docker/nginx/front`` prints."""
    return own.docker("exec", f"{own.project}-nginx-1", "/srv/nginx/live/bin/front", *arguments)


def assert_clean(own: World, live: str, replicas: int = REPLICAS) -> None:
    """``live`` serves from so many healthy replicas, nginx is at rest, and nothing else is there."""
    assert release(own) == live
    services: dict[str, list[str]] = {}
    for container in own.containers():
        labels = container["Config"]["Labels"]
        assert labels.get("com.docker.compose.oneoff") != "True", f"left behind: {container['Name']}"
        services.setdefault(labels["com.docker.compose.service"], []).append(container["Name"])
    assert {name: len(found) for name, found in services.items()} == {
        **dict.fromkeys((*ONE_SHOTS, "db", "nginx"), 1),
        "web": replicas,
    }
    assert {c["Config"]["Image"] for c in web(own)} == {f"{own.project}-web:{live}"}
    assert {c["State"]["Health"]["Status"] for c in web(own)} == {"healthy"}
    front(own, "at-rest", live)
    volumes = {name.removeprefix(f"{own.project}_") for name in own.left_behind()["volumes"]}
    stays = {"db", "media", "static", "temporary", "nginx-cache", "nginx-configuration", "nginx-state"}
    assert volumes == stays
    releases = own.docker("exec", f"{own.project}-nginx-1", "ls", "/srv/nginx/releases").split()
    assert live in releases and len(releases) <= 2, releases
    assert not list((own.root / "backups").glob("*.part")), "half a dump was left"


def ledger(own: World) -> list[dict[str, str]]:
    """The ledger, newest first."""
    found: list[dict[str, str]] = json.loads(own.invoke("releases", "--json").stdout)
    return found
