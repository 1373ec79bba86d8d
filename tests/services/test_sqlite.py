"""SQLite in production: one file in the volume, whoever comes and goes."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.world import ROOT, World, world

PROJECT = ROOT / "tests" / "images" / "projects" / "habits"
SETTINGS = {
    "PROJECT_ROOT": "project",
    "DATABASE": "none",
    "DATA_PATHS": "'db.sqlite3 keep/'",
    "SETTINGS_OVERLAY": "'ALLOWED_HOSTS DEBUG STATIC_ROOT STATIC_URL'",
    "HEALTH_READY_PATH": "/healthz/live",
    "WEB_REPLICAS": "2",
    "PROCESS_SHARING": "'sh -c \"date >keep/shared; sleep 1000\"'",
}


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("sqlite"), "sqlite", prod=True, **SETTINGS) as own:
        shutil.copytree(PROJECT, own.root / "project")
        (own.root / "app.env").write_text("API_TOKEN=x\nBATCH=5\nPEERS=a,b\nPAGE_SIZE=3\n")
        own.invoke("up")
        yield own


def get(own: World, path: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{own.url}{path}", timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def enter(own: World) -> int:
    return int(str(get(own, "/enter")["visitors"]))


def test_the_file_is_one_and_lasts(prod: World) -> None:
    """Red when a service lacks the volume, or the link leads into the container."""
    assert get(prod, "/healthz/live")["debug"] is False
    # Two replicas, asked in turn.
    assert [enter(prod) for _ in range(4)] == [1, 2, 3, 4]
    shared = prod.docker("exec", f"{prod.project}-web-1", "ls", "keep/").split()
    assert shared == ["first.txt", "shared"]
    prod.invoke("down")
    prod.invoke("up", "--no-build")
    assert enter(prod) == 5
    views = prod.root / "project" / "config" / "urls.py"
    views.write_text(views.read_text() + "\n# another release\n")
    prod.invoke("deploy", "--release", "second")
    assert enter(prod) == 6
    prod.invoke("rollback")
    assert enter(prod) == 7
    assert f"{prod.project}_data" in prod.invoke("volumes").stdout


def test_a_backup_says_what_it_has_of_it(prod: World) -> None:
    """Red when the archive is made without a word."""
    assert "DATA_PATHS" in prod.invoke("db.backup").stderr


def test_it_goes_with_the_volumes(prod: World) -> None:
    """Red when the volume is not Compose's own: ``down --volumes`` would leave it."""
    prod.invoke("down", "--volumes", "--yes")
    assert prod.left_behind()["volumes"] == []
