"""When `up` may leave out the build: never after a change that a build could read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.config.settings import load
from slipway.core.checkout import ROOT
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.images import buildrecord
from slipway.orchestrators import init
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session

IMAGES = {
    "python:3.13-slim-trixie": "sha256:python",
    "postgres:17-trixie": "sha256:postgres",
    "nginx:1.30-trixie": "sha256:nginx",
    "shop-dev-web": "sha256:web",
}


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The ids of the images there are."""
    found = dict(IMAGES)
    monkeypatch.setattr(engine, "image_id", lambda reference: found.get(reference, ""))
    return found


@pytest.fixture
def kit(checkout: Path, images: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a project, whose images have just been built; nothing in it is new."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    for name in ("docker", "nginx", "compose", "slipway"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    project = checkout / "example"
    (project / "shop").mkdir()
    (project / "shop" / "views.py").write_text("GREETING = 'hello'\n")
    (project / "shop" / "current").symlink_to("views.py")
    (checkout / "app.env").write_text("A=1\n")
    (checkout / "app.prod.env").write_text("B=1\n")
    init.record(load(checkout, environ={}))
    # All of it is seconds old, and no clock has to be waited for.
    with monkeypatch.context() as patch:
        patch.setattr(buildrecord, "_RACY_NS", -(10**12))
        _build(checkout)
    return checkout


def _session(root: Path, **changes: object) -> Session:
    settings = replace(load(root, environ={}), **changes)  # type: ignore[arg-type]
    return Session(Stack(settings, prod=False), Runner())


def _build(root: Path) -> None:
    session = _session(root)
    buildrecord.record(session, buildrecord.inputs(session))


def _is_current(root: Path) -> bool:
    session = _session(root)
    return buildrecord.is_current(session, buildrecord.inputs(session))


def _edit_in_place(path: Path) -> None:
    """Other content of the same size, in the same file, with the modification time it had."""
    before = path.stat()
    with path.open("r+") as file:
        file.write("GREETING = 'howdy'\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _swap(path: Path) -> None:
    """Another file in its place, as editors and git write one."""
    draft = path.with_name("draft")
    shutil.copy2(path, draft)
    draft.replace(path)


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("\n")


def _retarget(path: Path) -> None:
    path.unlink()
    path.symlink_to("../manage.py")


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "an edit that keeps size and time": ("example/shop/views.py", _edit_in_place),
    "another file with the same content, size and time": ("example/shop/views.py", _swap),
    "touch": ("example/shop/views.py", Path.touch),
    "chmod": ("example/shop/views.py", lambda path: path.chmod(0o755)),
    "a new empty file": ("example/shop/models.py", Path.touch),
    "a new empty folder": ("example/shop/empty", Path.mkdir),
    "the mode of a folder": ("example/shop", lambda path: path.chmod(0o700)),
    "a deleted file": ("example/shop/views.py", Path.unlink),
    "a renamed file": ("example/shop/views.py", lambda path: path.rename(path.with_name("pages.py"))),
    "the target of a link": ("example/shop/current", _retarget),
    "the project's .dockerignore": ("example/.dockerignore", lambda path: path.write_text("media\n")),
    "the kit's Dockerfile": ("Dockerfile", _append),
    "the kit's .dockerignore": ("Dockerfile.dockerignore", _append),
    "the kit's docker/": ("docker/entrypoint.py", _append),
    "a recipe of a base image": ("docker/bases/python/Dockerfile", _append),
    "the kit's nginx/": ("nginx/nginx.conf", _append),
    "a compose file": ("compose/base.yaml", _append),
    "app.env": ("app.env", lambda path: path.write_text("A=2\n")),
    "app.prod.env": ("app.prod.env", lambda path: path.write_text("B=2\n")),
    "a build argument in .env": (".env", lambda path: path.write_text("RUNTIME_PACKAGES=libpq5\n")),
    "what is recorded of this machine": (".slipway/machine.env", _append),
    "a build secret": (".slipway/build/pip.conf", lambda path: path.write_text("[global]\n")),
    "the kit's own code": ("slipway/config/place.py", _append),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_that_a_build_could_read_has_it_build(kit: Path, change: str) -> None:
    """Red when that part is left out of the digest: ctime for the first, mode for chmod, a tree, a text."""
    assert _is_current(kit)
    name, make = CHANGES[change]
    make(kit / name)
    assert not _is_current(kit)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("now", ["", "sha256:another"])
def test_an_image_that_is_gone_or_another_one_has_it_build(
    kit: Path, images: dict[str, str], image: str, now: str
) -> None:
    """Red when the ids of base images are left out of the digest, or of the built ones."""
    assert _is_current(kit)
    images[image] = now
    assert not _is_current(kit)


def test_a_variable_of_the_environment_has_it_build(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when only .env is looked at: the environment has the last word in Compose."""
    for name in ("RUNTIME_PACKAGES", "COMPOSE_PROJECT_NAME", "DOCKER_DEFAULT_PLATFORM"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "other")
            assert not _is_current(kit)
    assert _is_current(kit)


@pytest.mark.parametrize("name", [".git/index", "shop/__pycache__/views.pyc"])
def test_what_no_build_reads_changes_nothing(kit: Path, name: str) -> None:
    """Red when every `git status` and every import has it build."""
    (kit / "example" / name).parent.mkdir()
    assert _is_current(kit)
    (kit / "example" / name).touch()
    assert _is_current(kit)


def test_a_file_changed_just_before_the_build_is_not_trusted(kit: Path) -> None:
    """Red without the racy check: a second change in the same tick of the clock would look like none."""
    _append(kit / "example" / "shop" / "views.py")
    _build(kit)
    assert not _is_current(kit)


def test_a_change_during_the_build_is_seen(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the inputs are taken after the build."""
    monkeypatch.setattr(buildrecord, "_RACY_NS", -(10**12))
    session = _session(kit)
    before = buildrecord.inputs(session)
    _append(kit / "example" / "shop" / "views.py")
    buildrecord.record(session, before)
    assert not _is_current(kit)


def test_in_doubt_it_builds(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when overlays, too many files, an unreadable folder or a broken record pass for no change."""
    assert buildrecord.inputs(_session(kit, overlays=("mine.yaml",))) is None
    with monkeypatch.context() as patch:
        patch.setattr(buildrecord, "_MOST_FILES", 3)
        assert not _is_current(kit)
    with monkeypatch.context() as patch:

        def unreadable(*_: object) -> None:
            raise PermissionError

        patch.setattr("slipway.images.buildrecord.os.scandir", unreadable)
        assert not _is_current(kit)
    (kit / ".slipway" / "built-dev.json").write_text("[")
    assert not _is_current(kit)
    buildrecord.forget(_session(kit))
    assert not _is_current(kit)
