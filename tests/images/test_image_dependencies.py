"""Each dependency manager: what is installed, and what refuses to be."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from imagekit import PROJECTS, World, copy_of_project, plant
from mirror import Mirror

from tests.support.index import INDEX

PYPROJECT = """\
[project]
name = "plain"
version = "1"
requires-python = ">=3.11"
dependencies = ["django", "iniconfig"]

[dependency-groups]
dev = ["pluggy"]
"""

PIPFILE = f"""\
[[source]]
url = "{INDEX}"
verify_ssl = true
name = "pypi"

[packages]
django = "*"
iniconfig = "*"

[dev-packages]
pluggy = "*"
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
    source = f'\n[[tool.poetry.source]]\nname = "index"\nurl = "{INDEX}"\n'
    plant(project, {"pyproject.toml": PYPROJECT + source})
    tool(project, "poetry", "lock")


def lock_with_pipenv(project: Path) -> None:
    plant(project, {"Pipfile": PIPFILE})
    tool(project, "pipenv", "lock")


def hash_with_uv(project: Path) -> None:
    plant(
        project,
        {"requirements.in": "django\niniconfig\n", "requirements-dev.in": "-c requirements.txt\npluggy\n"},
    )
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
    """A project with nothing to install from."""
    place = copy_of_project("plain", tmp_path / "plain")
    (place / "requirements.txt").unlink()
    return place


@pytest.fixture(scope="session")
def lock_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives a folder with one manager's manifest and lock, made at first need."""

    @functools.cache
    def locked(manager: str) -> Path:
        place = tmp_path_factory.mktemp(manager)
        MANAGERS[manager](place)
        return place

    return locked


@pytest.fixture
def locked(project: Path, manager: str, lock_once: Callable[[str], Path]) -> Path:
    """The project with the lock of the test's ``manager``, free to be changed."""
    return Path(shutil.copytree(lock_once(manager), project, dirs_exist_ok=True))


@pytest.mark.parametrize("manager", MANAGERS)
def test_production_gets_its_own_and_the_server_and_development_all(world: World, locked: Path) -> None:
    """Red when the target is ignored (pluggy in production) or install-server goes (no gunicorn)."""
    production = world.image("dependencies", locked)
    development = world.image("dev", locked)
    assert world.run(production, "/opt/venv/bin/python", "-c", INSTALLED) == "iniconfig gunicorn"
    assert world.run(development, "python", "-c", INSTALLED) == "iniconfig pluggy"


@pytest.mark.parametrize("manager", ["uv", "poetry", "pipenv"])
def test_a_stale_lock_fails_the_build(world: World, locked: Path, manager: str) -> None:
    """Red when the check before the installation goes: the old lock would install happily."""
    manifest = locked / ("Pipfile" if manager == "pipenv" else "pyproject.toml")
    asked = manifest.read_text()
    manifest.write_text(asked.replace('"iniconfig"', '"iniconfig<2"').replace('"*"', '"<2"'))
    assert manifest.read_text() != asked
    output = world.failure("dependencies", locked)
    assert "SLIP-056: " in output
    assert f"{manager} lock` and commit" in output


def test_downloads_go_to_the_cache_mount_and_not_into_a_layer(world: World) -> None:
    """Red without UV_CACHE_DIR: HOME is /tmp, and the cache would lie there."""
    image = world.image("dependencies", PROJECTS / "plain")
    assert world.run(image, "find", "/tmp", "-type", "f") == ""


@pytest.mark.parametrize("manager", ["uv", "pipenv"])
def test_a_lock_made_elsewhere_is_installed_from_this_machines_mirror(
    world: World, locked: Path, mirror: Mirror, tmp_path: Path
) -> None:
    """Red when `uv sync --locked` is all there is: to uv, a lock of another index is stale."""
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nindex-url = http://{mirror.address}/simple\n")
    # A name of its own keeps the layer from being taken from an earlier build.
    (locked / "constraints.txt").write_text(f"# {world.name}\n")
    image = world.image("dependencies", locked, "--network", "host", secrets={"pip": config})
    assert world.run(image, "/opt/venv/bin/python", "-c", INSTALLED) == "iniconfig gunicorn"
    assert any(path.startswith("/simple/iniconfig") for path in mirror.asked), mirror.asked


def test_nothing_to_install_from_is_said(world: World, project: Path) -> None:
    """Red when the installation ends in an empty environment instead."""
    output = world.failure("dependencies", project)
    assert "SLIP-055: no uv.lock, poetry.lock, Pipfile.lock, requirements.txt, Pipfile" in output
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
            "shared/all.pip": "django\niniconfig\n",
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
    programs, settings = "command -v make; command -v nc", "ls /etc/apt/*.d /var/lib/apt/lists"
    build = world.image("build", PROJECTS / "plain", **arguments)
    web = world.image("web", PROJECTS / "plain", **arguments)
    bare = world.image("base", PROJECTS / "plain")
    assert world.run(build, "sh", "-c", f"{programs}; true").splitlines() == ["/usr/bin/make", "/usr/bin/nc"]
    assert world.run(web, "sh", "-c", f"{programs}; true").splitlines() == ["/usr/bin/nc"]
    # apt's own configuration is as it was: the clean hook is back, the mirror is gone
    assert world.run(build, "sh", "-c", settings) == world.run(bare, "sh", "-c", settings)


def test_a_package_that_does_not_exist_fails_with_its_name(world: World) -> None:
    """Red when install-packages swallows apt's exit code."""
    assert "no-such-package-here" in world.failure(
        "base", PROJECTS / "plain", RUNTIME_PACKAGES="no-such-package-here"
    )
