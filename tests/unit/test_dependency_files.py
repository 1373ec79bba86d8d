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
    assert dependency_files.main([str(project), "a", str(tmp_path / "out")]) == 0
    copied = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert copied == {"a/requirements.txt", "lib/pkg/setup.py"}


def test_further_sources_of_a_pipfile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when the default index is listed too: it would win over a mirror."""
    sources = [
        {"name": "pypi", "url": "https://index.test/simple"},
        {"name": "own", "url": "https://own.test/simple"},
    ]
    write(tmp_path, "Pipfile.lock", json.dumps({"_meta": {"sources": sources}}))
    assert dependency_files.main(["--pipfile-sources", str(tmp_path / "Pipfile.lock")]) == 0
    assert capsys.readouterr().out == "https://own.test/simple\n"
