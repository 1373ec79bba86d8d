"""Real builds of the kit's Dockerfile, and looking into what they made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KIT = Path(__file__).resolve().parents[2]
PROJECTS = Path(__file__).resolve().parent / "projects"
PYTHON_IMAGE = os.environ.get("PYTHON_IMAGE", "slipway/python:3.13-slim-trixie")
NGINX_IMAGE = os.environ.get("NGINX_IMAGE", "slipway/nginx:1.30-trixie")
LABEL = "io.slipway.test=images"
DEADLINE = 30.0


def docker(*arguments: str) -> str:
    """Run a docker command that must succeed; return its standard output, stripped."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def eventually(what: str, probe: Callable[[], Any]) -> Any:
    """Poll until ``probe`` returns something true and return that; fail after the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        result = probe()
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError(f"not within {DEADLINE:g} s: {what}")


@dataclass
class World:
    """Images, containers and volumes of one test session, and their end."""

    secrets: Path  # ca.pem, pip.conf, apt-mirror, npmrc: this machine's way to packages
    name: str = field(default_factory=lambda: f"slipway-images-{uuid.uuid4().hex[:10]}")
    images: set[str] = field(default_factory=set)

    def build(
        self,
        target: str,
        project: Path,
        *options: str,
        kit: Path = KIT,
        secrets: Mapping[str, Path] | None = None,
        **arguments: str,
    ) -> tuple[str, subprocess.CompletedProcess[str]]:
        """Build ``target`` from ``project``; return the image's name and the finished process.

        ``arguments`` are build arguments, ``secrets`` build secrets beside (or over) this machine's.
        """
        image = f"{self.name}:{uuid.uuid4().hex[:8]}"
        given = {
            "ca": self.secrets / "ca.pem",
            "pip": self.secrets / "pip.conf",
            "apt": self.secrets / "apt-mirror",
            "npm": self.secrets / "npmrc",
            **(secrets or {}),
        }
        settings = {
            "PYTHON_IMAGE": PYTHON_IMAGE,
            "NGINX_IMAGE": NGINX_IMAGE,
            "SERVER_TARGET": "config.wsgi:application",
            **arguments,
        }
        command = [
            "docker",
            "build",
            "--progress=plain",
            "--label",
            LABEL,
            "--target",
            target,
            "--tag",
            image,
        ]
        command += ["--file", str(kit / "Dockerfile")]
        command += [
            "--build-context",
            f"docker={kit / 'docker'}",
            "--build-context",
            f"front={kit / 'nginx'}",
        ]
        command += [f"--secret=id={name},src={path}" for name, path in given.items()]
        command += [f"--build-arg={name}={value}" for name, value in settings.items()]
        done = subprocess.run(
            [*command, *options, str(project)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        self.images.add(image)
        return image, done

    def image(self, target: str, project: Path, *options: str, **more: Any) -> str:
        """Build ``target`` and return the image's name; fail with the build's output."""
        image, done = self.build(target, project, *options, **more)
        assert done.returncode == 0, done.stdout
        return image

    def failure(self, target: str, project: Path, **more: Any) -> str:
        """Build what must not build; return the output."""
        _, done = self.build(target, project, **more)
        assert done.returncode != 0, done.stdout
        return done.stdout

    def run(self, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Run a command in a fresh container, past the entrypoint; return its standard output."""
        return docker(
            "run", "--rm", "--label", LABEL, "--entrypoint", command[0], *options, image, *command[1:]
        )

    def start(self, image: str, *options: str) -> str:
        """Start a container as the image says, return its id; `destroy` removes it."""
        return docker("run", "--detach", "--label", LABEL, "--label", self.name, *options, image)

    def volume(self) -> str:
        """Create a volume that `destroy` removes."""
        return docker("volume", "create", "--label", self.name)

    def destroy(self) -> None:
        """Remove every container, volume and image of this world."""
        containers = docker("ps", "--all", "--quiet", "--filter", f"label={self.name}").split()
        if containers:
            docker("rm", "--force", *containers)
        volumes = docker("volume", "ls", "--quiet", "--filter", f"label={self.name}").split()
        if volumes:
            docker("volume", "rm", *volumes)
        present = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", self.name).split()
        if present:
            docker("image", "rm", "--force", *present)


def config(image: str) -> dict[str, Any]:
    """Return the ``Config`` of an image, as ``docker image inspect`` shows it."""
    inspected: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]
    return {**inspected["Config"], "Size": inspected["Size"], "Layers": inspected["RootFS"]["Layers"]}


def environment(image: str) -> dict[str, str]:
    """Return the environment variables an image sets."""
    return dict(entry.split("=", 1) for entry in config(image)["Env"])


def plant(root: Path, files: Mapping[str, str]) -> None:
    """Write ``files`` (path to content) below ``root``."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def copy_of_project(name: str, place: Path) -> Path:
    """Return a copy of one of the small projects, free to be changed."""
    return Path(shutil.copytree(PROJECTS / name, place))
