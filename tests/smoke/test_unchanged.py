"""Tasks that find nothing changed: whatever they look at or build, nothing that serves is replaced.

The one promise that depends on the engine's image store, where the same build may be another image.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.world import World, base_images, world

_ONE_SHOTS = {"migrate", "static", "nginx-configuration"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The production stack, running, under the release id that a checkout gets by itself."""
    with world(tmp_path_factory.mktemp("unchanged"), "unchanged", prod=True) as own:
        own.invoke("up")
        yield own


def _serving(own: World) -> dict[str, str]:
    """The id of each container that serves."""
    found = {c["Id"]: c["Config"]["Labels"]["com.docker.compose.service"] for c in own.containers()}
    return {container: service for container, service in found.items() if service not in _ONE_SHOTS}


def _assert_named(own: World) -> None:
    """The engine names the image of each container: a bare id means that its name is another image now."""
    label = f"label=com.docker.compose.project={own.project}"
    images = own.docker("ps", "--all", "--filter", label, "--format", "{{.Image}}").split()
    assert len(images) >= 3
    assert [name for name in images if ":" not in name] == []


@contextmanager
def _a_build_at_work(own: World) -> Iterator[None]:
    """Something is being built on the engine that the stack is on."""
    step = "import time; time.sleep(60)"
    dockerfile = f"FROM {base_images()['PYTHON_IMAGE']}\nRUN python3 -c '{step}'\n"
    argv = ["docker", *own.engine, "build", "--no-cache", "--progress=plain", "-"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as build:
        assert build.stdin and build.stderr
        build.stdin.write(dockerfile)
        build.stdin.close()
        assert any("RUN python3" in line for line in build.stderr)
        yield
        assert build.poll() is None
        build.terminate()


def test_up_again_replaces_nothing(plain: World) -> None:
    """Red when builds ask for attestations, on an engine with the containerd image store."""
    before = _serving(plain)
    assert sorted(before.values()) == ["db", "nginx", "web"]
    plain.invoke("up")
    assert _serving(plain) == before
    (plain.root / ".slipway" / "built-prod.json").unlink()
    plain.invoke("up")
    assert _serving(plain) == before, "replaced by a build that found nothing to do"
    _assert_named(plain)


def test_up_with_an_overlay_replaces_nothing(plain: World) -> None:
    """Red as above: with overlays every `up` builds."""
    (plain.root / "overlay.yaml").write_text("services: {}\n")
    plain.write_env(COMPOSE_OVERLAYS="overlay.yaml")
    before = _serving(plain)
    plain.invoke("up")
    assert _serving(plain) == before
    plain.invoke("up")
    assert _serving(plain) == before
    _assert_named(plain)


def test_up_after_a_deploy_replaces_nothing(plain: World) -> None:
    """Red as above: a deploy leaves no record of its build, so `up` builds again."""
    plain.write_env(COMPOSE_OVERLAYS="")
    kept = {container for container, service in _serving(plain).items() if service != "web"}
    plain.invoke("deploy")
    after = _serving(plain)
    assert kept < set(after)
    plain.invoke("up")
    assert _serving(plain) == after
    _assert_named(plain)


def test_sizes_are_the_ones_docker_shows(plain: World) -> None:
    """Red with the size that an image says of itself: in containerd's store that counts twice."""
    listed = plain.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}").splitlines()
    shown = {name: _bytes(size) for name, size in (line.split() for line in listed)}
    images = {row["image"]: row["bytes"] for row in json.loads(plain.invoke("images", "--json").stdout)}
    bases = {row["reference"]: row["size"] for row in json.loads(plain.invoke("bases", "--json").stdout)}
    assert len(bases) >= 3
    assert len(images) > len(bases)
    for name, size in {**images, **bases}.items():
        assert size == pytest.approx(shown[name], rel=0.01), name


def _bytes(shown: str) -> float:
    """The number of bytes that docker writes as ``112MB``: three digits, powers of 1000."""
    number, unit = re.fullmatch(r"([\d.]+)([kMG]?B)", shown).groups()  # type: ignore[union-attr]
    return float(number) * 1000 ** ("B", "kB", "MB", "GB").index(unit)


def test_a_backup_and_a_clean_up_replace_nothing(plain: World) -> None:
    """Red when the backup's programs cannot be read in their image, prune takes what is in use, or ends
    with a traceback because the engine cannot count what it is just building.
    """
    before = _serving(plain)
    plain.invoke("db.backup")
    image = f"{plain.project}-backup"
    made = plain.docker("image", "inspect", "--format", "{{.Id}}", image)
    assert len(json.loads(plain.invoke("db.backups", "--json").stdout)) >= 1
    plain.invoke("db.backup")
    assert plain.docker("image", "inspect", "--format", "{{.Id}}", image) == made
    with _a_build_at_work(plain):
        plain.invoke("prune", "--yes")
    assert _serving(plain) == before
    _assert_named(plain)
