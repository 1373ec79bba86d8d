"""Rollback when migrations lie between: nothing is done to the database that nobody has asked for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rolloutkit import assert_clean, assert_saw, edited, ledger, release, visitors

from tests.support.site import Site
from tests.support.world import World, docker

_FOLDER = "example/guestbook/migrations"
_COLUMN = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("guestbook", "0001_initial")]
    operations = [migrations.AddField("entry", "COLUMN", models.CharField(max_length=9, null=True))]
"""
_ONE_WAY = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("guestbook", "0002_COLUMN")]
    operations = [migrations.RunSQL("select 1")]
"""


def _columns(own: World) -> list[str]:
    query = "select column_name from information_schema.columns where table_name = 'guestbook_entry'"
    return own.sql(query).splitlines()


@contextlib.contextmanager
def _deployed(own: World, name: str, column: str, *, one_way: bool = False) -> Iterator[None]:
    """A release that adds a column of its own; with ``one_way`` also a migration that has no way back."""
    assert column not in _columns(own)
    with contextlib.ExitStack() as changes:
        adds = _COLUMN.replace("COLUMN", column)
        changes.enter_context(edited(own, f"{_FOLDER}/0002_{column}.py", "", adds))
        if one_way:
            bars = _ONE_WAY.replace("COLUMN", column)
            changes.enter_context(edited(own, f"{_FOLDER}/0003_{column}_bars.py", "", bars))
        own.invoke("deploy", "--release", name)
        assert column in _columns(own)
        yield


def test_nobody_has_decided(prod: World) -> None:
    """Red when rollback forgets what the database has that the old code has not, or how it reverses."""
    before = release(prod)
    with visitors(prod) as load, _deployed(prod, "with-mood", "mood"):
        refused = prod.invoke("rollback", check=False)
        assert refused.returncode != 0
        assert "SLIP-083" in refused.stderr
        assert "guestbook.0002_mood: loses" in refused.stderr and "mood" in refused.stderr
        both = prod.invoke("rollback", "--keep-schema", "--migrate-back", check=False)
        assert "SLIP-083" in both.stderr and "exclude each other" in both.stderr
        assert_clean(prod, "with-mood")
        prod.invoke("rollback", "--keep-schema")
        assert_clean(prod, before)
    assert_saw(load, before, "with-mood", before)
    assert "mood" in _columns(prod), "the schema was not kept"
    newest = ledger(prod)[0]
    assert (newest["kind"], newest["result"]) == ("rollback", "live")


def test_migrations_are_taken_back_when_the_old_code_serves(prod: World) -> None:
    """Red when they are left, or taken back by an image that does not know them."""
    before = release(prod)
    with visitors(prod) as load, _deployed(prod, "to-be-undone", "colour"):
        prod.invoke("rollback", "--migrate-back", "--release", before)
        assert_clean(prod, before)
        assert "colour" not in _columns(prod)
        # Forward by rollback: the release that comes back needs its migration again.
        prod.invoke("rollback", "--release", "to-be-undone")
        assert_clean(prod, "to-be-undone")
        assert "colour" in _columns(prod)
        prod.invoke("rollback", "--migrate-back", "--release", before)
        assert "colour" not in _columns(prod)
    assert_saw(load, before, "to-be-undone", before, "to-be-undone", before)


def test_what_cannot_be_taken_back_is_refused(prod: World) -> None:
    """Red when the switch is made first, and the refusal comes after it."""
    before = release(prod)
    with visitors(prod) as load, _deployed(prod, "one-way", "weight", one_way=True):
        refused = prod.invoke("rollback", "--migrate-back", check=False)
        assert refused.returncode != 0
        assert "SLIP-088" in refused.stderr and "guestbook.0003_weight_bars" in refused.stderr
        assert_clean(prod, "one-way")
    assert_saw(load, before, "one-way")


def test_a_backup_is_restored_behind_a_closed_site(prod: World) -> None:
    """Red when visitors get anything but the site or 503 meanwhile, when the dump is of the wrong moment, or
    when what was stored since is nowhere.
    """
    before = release(prod)
    site = Site(prod.url)
    assert site.submit("/", {"text": "before the deploy"}).status_code == 302
    statuses: set[int] = set()
    done = threading.Event()

    def look() -> None:
        visitor = Site(prod.url)
        while not done.is_set():
            statuses.add(visitor.get("/").status_code)
            time.sleep(0.05)

    with _deployed(prod, "to-be-lost", "height", one_way=True):
        assert site.submit("/", {"text": "after the deploy"}).status_code == 302
        refused = prod.invoke("rollback", "--restore-backup", check=False)
        assert "SLIP-069" in refused.stderr, "nobody was asked"
        looking = threading.Thread(target=look)
        looking.start()
        try:
            prod.invoke("rollback", "--restore-backup", "--yes")
        finally:
            done.set()
            looking.join()
    assert statuses == {200, 503}
    assert_clean(prod, before)
    texts = prod.sql("select text from guestbook_entry").splitlines()
    assert "before the deploy" in texts and "after the deploy" not in texts
    assert "height" not in _columns(prod)
    assert site.get("/").status_code == 200
    # And forward again, with what was lost: the dump that was made before the restore. One more is made,
    # of the state before this one: a second, of the state after it, would be the one in the ledger.
    dumps = len(list((prod.root / "backups").iterdir()))
    prod.invoke("rollback", "--restore-backup", "--yes", "--release", "to-be-lost")
    assert len(list((prod.root / "backups").iterdir())) == dumps + 1
    assert "after the deploy" in prod.sql("select text from guestbook_entry").splitlines()


@contextlib.contextmanager
def _cannot_start(image: str) -> Iterator[None]:
    """The image with another command for a while: its one-shots, which bring their own, still work."""
    whole = docker("image", "inspect", "--format", "{{.Id}}", image).strip()
    container = docker("create", image).strip()
    docker("commit", "--change", 'CMD ["false"]', container, image)
    docker("rm", container)
    try:
        yield
    finally:
        docker("tag", whole, image)


@contextlib.contextmanager
def _cut_off(dump: Path) -> Iterator[None]:
    whole = dump.read_bytes()
    dump.write_bytes(whole[: len(whole) // 2])
    try:
        yield
    finally:
        dump.write_bytes(whole)


@pytest.mark.parametrize("broken", ["dump", "release"])
def test_a_restore_that_fails_changes_nothing(prod: World, broken: str) -> None:
    """Red when the site stays closed, or the newer code is left with the older database."""
    before, texts = release(prod), prod.sql("select count(*) from guestbook_entry")
    with _deployed(prod, f"newer-{broken}", f"in_{broken}"):
        dump = prod.root / ledger(prod)[0]["backup"]
        with _cut_off(dump) if broken == "dump" else _cannot_start(f"{prod.project}-web:{before}"):
            failed = prod.invoke("rollback", "--restore-backup", "--yes", check=False)
        assert failed.returncode != 0
        assert f"the step '{'restore' if broken == 'dump' else 'wait'}' failed" in failed.stderr
        assert Site(prod.url).get("/").status_code == 200, "the site stayed closed"
        assert_clean(prod, f"newer-{broken}")
        assert prod.sql("select count(*) from guestbook_entry") == texts
        assert f"in_{broken}" in _columns(prod)
    prod.invoke("rollback", "--restore-backup", "--yes")
    assert_clean(prod, before)
