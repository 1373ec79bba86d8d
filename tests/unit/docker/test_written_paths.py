"""Links in the places a project writes to: which, and what the entrypoint makes behind them."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from types import ModuleType

import pytest
from kitfiles import DOCKER, load

IN_THE_IMAGE = (
    "build_cache", "bytecode", "collect_static", "data_paths", "entrypoint", "explain_failure",
    "first_import", "image_paths", "missing_variables", "overlay_check", "project_commands",
    "project_static", "report_settings", "run_commands", "runtime_libraries", "suggestions",
    "written_paths", "settings_overlay/slipway_settings",
)  # fmt: skip


@pytest.fixture
def entrypoint() -> ModuleType:
    return load("entrypoint")


@pytest.mark.parametrize("name", IN_THE_IMAGE)
def test_what_runs_in_an_image_is_read_by_the_oldest_python(name: str) -> None:
    """Red with a match statement's successor, except*, or anything else 3.10 does not know."""
    ast.parse((DOCKER / f"{name}.py").read_text(encoding="utf-8"), feature_version=(3, 10))


def test_new_folders_are_linked_whole_and_places_of_their_own_are_not() -> None:
    """Red when a link takes the place of STATIC_ROOT, or of a folder it is in."""
    module = load("written_paths")
    before = {"/app/manage.py": False, "/app/seed": True}
    new = {
        "/app/logs": True, "/app/logs/old": True, "/app/logs/all.log": False, "/app/key.txt": False,
        "/app/var": True, "/app/var/static": True, "/app/var/static/a.css": False, "/app/var/run.txt": False,
        "/app/seed/new.txt": False,
    }  # fmt: skip
    found = module.written(before, before | new, ["/app/var/static", ""], {"/app/logs/all.log"})
    assert found == {
        "/app/logs": "folder", "/app/logs/old": "folder", "/app/logs/all.log": "log", "/app/key.txt": "file",
        "/app/var/run.txt": "file", "/app/seed/new.txt": "file",
    }  # fmt: skip
    assert sorted(module.links(found)) == [
        "/app/key.txt",
        "/app/logs",
        "/app/seed/new.txt",
        "/app/var/run.txt",
    ]


def test_only_what_was_about_writing_is_granted(tmp_path: Path) -> None:
    """Red when a file that is merely not there counts: a link would take the place of the whole project."""
    module = load("written_paths")
    me = os.getuid()
    assert (
        module.refused("x\nFileNotFoundError: [Errno 2] No such file or directory: '/app/.env'\n")
        == "/app/.env"
    )
    assert module.refused("PermissionError: [Errno 13] Permission denied: '/usr/x'\n") is None
    assert module.grant(str(tmp_path / ".env"), me) == {}
    assert module.grant(str(tmp_path / "logs/deep/all.log"), me) == {str(tmp_path / "logs"): True}
    assert (tmp_path / "logs/deep").is_dir()
    (tmp_path / "seed.txt").touch()
    assert module.grant(str(tmp_path / "seed.txt"), me) == {str(tmp_path / "seed.txt"): False}


def test_logs_that_rotate_by_size_stay_files() -> None:
    """Red when every log goes to standard error: a RotatingFileHandler asks for its position there."""
    handlers = (
        "{'a': {'class': 'logging.FileHandler', 'filename': PosixPath('/app/a.log')}, "
        "'b': {'class': 'logging.handlers.RotatingFileHandler', 'filename': '/app/b.log', 'maxBytes': 9}, "
        "'c': {'filename': '/app/c.log', 'class': 'logging.handlers.TimedRotatingFileHandler'}, "
        "'d': {'class': 'logging.StreamHandler'}}"
    )
    found = load("written_paths").endless_logs(
        f"LANGUAGES = []\nLOGGING = {{'handlers': {handlers}}}\nX = 1\n"
    )
    assert found == {"/app/a.log", "/app/c.log"}


