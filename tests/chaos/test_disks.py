"""Disks that are full, and have room again."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from chaoskit import endured
from disks import full

from tests.support.polling import eventually
from tests.support.site import Site, png
from tests.support.world import World, docker

_MIB = 1024**2


def _post(own: World, text: str, picture: bytes | None = None) -> httpx.Response:
    files = {"image": ("a.png", picture, "image/png")} if picture else None
    return Site(own.url).submit("/", {"text": text}, files)


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.name != "ballast"}


@pytest.mark.parametrize("size", [_MIB, 4 * _MIB], ids=["in-memory", "in-a-temporary-file"])
def test_a_full_media_volume_refuses_pictures_alone(prod: World, disks: Path, size: int) -> None:
    """Red with Django's own FileSystemStorage (half a file stays), or when the view lets the OSError pass."""
    picture = png() + b"\0" * size
    with endured(prod, "media-disk-full") as ordeal:
        before = _files(disks / "media")
        with full(disks / "media", but=_MIB // 2):
            refused = _post(prod, "with a picture that does not fit", picture)
            assert refused.status_code == 507
            assert "cannot be stored" in refused.text
            assert _files(disks / "media") == before
            assert _post(prod, "without one").status_code == 302
        ordeal.end()
        assert _post(prod, "with a picture", picture).status_code == 302
    assert prod.sql("select count(*) from guestbook_entry where text like '%does not fit'") == "0"
    assert len(_files(disks / "media")) == len(before) + 1


def _has_given_up(own: World) -> bool:
    """On to the next file of the log, until there is none: the worst that can happen.

    More than once, for PostgreSQL keeps old files to write over.
    """
    psql = ("exec", f"{own.project}-db-1", "psql", "-U", "app")
    docker(*psql, "-c", "select pg_logical_emit_message(true, 'x', 'x'), pg_switch_wal()", check=False)
    return Site(own.url).get("/").status_code == 500


def test_a_full_database_volume_loses_nothing(prod: World, disks: Path) -> None:
    """Red with `restart: "no"` for the database: without room for its log PostgreSQL ends itself."""
    with endured(prod, "database-disk-full") as ordeal:
        with full(disks / "db"):
            eventually(lambda: _post(prod, "x" * 1000).status_code == 500, "an entry to be refused")
            assert Site(prod.url).get("/").status_code == 200, "reading works without room"
            eventually(lambda: _has_given_up(prod), "the database to give up")
        ordeal.end()


@pytest.mark.parametrize("volume", ["temporary", "nginx-cache"])
def test_full_volumes_for_uploads_refuse_large_ones_alone(prod: World, disks: Path, volume: str) -> None:
    """Red when /tmp, or whatever else others need, is on the same small disk."""
    client = httpx.Client(base_url=prod.url, trust_env=False, timeout=60)

    def upload(size: int) -> int:
        return client.post("/upload", files={"file": ("a.bin", b"x" * size)}).status_code

    with client, endured(prod, "uploads-disk-full") as ordeal:
        with full(disks / volume):
            assert upload(8 * _MIB) == 500
            assert upload(10_000) == 200
            assert _post(prod, "a form").status_code == 302
        ordeal.end()
        eventually(lambda: upload(8 * _MIB) == 200, "room again")
