"""Somebody who may install nothing: told what is missing, and served all the same."""

from __future__ import annotations

from tests.support.polling import eventually
from tests.support.pristine import Machine

USER = "somebody"


def test_a_missing_venv_module_is_named(restricted: Machine) -> None:
    """Red when require_venv_module is not called: Python's own message names another package."""
    before = restricted.tree()
    done = restricted.run("./bootstrap", "true", user=USER, check=False)
    assert done.returncode == 3
    assert "SLIP-021" in done.stdout
    assert "apt-get install python3-venv" in done.stdout
    assert restricted.tree() == before


def test_a_missing_engine_is_refused_and_nothing_is_changed(restricted: Machine) -> None:
    """Red when Host.rights is not asked: apt-get then fails with exit code 100."""
    restricted.run(
        "sh", "-c", "apt-get -q update && apt-get -qy install --no-install-recommends python3-venv"
    )
    before = restricted.tree()
    done = restricted.run("./bootstrap", "invoke", "up", user=USER, check=False, timeout=300)
    assert done.returncode == 3, done.stdout
    assert "SLIP-023" in done.stdout
    assert "docker.io docker-cli docker-compose docker-buildx" in done.stdout
    assert "invoke up --local" in done.stdout
    assert {line for line in restricted.tree() ^ before if not line.startswith("./.venv/")} == set()


def test_commands_that_need_no_engine_run(restricted: Machine) -> None:
    """Red when needs_engine does not know --list or --dry."""
    assert "up" in restricted.run("./bootstrap", "invoke", "--list", user=USER).stdout
    assert "compose" in restricted.run("./bootstrap", "invoke", "--dry", "up", user=USER).stdout


def test_the_way_out_serves_the_site(restricted: Machine) -> None:
    """Red when --local is taken out of bootstrap's rule, or migrate out of local.up."""
    restricted.background("./bootstrap", "invoke", "up", "--local", user=USER)
    status, page = eventually(
        lambda: restricted.get("http://127.0.0.1:8000/"),
        "the site without containers",
        timeout=180,
        interval=2,
    )
    assert status == 200
    assert "<form" in page
