"""`up` on a site that is used: nothing that serves is replaced before its successor is ready."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from rolloutkit import assert_clean, assert_saw, edited, ledger, nginx_id, release, visitors, web

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World

_TEMPLATE = "example/guestbook/templates/guestbook/index.html"


def _ids(own: World) -> set[str]:
    return {c["Id"] for c in web(own)}


@contextlib.contextmanager
def _variable(own: World, line: str) -> Iterator[None]:
    """``line`` at the end of app.prod.env, for a while."""
    path = own.root / "app.prod.env"
    usual = path.read_text()
    path.write_text(f"{usual}\n{line}\n")
    try:
        yield
    finally:
        path.write_text(usual)


def _going_up(own: World) -> str:
    """`up`, and the release that serves then."""
    own.invoke("up")
    return release(own)


@pytest.mark.parametrize("what", ["code", "settings", "build"])
def test_what_does_not_start_leaves_the_old_release_up(prod: World, what: str) -> None:
    """Red when Compose replaces web, whose successor does not start."""
    before, containers = release(prod), _ids(prod)
    with visitors(prod) as load:
        if what == "code":
            with edited(prod, "example/config/wsgi.py", '"""', 'raise RuntimeError("crashes")\n"""'):
                broken = prod.invoke("up", check=False)
        elif what == "settings":
            with _variable(prod, "GUNICORN_CMD_ARGS=--no-such-option"):
                broken = prod.invoke("up", check=False)
        else:
            with edited(prod, "example/config/settings.py", '"""', 'raise RuntimeError("crashes")\n"""'):
                broken = prod.invoke("up", check=False)
        assert_clean(prod, before)
    assert broken.returncode != 0
    assert "SLIP-080" in broken.stderr and f"{before} serves" in broken.stderr, broken.stderr
    assert_saw(load, before)
    assert _ids(prod) == containers
    assert _going_up(prod) == before
    assert _ids(prod) == containers, "replaced, and nothing had changed"


def test_new_code_and_new_settings_are_switched_to(prod: World) -> None:
    """Red when they are brought by replacing what serves; and when the second `up` replaces anything."""
    first, nginx = release(prod), nginx_id(prod)
    with visitors(prod) as load:
        with edited(prod, _TEMPLATE, "Entries", "All entries"):
            second = _going_up(prod)
            assert_clean(prod, second)
            with _variable(prod, "GUNICORN_CMD_ARGS=--keep-alive 6"):
                third = _going_up(prod)
                assert_clean(prod, third)
                containers = _ids(prod)
                assert _going_up(prod) == third and _ids(prod) == containers
            # As it was again: without a build the images have another name, and the page the same.
            prod.invoke("up", "--no-build")
            assert release(prod) == third and _ids(prod).isdisjoint(containers)
        fourth = _going_up(prod)
        assert_clean(prod, fourth)
    assert_saw(load, first, second, third, fourth)
    assert nginx_id(prod) == nginx, "nginx was replaced"
    assert [entry["kind"] for entry in ledger(prod)[:4]] == ["up"] * 4


def test_a_one_shot_that_is_replaced_leaves_the_rest_alone(prod: World) -> None:
    """Red when Compose is left to it, which recreates what depends on what it recreates."""
    containers, nginx = _ids(prod), nginx_id(prod)
    with edited(
        prod, "compose/prod.yaml", 'publish_static.py"]\n', 'publish_static.py"]\n    labels: {a: b}\n'
    ):
        prod.invoke("up")
        assert _ids(prod) == containers and nginx_id(prod) == nginx
    prod.invoke("up")
    assert _ids(prod) == containers and nginx_id(prod) == nginx


def test_a_database_that_is_replaced_leaves_web_alone(prod: World) -> None:
    """Red when Compose, which recreates the database, recreates what depends on it too."""
    before, containers, database = release(prod), _ids(prod), prod.container("db")["Id"]
    prod.write_env(DB_MEMORY="600m")
    try:
        prod.invoke("up")
        assert prod.container("db")["Id"] != database
        assert _ids(prod) == containers
    finally:
        prod.write_env(DB_MEMORY="512m")
        prod.invoke("up")
        # A connection pool tries again by itself, after a pause of some seconds.
        eventually(lambda: Site(prod.url).get("/").status_code == 200, "the page again", timeout=30)
    assert_clean(prod, before)


def test_a_folder_that_was_moved(prod: World) -> None:
    """Red when a container of the old place is started again, whose secrets are not there any more."""
    usual, moved = prod.root, prod.root.with_name("moved")
    prod.invoke("stop")
    usual.rename(moved)
    prod.root = moved
    try:
        assert "invoke up --prod" in prod.invoke("init", "--take-over").stderr
        refused = prod.invoke("start", check=False)
        assert refused.returncode == 1 and "SLIP-173" in refused.stderr, refused.stderr
        assert "SLIP-173" in prod.invoke("doctor", check=False).stdout
        prod.invoke("up")
        assert Site(prod.url).get("/").status_code == 200
        prod.invoke("restart")
        eventually(lambda: Site(prod.url).get("/").status_code == 200, "the page after a restart")
    finally:
        moved.rename(usual)
        prod.root = usual
        prod.invoke("init", "--take-over")
        prod.invoke("up")
    eventually(lambda: release(prod), "the page")
