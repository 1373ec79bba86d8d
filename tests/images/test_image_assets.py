"""The asset stage, with a real npm and its registry: needs NODE_IMAGE, so it runs by name (nox -s assets)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from imagekit import World, copy_of_project, docker, plant

from slipway.core.run import Runner
from slipway.images import bases

NODE_IMAGE = os.environ.get("NODE_IMAGE", "slipway/node:24-trixie-slim")
PACKAGE = """\
{"name": "shop", "version": "1.0.0", "private": true,
 "scripts": {"build": "node build.js"}, "dependencies": {"is-odd": "3.0.1"}}
"""
BUILD = """\
const fs = require('fs');
fs.mkdirSync('../assets/built', {recursive: true});
fs.writeFileSync('../assets/built/app.js', 'console.log(' + require('is-odd')(3) + ')');
"""
SETTINGS = 'STATICFILES_DIRS += [("npm", BASE_DIR / "frontend" / "node_modules" / "is-odd")]\n'
COMMAND = "npm ci && npm run build"


@pytest.fixture(scope="session")
def node() -> str:
    bases.ensure({"NODE_IMAGE": NODE_IMAGE}, Runner(dry=False))
    return NODE_IMAGE


def lock(world: World, node: str, folder: Path) -> None:
    """Write the lock file, as if made against a registry that does not exist."""
    mounts = {folder: "/app", world.secrets / "npmrc": "/npmrc:ro", world.secrets / "ca.pem": "/ca.pem:ro"}
    options = [f"--volume={source}:{target}" for source, target in mounts.items()]
    if (world.secrets / "ca.pem").read_text():
        options += ["--env=npm_config_cafile=/ca.pem"]
    make = "npm install --package-lock-only --omit-lockfile-registry-resolved=false"
    docker(
        "run", "--rm", *options, "--env=npm_config_userconfig=/npmrc", "--workdir=/app", node, *make.split()
    )
    path = folder / "package-lock.json"
    text = path.read_text()
    resolved = {line.split('"')[3] for line in text.splitlines() if '"resolved"' in line}
    assert resolved
    for address in resolved:
        name = address.partition("/-/")[0].rpartition("/")[2]
        tail = address.partition("/-/")[2]
        text = text.replace(address, f"https://registry.nowhere.example/{name}/-/{tail}")
    path.write_text(text)


def test_what_npm_builds_is_collected_and_its_packages_stay_out(
    world: World, node: str, tmp_path: Path
) -> None:
    """Red without replace_registry_host or link_node_modules, or with node_modules left in the image."""
    project = copy_of_project("plain", tmp_path / "plain")
    plant(project / "frontend", {"package.json": PACKAGE, "build.js": BUILD})
    lock(world, node, project / "frontend")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    arguments = {"ASSETS_COMMAND": COMMAND, "ASSETS_DIR": "frontend", "NODE_IMAGE": node}
    image = world.image("web", project, **arguments)
    look = "cat /app/collected/built/app.js; ls /app/collected/npm/index.js; find / -xdev -name node_modules"
    assert world.run(image, "sh", "-c", look, options=("--user", "0")).splitlines() == [
        "console.log(true)/app/collected/npm/index.js"
    ]
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before


def test_a_failing_command_is_the_last_line(world: World, node: str, tmp_path: Path) -> None:
    """Red when build-assets goes on, or the folder is not looked into first."""
    project = copy_of_project("plain", tmp_path / "plain")
    arguments = {"ASSETS_DIR": ".", "NODE_IMAGE": node}
    output = world.failure("web", project, ASSETS_COMMAND="npm ci", **arguments)
    assert "SLIP-135: there is no package.json in /app; fix: set ASSETS_DIR" in output
    output = world.failure("web", project, ASSETS_COMMAND="echo so; exit 3", **arguments)
    assert "SLIP-135: ASSETS_COMMAND ended with exit code 3" in output
