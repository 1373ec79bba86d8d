"""Restoring while the site is used, from a deploy's dump, and onto other code."""

from __future__ import annotations

from backupkit import Kept, assert_clean, assert_serves, folder, listed, post, state

from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker


def test_under_load(prod: World, kept: Kept) -> None:
    """Red when a visitor gets anything but the site or 503, or an acknowledged entry is in neither backup."""
    with Load(prod.url) as load:
        eventually(lambda: len(load.acknowledged) > 10, "the load to run")
        prod.invoke("db.restore", kept.path.name, "--yes")
        served = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > served + 10, "the site to be used again")
        refused = list(load.failures)
    assert refused and {failure.kind for failure in load.failures} == {"503"}, load.failures
    assert load.failures == refused, "requests failed after the site was open again"
    stored = set(prod.sql("select text from guestbook_entry").splitlines())
    before = max(name for name in listed(prod) if "before-restore" in name)
    prod.invoke("db.restore", before, "--yes")
    stored |= set(prod.sql("select text from guestbook_entry").splitlines())
    lost = set(load.acknowledged) - stored
    assert not lost
    assert_clean(prod)


def test_a_dump_of_a_deploy(prod: World, kept: Kept) -> None:
    """Red when db.restore knows archives only, or touches media that no dump holds."""
    prod.invoke("db.restore", kept.path.name, "--yes")
    dump = folder(prod) / "20260101T000000Z-before-some-release.dump"
    dump.write_bytes(
        _output("exec", f"{prod.project}-db-1", "pg_dump", "--username=app", "--format=custom", "app")
    )
    assert listed(prod)[dump.name]["kind"] == "dump"
    post(prod, "after the dump")
    media = state(prod)[1]
    prod.invoke("db.restore", dump.name, "--yes")
    assert state(prod) == (kept.state[0], media)
    assert "SLIP-094" in prod.invoke("db.verify", dump.name, check=False).stderr
    dump.write_bytes(dump.read_bytes()[:-100])
    failed = prod.invoke("db.restore", dump.name, "--yes", check=False)
    assert failed.returncode == 1 and "SLIP-089" in failed.stderr
    assert state(prod) == (kept.state[0], media)
    assert_serves(prod)
    dump.unlink()


def _output(*arguments: str) -> bytes:
    import subprocess

    return subprocess.run(["docker", *arguments], capture_output=True, check=True).stdout


def test_a_database_of_another_schema_keeps_the_site_closed(prod: World, kept: Kept) -> None:
    """Red when the code here is let loose on a schema that it does not know, or nobody says so."""
    prod.sql("insert into django_migrations (app, name, applied) values ('guestbook', '0009_newer', now())")
    of_newer = prod.invoke("db.backup").stdout.strip()
    prod.invoke("db.restore", kept.path.name, "--yes")
    assert_serves(prod)
    said = prod.invoke("db.restore", of_newer, "--yes").stderr
    assert "code here does not have: guestbook.0009_newer" in said and "invoke maintenance off" in said
    assert Site(prod.url).get("/").status_code == 503
    prod.invoke("db.restore", kept.path.name, "--yes")
    prod.invoke("maintenance", "off")
    assert_serves(prod)
    assert_clean(prod)


def test_nobody_has_agreed(prod: World, kept: Kept) -> None:
    """Red when it goes on without --yes where nobody can answer."""
    post(prod, "stays")
    before = state(prod)
    refused = prod.invoke("db.restore", kept.path.name, check=False)
    assert refused.returncode == 1 and "SLIP-069" in refused.stderr
    assert state(prod) == before
    assert_clean(prod)


def test_the_database_does_not_run(prod: World, kept: Kept) -> None:
    """Red when a task waits for it, or fails in Compose."""
    docker("stop", f"{prod.project}-db-1")
    try:
        for task in (["db.backup"], ["db.restore", kept.path.name, "--yes"]):
            refused = prod.invoke(*task, check=False)
            assert refused.returncode == 1 and "SLIP-103" in refused.stderr
        # This one needs none.
        prod.invoke("db.verify", kept.path.name)
    finally:
        prod.invoke("start", "--services", "db")
        eventually(lambda: Site(prod.url).get("/").status_code == 200, "the site to serve again")