def test_a_data_path_becomes_a_link_and_keeps_what_was_there(tmp_path: Path) -> None:
    """Red when the project's own content is thrown away, or a file is taken for a folder."""
    module = load("data_paths")
    (tmp_path / "app/keep").mkdir(parents=True)
    (tmp_path / "app/keep/first.txt").write_text("first")
    assert [module.lay(path, tmp_path) for path in ("keep", "db.sqlite3", "new/", "/var/lib/shop")] == [
        "data-folder\t/app/keep", "data-file\t/app/db.sqlite3", "data-folder\t/app/new",
        "data-folder\t/var/lib/shop",
    ]  # fmt: skip
    assert (tmp_path / "app/keep").readlink() == Path("/srv/data/app/keep")
    assert (tmp_path / "app/.slipway/first/app/keep/first.txt").read_text() == "first"
    # A second time, in the next stage, it is as it was.
    assert module.lay("keep", tmp_path) == "data-folder\t/app/keep"


def test_code_is_no_data(tmp_path: Path) -> None:
    """Red when _refuse goes: the code of the first release would stay for ever."""
    module = load("data_paths")
    (tmp_path / "app/shop").mkdir(parents=True)
    (tmp_path / "app/shop/views.py").touch()
    (tmp_path / "usr/share").mkdir(parents=True)
    for path in ("shop", "/usr/share"):
        with pytest.raises(module.DataPathError, match="SLIP-139"):
            module.lay(path, tmp_path)
    assert (tmp_path / "app/shop/views.py").is_file()


def test_the_entrypoint_makes_what_is_not_there_and_overwrites_nothing(
    entrypoint: ModuleType, tmp_path: Path
) -> None:
    """Red when content that the project has changed is replaced by the first, or a log is a file."""
    root = str(tmp_path)
    files = {
        "opt/slipway/paths": "data-folder\t/app/keep\ndata-file\t/app/sub/db.sqlite3\nfolder\t/app/logs/old\n"
        "log\t/app/logs/all.log\nfile\t/app/key.txt\n",
        "app/.slipway/first/app/keep/deep/first.txt": "first",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    entrypoint.prepare(root)
    kept = tmp_path / "srv/data/app/keep/deep/first.txt"
    assert kept.read_text() == "first"
    assert (tmp_path / "srv/data/app/sub").is_dir()
    assert (tmp_path / "tmp/slipway/app/logs/old").is_dir()
    assert (tmp_path / "tmp/slipway/app/logs/all.log").readlink() == Path("/dev/stderr")
    assert not (tmp_path / "srv/data/app/sub/db.sqlite3").exists()
    kept.write_text("changed")
    entrypoint.prepare(root)
    assert kept.read_text() == "changed"
    assert [path.name for path in (tmp_path / "srv/data/app").iterdir()] != []
    assert not list((tmp_path / "srv/data").rglob("*.slipway"))


def test_who_comes_second_leaves_what_the_first_has_copied(
    entrypoint: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when copy_first renames a file over another: two containers start at once."""
    (tmp_path / "first").write_text("first")
    (tmp_path / "kept").write_text("changed")
    entrypoint.copy_first(str(tmp_path / "first"), str(tmp_path / "kept"))
    assert (tmp_path / "kept").read_text() == "changed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "kept"]


def test_a_place_that_cannot_be_written_is_said(entrypoint: ModuleType, tmp_path: Path) -> None:
    """Red when the error is Python's own."""
    (tmp_path / "opt/slipway").mkdir(parents=True)
    (tmp_path / "opt/slipway/paths").write_text("data-file\t/app/db.sqlite3\n")
    (tmp_path / "srv").touch()
    with pytest.raises(entrypoint.EntrypointError, match=r"SLIP-139: /app/db\.sqlite3 leads to .*/srv/data"):
        entrypoint.prepare(str(tmp_path))


def test_the_overlay_comes_before_the_projects_settings(entrypoint: ModuleType) -> None:
    """Red when the project's module is forgotten, or its PYTHONPATH."""
    plain = {"DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": "/app/src"}
    assert entrypoint.with_overlay(plain) == plain
    overlaid = entrypoint.with_overlay({**plain, "SLIPWAY_OVERLAY": "{}"})
    assert overlaid["DJANGO_SETTINGS_MODULE"] == "slipway_settings"
    assert overlaid["SLIPWAY_SETTINGS_MODULE"] == "shop.settings"
    assert overlaid["PYTHONPATH"] == f"{DOCKER}/settings_overlay:/app/src"
    assert entrypoint.with_overlay(overlaid) == overlaid
    with pytest.raises(entrypoint.EntrypointError, match="SLIP-138"):
        entrypoint.with_overlay({"SLIPWAY_OVERLAY": "{}"})
