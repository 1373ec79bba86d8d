"""What .dockerignore keeps out, asked of the image's own file system."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from imagekit import KIT, World, config, copy_of_project, docker, plant

from tests.support.world import apply_umask

# None of these may reach an image, in whatever folder the project lies.
FORBIDDEN = {
    ".git/config": "[remote]",
    ".gitignore": "*.pyc",
    ".env": "KIT=1",
    ".env.production": "KIT=1",
    "config/.env": "KIT=1",
    "app.env": "SECRET_KEY=x",
    "app.prod.env": "SECRET_KEY=x",
    "deploy/app.dev.env": "SECRET_KEY=x",
    "secrets/secret_key": "x",
    "deploy/secrets/token": "x",
    ".slipway/build/pip.conf": "[global]",
    "tls/server.key": "x",
    "tls/privkey1.pem": "x",
    "id_ed25519": "x",
    ".ssh/config": "x",
    ".venv/bin/python": "x",
    "shop/venv/bin/python": "x",
    "node_modules/left/index.js": "x",
    "shop/__pycache__/old.cpython-313.pyc": "x",
    ".pytest_cache/README": "x",
    "docs/index.txt": "x",
    "README.md": "x",
    "shop/tests/test_shop.py": "x",
    "shop/tests.py": "x",
    "shop/test_views.py": "x",
    "conftest.py": "x",
    "media/upload.jpg": "x",
    "db.sqlite3": "x",
    "data/dump.sql.gz": "x",
    "backups/monday.dump": "x",
    "Dockerfile": "FROM scratch",
    "compose.yaml": "services: {}",
}

# And these, which a careless pattern would take along, must.
NEEDED = {
    "staticfiles/committed.css": "x",
    "media/models.py": "pass",
    "media/migrations/0001_initial.py": "pass",
    "media/templates/media/list.html": "x",
    "manage.py": "pass",
    "shop/__init__.py": "",
    "shop/models.py": "pass",
    "shop/tasks.py": "pass",
    "shop/docs/__init__.py": "",
    "shop/media/__init__.py": "",
    "shop/secrets/__init__.py": "",
    "shop/management/commands/test_email.py": "pass",
    "shop/templates/tests/list.html": "x",
    "shop/static/shop/media/logo.svg": "<svg/>",
    "certificates/root-bundle.pem": "x",
    "monitoring/__init__.py": "",
    "requirements.txt": "",
    "requirements/base.txt": "",
    "pyproject.toml": "",
}

MACHINERY = (
    "app.",
    "bootstrap",
    "tasks.py",
    "noxfile.py",
    "slipway/",
    "docker/",
    "compose/",
    "nginx/",
    "tests/",
    "example/",
    "Dockerfile",
    ".dockerignore",
    "requirements/tools",
    "requirements/test",
)


def files_in(world: World, image: str) -> set[str]:
    """Return the files below /app of an image that has no shell."""
    container = docker("create", "--label", world.name, image, "never-started")
    packed = subprocess.run(["docker", "export", container], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {entry.name[4:] for entry in archive if entry.isfile() and entry.name.startswith("app/")}


def test_a_project_outside_the_kit(world: World, tmp_path: Path) -> None:
    """Red when Dockerfile.dockerignore goes: without it BuildKit looks for rules in the project alone."""
    plant(tmp_path, {**FORBIDDEN, **NEEDED})
    assert files_in(world, world.image("project", tmp_path)) == set(NEEDED)


def test_the_projects_own_rules_cannot_let_a_secret_in(world: World, tmp_path: Path) -> None:
    """Red when Dockerfile.dockerignore goes, as above: then an empty .dockerignore of the project decides."""
    plant(tmp_path, {".env": "KIT=1", ".dockerignore": "", "manage.py": ""})
    assert files_in(world, world.image("project", tmp_path)) == {"manage.py"}


def test_the_kit_in_the_projects_own_root(world: World, tmp_path: Path) -> None:
    """Red when a line of "The kit's own machinery" goes from .dockerignore."""
    root = tmp_path / "site"
    unwanted = shutil.ignore_patterns(".git", ".venv", ".nox", ".mypy_cache", ".ruff_cache", "__pycache__")
    shutil.copytree(KIT, root, symlinks=True, ignore=unwanted)
    plant(root, {**{name: text for name, text in FORBIDDEN.items() if name != "Dockerfile"}, **NEEDED})
    # A checkout in which the example has run.
    plant(root, {"example/media/cat.jpg": "x", "example/staticfiles/site.css": "x"})
    there = files_in(world, world.image("project", root, kit=root))
    assert set(NEEDED) <= there
    assert not there & set(FORBIDDEN)
    assert [name for name in there if name.startswith(MACHINERY)] == []


def test_the_example_is_copied_whole(world: World) -> None:
    """Red when a pattern takes a part of the example along with the tests."""
    there = files_in(world, world.image("project", KIT / "example"))
    code = {
        str(path.relative_to(KIT / "example"))
        for path in (KIT / "example").rglob("*.py")
        if not path.name.startswith("test") and "tests" not in path.parts and path.name != "conftest.py"
    }
    assert code <= there


@pytest.mark.parametrize("manage_dir", ["backend", "."])
def test_the_project_in_a_folder_of_its_repository(world: World, tmp_path: Path, manage_dir: str) -> None:
    """Red when WORKDIR forgets MANAGE_DIR: manage.py is not found."""
    place = tmp_path / "repository" / manage_dir
    copy_of_project("plain", place)
    image = world.image("web", tmp_path / "repository", MANAGE_DIR=manage_dir, DEPENDENCY_DIR=manage_dir)
    checked = world.run(image, "python", "manage.py", "check")
    assert "no issues" in checked


def strict_project(place: Path, umask: int) -> Path:
    """A project with a package of its own and a seed for DATA_PATHS, as a checkout under ``umask`` has it."""
    project = copy_of_project("plain", place)
    plant(
        project,
        {
            "requirements.txt": "django\n./own\n",
            "own/pyproject.toml": '[project]\nname = "own"\nversion = "1"\n',
            "own/own/__init__.py": "",
            "uploads/first.txt": "first",
            "tool": "#!/bin/sh\necho executable\n",
        },
    )
    (project / "tool").chmod(0o777)
    # The same times in each, which bytecode has in it.
    for path in (project, *project.rglob("*")):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    apply_umask(project, umask)
    return project


def test_modes_of_the_host_make_no_difference(world: World, tmp_path: Path) -> None:
    """Red when a file's or a folder's mode reaches the image: its user reads nothing, and a layer differs."""
    layers, failures = set(), []
    for umask in (0o077, 0o022, 0o027):
        project = strict_project(tmp_path / f"{umask:o}", umask)
        image = world.image("web", project, DATA_PATHS="uploads")
        script = (
            "cat .slipway/first/app/uploads/first.txt; ./tool; python -c 'import own'; python manage.py check"
        )
        said = world.run(image, "sh", "-c", script)
        failures += [] if said.startswith("firstexecutable") and "no issues" in said else [(umask, said)]
        layers.add(tuple(config(image)["Layers"]))
    assert failures == []
    assert len(layers) == 1


def test_modes_of_the_kit_make_no_difference(world: World, tmp_path: Path, app_env: Path) -> None:
    """Red when the kit's own files keep the host's modes: neither web nor nginx could read them."""
    kit = tmp_path / "kit"
    for name in ("docker", "nginx", "example"):
        shutil.copytree(KIT / name, kit / name, ignore=shutil.ignore_patterns("__pycache__", "media"))
    for name in ("Dockerfile", "Dockerfile.dockerignore"):
        shutil.copy2(KIT / name, kit / name)
    apply_umask(kit, 0o177)
    for folder in (kit, *(path for path in kit.rglob("*") if path.is_dir())):
        folder.chmod(0o700)
    web = world.image("web", kit / "example", kit=kit, secrets={"app_env": app_env})
    assert world.run(web, "python", "-IS", "/opt/slipway/entrypoint.py", "echo", "started") == "started"
    front = world.image("nginx-configuration", kit / "example", kit=kit)
    unreadable = "find /opt/nginx /usr/local/bin ! -readable; test -x /usr/local/bin/publish-configuration"
    assert world.run(front, "sh", "-c", unreadable) == ""
