"""What has to be built is built, its libraries are there, and no compiler is; the project is importable."""

from __future__ import annotations

from pathlib import Path

import pytest
from imagekit import PYTHON_IMAGE, World, copy_of_project, plant

USE = """
import importlib.metadata, magic, psycopg2, shop_lib, further
print(psycopg2.__version__.split()[0], magic.from_buffer(b"%PDF-1.4", mime=True), shop_lib.X, further.X)
print(importlib.metadata.version("my-shop"), importlib.metadata.version("asgiref"))
"""
LOOK = "ls -d /out 2>/dev/null; command -v gcc; sed -n 's/^Package: //p' /var/lib/dpkg/status"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frozen requirements file from Windows, a driver without a wheel, and a package of its own in src."""
    place = copy_of_project("plain", tmp_path_factory.mktemp("libraries") / "plain")
    frozen = "Django==5.2\r\nasgiref==3.8.1\r\npsycopg2==2.9.10\r\npython-magic\r\npywin32==306\r\n-e .\r\n"
    (place / "requirements.txt").write_bytes(frozen.encode("utf-16"))
    own = '[project]\nname = "my-shop"\nversion = "4.5.6"\ndependencies = ["iniconfig"]\n'
    plant(place, {"pyproject.toml": own, "src/shop_lib/__init__.py": "X = 1\n", "lib/further.py": "X = 2\n"})
    return place


@pytest.mark.parametrize("target", ["web", "dev"])
def test_a_driver_is_built_and_its_library_alone_comes_along(
    world: World, project: Path, target: str
) -> None:
    """Red when runtime_libraries.py finds nothing (ImportError: libpq.so.5), when the stage `base` gets the
    compilers (gcc), when project_package.py writes nothing, or what a build hands over stays in the image.
    """
    image = world.image(
        target, project, PYTHONPATH_DIRS="lib", EXTRA_PIP_PACKAGES="asgiref whitenoise", COLLECTSTATIC="skip"
    )
    code = ("--volume", f"{project}:/app:ro") if target == "dev" else ()
    used = world.run(image, "/opt/venv/bin/python", "-c", USE, options=code)
    # EXTRA_PIP_PACKAGES has changed nothing that is pinned
    assert used.splitlines() == ["2.9.10 application/pdf 1 2", "4.5.6 3.8.1"]
    before = set(world.run(PYTHON_IMAGE, "sh", "-c", LOOK).splitlines())
    added = set(world.run(image, "sh", "-c", LOOK).splitlines()) - before
    assert {"libpq5", "libmagic1t64"} <= added
    assert not {name for name in added if name.endswith("-dev") or "gcc" in name or "/" in name}, added


def test_wheels_alone_add_no_package(world: World, web: str) -> None:
    """Red when install-packages runs apt for an empty list, or libraries that wheels bring are looked for."""
    before, after = (set(world.run(image, "sh", "-c", LOOK).splitlines()) for image in (PYTHON_IMAGE, web))
    assert after - before == set()


@pytest.mark.long
def test_a_program_that_embeds_python_is_linked_and_finds_its_library(world: World, tmp_path: Path) -> None:
    """Debian's interpreter names a shared library that it does not bring.

    Red when build_packages.for_python does not see that: uWSGI cannot be linked (cannot find -lpython3.13).
    """
    place = copy_of_project("plain", tmp_path / "plain")
    plant(place, {"requirements.txt": "django\nuwsgi\n"})
    image = world.image("web", place, COLLECTSTATIC="skip")
    said = world.run(
        image, "uwsgi", "--need-app", "--module=config.wsgi", "--socket=/tmp/s", "--cheap", "--version"
    )
    assert said.startswith("2.")
    assert "not found" not in world.run(image, "sh", "-c", "ldd /opt/venv/bin/uwsgi | grep libpython")
