"""What real projects have to install from, beyond one tidy lock. Runs by name: nox -s 'images(long)'."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from imagekit import World, copy_of_project, plant
from mirror import INDEX, Mirror

pytestmark = pytest.mark.long

SOURCE = f'\n[[tool.poetry.source]]\nname = "index"\nurl = "{INDEX}"\n'
POETRY = """\
[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = "^3.9"
django = "~4.2"
markdown = {version = "*", optional = true}

[tool.poetry.extras]
text = ["markdown"]

[tool.poetry.group.prod.dependencies]
iniconfig = "*"

[tool.poetry.group.dev.dependencies]
pluggy = "*"
"""
PIPFILE = f"""\
[[source]]
url = "{INDEX}"
verify_ssl = true
name = "pypi"

[packages]
django = "~=4.2.0"

[dev-packages]
pluggy = "*"

[requires]
python_version = "3.8"
"""
UV = """\
[project]
name = "my-shop"
version = "4.5.6"
requires-python = ">=3.10"
dependencies = ["django~=4.2.0"]

[project.optional-dependencies]
text = ["markdown"]

[dependency-groups]
prod = ["iniconfig"]
dev = ["pluggy"]
test = ["attrs"]

[tool.uv]
default-groups = ["dev", "test"]
"""
NOTHING_PINNED = "nothing is pinned"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = copy_of_project("plain", tmp_path / "plain")
    (place / "requirements.txt").unlink()
    return place


def tool(project: Path, *command: str) -> None:
    """Run a dependency manager on this machine, through uv."""
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("PIP_", "VIRTUAL_ENV"))}
    argv = ["uv", "tool", "run", "--python", "3.11", *command]
    done = subprocess.run(argv, cwd=project, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def installed(world: World, image: str) -> dict[str, str]:
    """Names and versions of what an image's environment holds."""
    script = (
        "import importlib.metadata as m, json, sys; sys.path.pop(0);"
        "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    )
    listed: dict[str, str] = json.loads(world.run(image, "/opt/venv/bin/python", "-c", script))
    return {name: v for name, v in listed.items() if name not in {"asgiref", "sqlparse", "gunicorn"}}


def built(world: World, project: Path, *options: str, **arguments: str) -> tuple[dict[str, str], str]:
    """Build production's packages; return them, and the log."""
    image, done = world.build("dependencies", project, *options, **arguments)
    assert done.returncode == 0, done.stdout
    return installed(world, image), done.stdout


def through(mirror: Mirror, place: Path) -> Path:
    """A pip.conf of that mirror."""
    place.write_text(f"[global]\nindex-url = http://{mirror.address}/simple\n")
    return place


@pytest.mark.parametrize("poetry", ["poetry==1.8.5", "poetry"])
def test_a_poetry_lock_with_and_without_poetry(
    world: World, project: Path, mirror: Mirror, tmp_path: Path, poetry: str
) -> None:
    """Red when another Poetry's lock is not read, a choice is lost, or the fallback resolves anew."""
    plant(project, {"pyproject.toml": POETRY + SOURCE})
    tool(project, poetry, "lock")
    chosen = {"DEPENDENCY_GROUPS": "prod", "DEPENDENCY_EXTRAS": "text"}
    with_it, log = built(world, project, **chosen)
    assert set(with_it) == {"django", "iniconfig", "markdown"}
    assert "poetry.lock is read without it" not in log
    mirror.refused.add("poetry")
    image, done = world.build(
        "dependencies", project, "--network", "host", secrets={"pip": through(mirror, tmp_path /
        "pip.conf")}, **chosen,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "Poetry cannot be installed here" in done.stdout
    assert installed(world, image) == with_it
    # what has changed since is refused by it too
    plant(project, {"pyproject.toml": POETRY.replace("~4.2", "~5.0") + SOURCE})
    _, done = world.build(
        "dependencies", project, "--network", "host", secrets={"pip": tmp_path / "pip.conf"}
    )
    assert "SLIP-056: poetry.lock does not match" in done.stdout


def test_a_pipfile_with_and_without_lock_and_pipenv(
    world: World, project: Path, mirror: Mirror, tmp_path: Path
) -> None:
    """Red when a Pipfile's Python stops Pipenv, or what is not pinned is installed in silence."""
    plant(project, {"Pipfile": PIPFILE})
    found, log = built(world, project)
    assert found.keys() == {"django"} and found["django"].startswith("4.2.")
    assert NOTHING_PINNED in log
    plant(project, {"Pipfile": PIPFILE.replace('"3.8"', '"3.11"')})
    tool(project, "pipenv", "lock")
    mirror.refused.add("pipenv")
    secrets = {"pip": through(mirror, tmp_path / "pip.conf")}
    image, done = world.build("dependencies", project, "--network", "host", secrets=secrets)
    assert done.returncode == 0, done.stdout
    assert "Pipenv cannot be installed here" in done.stdout
    assert installed(world, image) == found
    plant(project, {"Pipfile": PIPFILE.replace("4.2.0", "5.0.0")})
    _, done = world.build("dependencies", project, "--network", "host", secrets=secrets)
    assert "SLIP-056: Pipfile.lock does not match" in done.stdout


def test_uv_with_groups_extras_and_another_uv_in_mind(world: World, project: Path) -> None:
    """Red when default groups reach production, or required-version and .python-version stop the build."""
    plant(project, {"pyproject.toml": UV})
    subprocess.run(["uv", "lock", "--quiet"], cwd=project, check=True)
    wants = '[tool.uv]\nrequired-version = "==0.4.10"\npython-preference = "only-managed"\n'
    plant(project, {"pyproject.toml": UV.replace("[tool.uv]\n", wants), ".python-version": "3.12.3\n"})
    found, _ = built(world, project, DEPENDENCY_GROUPS="prod", DEPENDENCY_EXTRAS="text")
    assert found.keys() == {"django", "iniconfig", "markdown", "my-shop"}
    development = world.image("dev-dependencies", project)
    assert installed(world, development).keys() == {"django", "pluggy", "attrs", "my-shop"}


DYNAMIC = """\
[project]
name = "d"
dynamic = ["version", "dependencies"]
readme = "README.md"

[tool.setuptools.dynamic]
dependencies = {file = ["deploy/pinned.lst"]}
"""
SETUP_PY = """\
from setuptools import setup, find_packages
import config
setup(name="s", version="1", long_description=open("README.md").read(), packages=find_packages(),
      install_requires=["django~=4.2.0"], extras_require={"test": ["pluggy"]})
"""
SETUP_CFG = """\
[metadata]
name = c
version = 3
[options]
install_requires = django~=4.2.0
"""


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"pyproject.toml": POETRY}, {"django", "iniconfig"}),
        ({"pyproject.toml": UV}, {"django", "iniconfig", "my-shop"}),
        ({"pyproject.toml": DYNAMIC, "deploy/pinned.lst": "django~=4.2.0\n"}, {"django", "d"}),
        ({"setup.py": SETUP_PY}, {"django"}),
        ({"setup.py": "import setuptools\nsetuptools.setup()\n", "setup.cfg": SETUP_CFG}, {"django", "c"}),
    ],
    ids=["poetry", "pep621", "setuptools-dynamic", "setup.py", "setup.cfg"],
)
def test_metadata_without_a_lock(world: World, project: Path, files: dict[str, str], names: set[str]) -> None:
    """Red when one kind of metadata is not read, needs the code, or is not said to pin nothing."""
    plant(project, files)
    groups = {"DEPENDENCY_GROUPS": "prod"} if "iniconfig" in names else {}
    found, log = built(world, project, **groups)
    assert found.keys() - {"s"} == names
    assert NOTHING_PINNED in log


