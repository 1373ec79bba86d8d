"""docker/dependency_files.py: which files of a project decide what is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kitfiles import load

dependency_files = load("dependency_files")


def chosen(project: Path, dependency_dir: str = ".") -> set[str]:
    paths = dependency_files.dependency_files(project, dependency_dir)
    return {str(path.resolve().relative_to(project)) for path in paths}


def plant(project: Path, *names: str, **contents: str) -> None:
    for name in names:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents.get(name, ""))


def write(project: Path, name: str, content: str) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text(content)


def test_manifests_and_requirements_and_no_code(tmp_path: Path) -> None:
    """Red when a pattern takes code along: every change of it would install again."""
    plant(tmp_path, "manage.py", "shop/requirements.py", "notes.txt", "static/requirements.css")
    wanted = [
        "pyproject.toml",
        "uv.lock",
        "Pipfile",
        "requirements.txt",
        "requirements-dev.txt",
        "constraints.txt",
        "requirements/base.txt",
        "dev-requirements.txt",
    ]
    plant(tmp_path, *wanted)
    assert chosen(tmp_path) == set(wanted)


@pytest.mark.parametrize(
    "line",
    [
        "-r more/pinned.pip",
        "-rmore/pinned.pip",
        "--requirement=more/pinned.pip",
        "-c more/pinned.pip",
        "./more/pinned.pip",
        "thing @ file:more/pinned.pip",
        "-e ./more",
        "--find-links more",
        "-f more",
    ],
)
def test_lines_that_name_other_files(tmp_path: Path, line: str) -> None:
    """Red when a spelling pip understands is not followed."""
    plant(tmp_path, "more/pinned.pip")
    write(tmp_path, "requirements.txt", f"django\n{line}\n")
    found = chosen(tmp_path)
    assert found & {"more", "more/pinned.pip"}


def test_includes_of_includes_and_of_themselves(tmp_path: Path) -> None:
    """Red when only one level is read; endless when a circle is not noticed."""
    write(tmp_path, "requirements.txt", "-r a/one.txt\n")
    write(tmp_path, "a/one.txt", "-r two.txt\n-r ../requirements.txt\n")
    write(tmp_path, "a/two.txt", "../vendor/x-1-py3-none-any.whl\nvendor/y-1-py3-none-any.whl\n")
    plant(tmp_path, "vendor/y-1-py3-none-any.whl")
    assert chosen(tmp_path) == {"requirements.txt", "a/one.txt", "a/two.txt", "vendor/y-1-py3-none-any.whl"}


def test_nothing_outside_the_project(tmp_path: Path) -> None:
    """Red without is_relative_to: a path could name any file of the build machine."""
    plant(tmp_path, "outside.txt")
    write(tmp_path, "project/requirements.txt", "-r ../outside.txt\n-r /etc/passwd\n")
    assert chosen(tmp_path / "project") == {"requirements.txt"}


def test_local_packages_that_locks_name(tmp_path: Path) -> None:
    """Red when one of the three lock formats is not read."""
    plant(tmp_path, "libs/u/setup.py", "libs/p/setup.py", "libs/v/setup.py", "wheels/w.whl")
    write(tmp_path, "uv.lock", '[[package]]\nname = "me"\nsource = { virtual = "." }\n'
          '[[package]]\nname = "u"\nsource = { editable = "libs/u" }\n'
          '[[package]]\nname = "r"\nsource = { registry = "x" }\n')  # fmt: skip
    write(
        tmp_path,
        "poetry.lock",
        '[[package]]\nname = "p"\n[package.source]\ntype = "directory"\nurl = "libs/p"\n',
    )
    lock = {"default": {"v": {"editable": True, "path": "./libs/v"}, "n": {"version": "==1"}},
            "develop": {"w": {"file": "wheels/w.whl"}}}  # fmt: skip
    write(tmp_path, "Pipfile.lock", json.dumps(lock))
    assert chosen(tmp_path) == {
        "uv.lock",
        "poetry.lock",
        "Pipfile.lock",
        "libs/u",
        "libs/p",
        "libs/v",
        "wheels/w.whl",
    }


def test_a_dependency_folder_may_reach_into_the_rest_of_the_project(tmp_path: Path) -> None:
    """Red when includes are looked for below the dependency folder only."""
    write(tmp_path, "backend/requirements.txt", "-r ../shared/common.txt\n")
    plant(tmp_path, "shared/common.txt", "requirements.txt")
    assert chosen(tmp_path, "backend") == {"backend/requirements.txt", "shared/common.txt"}


def test_the_copy_has_the_same_places(tmp_path: Path) -> None:
    """Red when the tree is flattened: relative includes would break."""
    project = tmp_path / "project"
    write(project, "a/requirements.txt", "-e ../lib\n")
    plant(project, "lib/pkg/setup.py")
    assert dependency_files.main([str(project), "a", str(tmp_path / "out"), str(tmp_path / "features")]) == 0
    copied = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert copied == {"a/requirements.txt", "lib/pkg/setup.py", ".slipway-server-kind"}


def test_the_metadata_of_a_setup_py_and_no_code(tmp_path: Path) -> None:
    """Red when a change of the code would install again, or setup.py cannot read its own version."""
    write(tmp_path, "setup.py", "setup(install_requires=['django'])")
    plant(tmp_path, "VERSION", "shop/__init__.py", "shop/models.py", "src/thing/_version.py", "manage.py")
    assert chosen(tmp_path) == {"setup.py", "VERSION", "shop/__init__.py", "src/thing/_version.py"}


def test_the_project_itself_is_not_a_local_package(tmp_path: Path) -> None:
    """Red when `-e .` takes the whole project along: every change of it would install again."""
    write(tmp_path, "requirements.txt", "-e .\n-e .[postgres]\n.\n-e ./libs/thing\n")
    plant(tmp_path, "libs/thing/setup.py", "manage.py")
    assert chosen(tmp_path) == {"requirements.txt", "libs/thing"}


def test_files_that_only_metadata_or_a_variable_names(tmp_path: Path) -> None:
    """Red when setuptools' dynamic dependencies, or REQUIREMENTS_FILES, are not followed."""
    write(
        tmp_path,
        "pyproject.toml",
        '[tool.setuptools.dynamic]\ndependencies = {file = ["deploy/pinned.lst"]}\n',
    )
    write(tmp_path, "deploy/pinned.lst", "-r ../more.lst\n")
    plant(tmp_path, "more.lst", "packages")
    found = dependency_files.dependency_files(tmp_path, ".", ["packages"])
    assert {str(p.relative_to(tmp_path)) for p in found} == {
        "pyproject.toml", "deploy/pinned.lst", "more.lst", "packages",
    }  # fmt: skip


def test_what_the_code_uses(tmp_path: Path) -> None:
    """Red when GeoDjango's libraries are installed because of somebody else's code."""
    write(tmp_path, "node_modules/x/settings.py", "'django.contrib.gis'")
    assert dependency_files.features(tmp_path) == []
    write(tmp_path, "config/settings.py", "INSTALLED_APPS = ['django.contrib.gis']")
    assert dependency_files.features(tmp_path) == ["geodjango"]
