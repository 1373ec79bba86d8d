"""The builder's own opinion of the Dockerfiles, where it has one (buildx and BuildKit 0.15 and later)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.world import ROOT, base_images

FILES = [ROOT / "Dockerfile", *sorted((ROOT / "docker").rglob("*Dockerfile"))]


@pytest.fixture(scope="module")
def check() -> list[str]:
    """The command, without file and context. Every base image is one that is here: they are looked up."""
    argv = ["docker", "build", "--check"]
    usage = subprocess.run([*argv[:2], "--help"], capture_output=True, text=True, check=False).stdout
    if "--check" not in usage:
        pytest.skip("this buildx has no --check")
    images = base_images()
    known = {**images, "BASE": images["PYTHON_IMAGE"]}
    argv += [f"--build-arg={name}={image}" for name, image in known.items()]
    return [*argv, f"--build-context=docker={ROOT / 'docker'}", f"--build-context=front={ROOT / 'nginx'}"]


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_builder_has_nothing_to_say(check: list[str], file: Path) -> None:
    """Red with ``ARG BASE`` without a default (InvalidDefaultArgInFrom)."""
    context = ROOT / "example" if file.parent == ROOT else file.parent
    done = subprocess.run([*check, f"--file={file}", context], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
