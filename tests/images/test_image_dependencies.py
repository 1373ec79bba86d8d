"""Each dependency manager: what is installed, and what refuses to be."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from imagekit import PROJECTS, World, copy_of_project, plant
from pip._internal.models.index import PyPI

from slipway.mirrors import pip_index

PYPROJECT = """\
[project]
name = "plain"
version = "1"
requires-python = ">=3.11"
dependencies = ["iniconfig"]

[dependency-groups]
dev = ["pluggy"]
"""

# iniconfig stands for a dependency of production, pluggy for one of development alone.
INSTALLED = """
import importlib.util, pathlib
names = [n for n in ("iniconfig", "pluggy", "pip", "uv", "poetry") if importlib.util.find_spec(n)]
names += ["gunicorn"] if pathlib.Path("/opt/venv/bin/gunicorn").exists() else []
print(*names)
"""


def tool(project: Path, *command: str) -> None:
    """Run a dependency manager on this machine, through uv, as the project's owner would."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        ["uv", "tool", "run", *command], cwd=project, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def lock_with_uv(project: Path) -> None:
    plant(project, {"pyproject.toml": PYPROJECT})
    subprocess.run(["uv", "lock", "--quiet"], cwd=project, check=True)


def lock_with_poetry(project: Path) -> None:
    # Its own default index asks for more than the simple interface, which is all a mirror must have.
    source = f'\n[[tool.poetry.source]]\nname = "index"\nurl = "{pip_index() or PyPI.simple_url}"\n'
    plant(project, {"pyproject.toml": PYPROJECT + source})
    tool(project, "poetry", "lock")


def lock_with_pipenv(project: Path) -> None:
    tool(project, "pipenv", "install", "--skip-lock", "iniconfig")
    tool(project, "pipenv", "install", "--skip-lock", "--dev", "pluggy")
    tool(project, "pipenv", "lock")


def hash_with_uv(project: Path) -> None:
    plant(project, {"requirements.in": "iniconfig\n", "requirements-dev.in": "-c requirements.txt\npluggy\n"})
    for name in ("requirements", "requirements-dev"):
        compile_ = ["uv", "pip", "compile", "--quiet", "--generate-hashes", f"{name}.in", "-o", f"{name}.txt"]
        subprocess.run(compile_, cwd=project, check=True)


MANAGERS = {
    "uv": lock_with_uv,
    "poetry": lock_with_poetry,
    "pipenv": lock_with_pipenv,
    "requirements": hash_with_uv,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = copy_of_project("plain", tmp_path / "plain")
    (place / "requirements.txt").unlink()
    return place


@pytest.mark.parametrize("lock", MANAGERS.values(), ids=MANAGERS)
def test_production_gets_its_own_and_the_server_and_development_all(
    world: World, project: Path, lock: Callable[[Path], None]
) -> None:
    """Red when the target is ignored (pluggy in production) or install_server goes (no gunicorn)."""
    lock(project)
    production = world.image("dependencies", project)
    development = world.image("dev", project)
    assert world.run(production, "/opt/venv/bin/python", "-c", INSTALLED) == "iniconfig gunicorn"
    assert world.run(development, "python", "-c", INSTALLED) == "iniconfig pluggy"


@pytest.mark.parametrize("manager", ["uv", "poetry", "pipenv"])
def test_a_stale_lock_fails_the_build(world: World, project: Path, manager: str) -> None:
    """Red when the check before the installation goes: the old lock would install happily."""
    MANAGERS[manager](project)
    for manifest in ("pyproject.toml", "Pipfile"):
        path = project / manifest
        if path.exists():
            text = path.read_text()
            path.write_text(
                text.replace('["iniconfig"]', '["iniconfig<2"]').replace(
                    'iniconfig = "*"', 'iniconfig = "<2"'
                )
            )
            assert path.read_text() != text
    output = world.failure("dependencies", project)
    assert "SLIP-056" in output
    assert "lock` and commit" in output


def test_nothing_to_install_from_is_said(world: World, project: Path) -> None:
    """Red when install_project_dependencies ends in an empty environment instead."""
    output = world.failure("dependencies", project)
    assert "SLIP-055: no uv.lock, poetry.lock, Pipfile.lock or requirements.txt in /app" in output
    output = world.failure("dependencies", project, DEPENDENCY_DIR="nowhere")
    assert "SLIP-055: the project has no folder 'nowhere'" in output


def test_a_wrong_hash_is_refused(world: World, project: Path) -> None:
    """Red when --require-hashes goes and the file's hashes are not verified either."""
    plant(project, {"requirements.txt": "iniconfig==2.1.0 --hash=sha256:" + "0" * 64 + "\n"})
    assert "hash" in world.failure("dependencies", project).lower()


def wheel(path: Path, name: str) -> None:
    """Write the smallest wheel there is: one module called ``name``."""
    metadata = f"{name}-1.dist-info"
    files = {
        f"{name}.py": "",
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{metadata}/RECORD": "",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)


def test_included_files_and_local_wheels_in_a_dependency_folder(world: World, project: Path) -> None:
    """Red when dependency_files.py takes only the files it knows by name."""
    wheel(project / "backend/vendor/localthing-1-py3-none-any.whl", "localthing")
    plant(
        project,
        {
            "backend/requirements.txt": "-r ../shared/all.pip\n./vendor/localthing-1-py3-none-any.whl\n",
            "shared/all.pip": "iniconfig\n",
        },
    )
    image = world.image("dependencies", project, DEPENDENCY_DIR="backend")
    assert (
        world.run(image, "/opt/venv/bin/python", "-c", "import localthing, iniconfig; print('both')")
        == "both"
    )


def test_packages_for_the_build_stay_there_and_those_for_running_go_along(world: World) -> None:
    """Red when BUILD_PACKAGES are installed in the base stage."""
    arguments = {"BUILD_PACKAGES": "make", "RUNTIME_PACKAGES": "netcat-openbsd"}
    look = "command -v make; command -v nc; ls /etc/apt/*.d /var/lib/apt/lists"
    build = world.image("build", PROJECTS / "plain", **arguments)
    web = world.image("web", PROJECTS / "plain", **arguments)
    bare = world.image("base", PROJECTS / "plain")
    assert world.run(build, "sh", "-c", look).splitlines()[:2] == ["/usr/bin/make", "/usr/bin/nc"]
    found = world.run(web, "sh", "-c", look).splitlines()
    assert found[0] == "/usr/bin/nc"
    # apt's own configuration is as it was: the clean hook is back, the mirror is gone
    assert found[1:] == world.run(bare, "sh", "-c", look).splitlines()


def test_a_package_that_does_not_exist_fails_with_its_name(world: World) -> None:
    """Red when install-packages swallows apt's exit code."""
    assert "no-such-package-here" in world.failure(
        "base", PROJECTS / "plain", RUNTIME_PACKAGES="no-such-package-here"
    )