def test_a_tree_of_odd_requirements_files(world: World, project: Path) -> None:
    """Red when an include out of the folder, a constraint, an encoding or Windows' packages stop uv."""
    plant(project, {"shared/common.txt": "\ufeffDjango<5 # x\r\n-c pins/cons.txt\r\n", "backend/keep": ""})
    plant(project, {"shared/pins/cons.txt": "Django==4.2.16\n"})
    lines = "-r ../shared/common.txt\r\n-e .\r\niniconfig ; python_version >= '3'\r\npywin32==306\r\n"
    (project / "backend/reqs-prod.pip").write_bytes((lines + "pkg-resources==0.0.0\r\n").encode("utf-16"))
    found, log = built(world, project, DEPENDENCY_DIR="backend")
    assert found.keys() == {"django", "iniconfig"} and found["django"] == "4.2.16"
    assert "pywin32==306: left out" in log


def test_an_index_line_beside_a_mirror(world: World, project: Path, mirror: Mirror, tmp_path: Path) -> None:
    """Red when the index that a file names is not asked beside this machine's."""
    own = Mirror()
    try:
        plant(project, {"requirements.txt": f"--index-url http://{own.address}/simple\ndjango\n"})
        secrets = {"pip": through(mirror, tmp_path / "pip.conf")}
        image = world.image("dependencies", project, "--network", "host", secrets=secrets)
        assert "django" in installed(world, image)
        for asked in (mirror.asked, own.asked):
            assert any(path.startswith("/simple/django") for path in asked), asked
    finally:
        own.server.shutdown()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """A Git repository over HTTP with a distribution called thing; its address."""
    work = tmp_path / "thing"
    plant(work, {"setup.py": "from setuptools import setup\nsetup(name='thing', version='7')\n"})
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], cwd=work, check=True)
    subprocess.run([*git, "clone", "-q", "--bare", work, tmp_path / "served/thing.git"], check=True)
    subprocess.run([*git, "update-server-info"], cwd=tmp_path / "served/thing.git", check=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/thing.git"
    server.shutdown()


def test_a_dependency_from_git(world: World, project: Path, repository: str) -> None:
    """Red when Git is not installed after the first failure, or `-e git+...` reaches uv as it is."""
    plant(project, {"requirements.txt": f"django\n-e git+{repository}@main#egg=thing\n"})
    found, log = built(world, project, "--network", "host")
    assert found["thing"] == "7"
    assert "a dependency comes from a Git repository" in log


def test_a_package_that_cannot_be_built_has_the_last_word(world: World, project: Path) -> None:
    """Red when the compilers' installation hides why, or the build goes on without the package."""
    plant(project, {"broken/setup.py": "raise RuntimeError('needs a frobnicator')\n"})
    with tarfile.open(project / "broken-1.tar.gz", "w:gz") as archive:
        archive.add(project / "broken/setup.py", "broken-1/setup.py")
    plant(project, {"requirements.txt": "django\nbroken @ file:./broken-1.tar.gz\n"})
    log = world.failure("dependencies", project)
    assert "has no wheel for this Python and has to be built: installing" in log
    last = [line for line in log.splitlines() if "needs a frobnicator" in line]
    assert any("error: Failed to build" in line for line in last), log


def test_what_installs_no_django_is_refused(world: World, project: Path) -> None:
    """Red when it is found out when the settings are imported, far from the cause."""
    plant(project, {"requirements.txt": "iniconfig\n"})
    assert "SLIP-132: no Django is among what requirements.txt installs" in world.failure(
        "dependencies", project
    )


def test_libraries_that_are_loaded_by_name(world: World, project: Path) -> None:
    """Red when an entry of the table names no package, or code that uses GeoDjango is not noticed."""
    plant(project, {"requirements.txt": "django\npsycopg\nweasyprint\npyzbar\npyvips\ncairosvg\nwand\n"})
    settings = project / "config/settings.py"
    settings.write_text(settings.read_text() + '\nUNUSED = "django.contrib.gis"\n')
    image = world.image("web", project, COLLECTSTATIC="skip")
    use = (
        "import psycopg, weasyprint, pyzbar.pyzbar, pyvips, cairosvg, wand.image;"
        "from django.conf import settings; settings.configure();"
        "from django.contrib.gis import gdal, geos; gdal.gdal_version(); geos.geos_version();"
        "weasyprint.HTML(string='x').write_pdf(); print('all')"
    )
    assert world.run(image, "/opt/venv/bin/python", "-c", use) == "all"


@pytest.mark.parametrize("version", ["3.11", "3.14"])
def test_other_pythons(world: World, project: Path, version: str) -> None:
    """Red when a name of a Debian package, or the tools' own pins, hold for one release only."""
    reference = f"slipway/python:{version}-slim-trixie"
    if subprocess.run(["docker", "image", "inspect", reference], capture_output=True, check=False).returncode:
        pytest.skip(f"{reference} is not on this machine: PYTHON_VERSION={version} invoke bases")
    plant(project, {"requirements.txt": "django\npsycopg2==2.9.10\npython-magic\n"})
    image = world.image("web", project, PYTHON_IMAGE=reference, COLLECTSTATIC="skip")
    use = "import magic, psycopg2, sys; print('%d.%d' % sys.version_info[:2])"
    assert world.run(image, "/opt/venv/bin/python", "-c", use) == version
