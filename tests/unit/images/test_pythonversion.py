"""What projects say about Python, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.settings import load
from slipway.core.errors import SlipwayError
from slipway.images import pythonversion
from slipway.images.pythonversion import OFFERED, choose, declared, poetry_ranges

POETRY = "[tool.poetry.dependencies]\npython = {}\n"


def admitted(project: Path, dependency_dir: str = ".") -> str:
    found = declared(project, dependency_dir)
    return " ".join(v for v in OFFERED if all(pythonversion.admits(d, v) for d in found))


@pytest.mark.parametrize(
    ("file", "content", "versions"),
    [
        ("pyproject.toml", '[project]\nrequires-python = ">=3.12"\n', "3.12 3.13 3.14"),
        ("pyproject.toml", '[project]\nrequires-python = ">=3.12.4,<3.13"\n', "3.12"),
        ("pyproject.toml", '[project]\nrequires-python = "==3.11.4"\n', "3.11"),
        ("pyproject.toml", '[project]\nrequires-python = "<=3.12"\n', "3.10 3.11 3.12"),
        ("pyproject.toml", '[project]\nrequires-python = ">3.12"\n', "3.12 3.13 3.14"),
        ("pyproject.toml", POETRY.format('"^3.11"'), "3.11 3.12 3.13 3.14"),
        ("pyproject.toml", POETRY.format('"~3.11"'), "3.11"),
        ("pyproject.toml", POETRY.format('"3.11.4"'), "3.11"),
        ("pyproject.toml", POETRY.format('"3.11.*"'), "3.11"),
        ("pyproject.toml", POETRY.format('"~3.10 || ~3.12"'), "3.10 3.12"),
        ("pyproject.toml", POETRY.format('">=3.10 <3.12"'), "3.10 3.11"),
        ("pyproject.toml", POETRY.format('">= 3.8, < 3.12, !=3.9.7"'), "3.10 3.11"),
        ("pyproject.toml", POETRY.format('"*"'), "3.10 3.11 3.12 3.13 3.14"),
        ("pyproject.toml", POETRY.format('{version = "^3.13"}'), "3.13 3.14"),
        ("Pipfile", '[requires]\npython_version = "3.12"\n', "3.12"),
        ("Pipfile", '[requires]\npython_full_version = "3.12.3"\npython_version = "3.12"\n', "3.12"),
        ("Pipfile.lock", '{"_meta": {"requires": {"python_version": "3.11"}}}', "3.11"),
        (".python-version", "3.11.4\n", "3.11"),
        (".python-version", "# ours\ncpython@3.12\n3.10\n", "3.12"),
        (".python-version", ">=3.12,<3.14", "3.12 3.13"),
        ("runtime.txt", "\ufeffpython-3.11.4\r\n", "3.11"),
        ("setup.cfg", "[options]\npython_requires = >=3.13\n", "3.13 3.14"),
        ("setup.py", "from setuptools import setup\nsetup(python_requires='>=3.14')\n", "3.14"),
        # what says nothing
        (".python-version", "my-virtualenv\n", " ".join(OFFERED)),
        (".python-version", "pypy3.10-7.3\n", " ".join(OFFERED)),
        (".python-version", "3\n", " ".join(OFFERED)),
        ("pyproject.toml", "[project\n", " ".join(OFFERED)),
        ("pyproject.toml", POETRY.format('"latest"'), " ".join(OFFERED)),
        ("setup.py", "print 'two'\n", " ".join(OFFERED)),
    ],
)
def test_what_a_file_admits(tmp_path: Path, file: str, content: str, versions: str) -> None:
    """Red when a file is not read, or its notation is taken for another's."""
    (tmp_path / file).write_text(content)
    assert admitted(tmp_path) == versions


def test_which_folders_count(tmp_path: Path) -> None:
    """Red when the root's pyproject.toml speaks for a project in another folder, or its pin does not."""
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = "<3.11"\n')
    (tmp_path / "runtime.txt").write_text("python-3.12.1\n")
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/pyproject.toml").write_text('[project]\nrequires-python = ">=3.12"\n')
    found = declared(tmp_path, "backend")
    assert [str(d) for d in found] == [
        "backend/pyproject.toml asks for requires-python >=3.12",
        "runtime.txt asks for Python python-3.12.1",
    ]


@pytest.mark.parametrize(
    ("range_", "pin", "offered", "chosen"),
    [
        ("", "", OFFERED, "3.13"),
        (">=3.10", "", OFFERED, "3.13"),
        ("<3.13", "", OFFERED, "3.12"),
        (">=3.14", "", OFFERED, "3.14"),
        (">=3.15", "", OFFERED, None),
        (">=3.10", "3.12.1", OFFERED, "3.12"),
        # what cannot be had: the next one up, and nothing outside the range
        ("", "3.8", OFFERED, "3.10"),
        ("", "3.12", ("3.11", "3.13", "3.14"), "3.13"),
        ("<3.13", "3.12", ("3.11", "3.13"), "3.11"),
        ("", "3.15", OFFERED, "3.14"),
    ],
)
def test_which_is_chosen(
    tmp_path: Path, range_: str, pin: str, offered: tuple[str, ...], chosen: str | None
) -> None:
    """Red when the newest always wins, a pin is no more than a range, or a range gives way to a pin."""
    if range_:
        (tmp_path / "pyproject.toml").write_text(f'[project]\nrequires-python = "{range_}"\n')
    if pin:
        (tmp_path / ".python-version").write_text(pin)
    assert choose(declared(tmp_path), offered) == chosen


def test_a_lock_does_not_repeat_its_pipfile(tmp_path: Path) -> None:
    """Red when both are refused: one message names one file to look at."""
    (tmp_path / "Pipfile").write_text('[requires]\npython_version = "3.12"\n')
    (tmp_path / "Pipfile.lock").write_text('{"_meta": {"requires": {"python_version": "3.12"}}}')
    assert [d.file for d in declared(tmp_path)] == ["Pipfile"]


def test_poetry_notation_that_is_none() -> None:
    """Red when what is not understood counts as admitting everything."""
    with pytest.raises(ValueError, match="Invalid specifier"):
        poetry_ranges("=>3.8")


def test_django_and_python() -> None:
    """Red when an old Django is put on a Python without the modules it imports."""
    assert pythonversion.for_django("2.2.28") == ("3.10", "3.10")
    assert pythonversion.for_django("3.2.25") == ("3.10", "3.11")
    assert pythonversion.for_django("4.2.16") == ("3.10", "3.13")
    assert pythonversion.for_django("5.2") == ("3.10", "3.14")
    assert pythonversion.for_django("6.0.1") == ("3.12", "3.14")


@pytest.mark.parametrize(
    ("own", "file", "content", "fix"),
    [
        ("", "pyproject.toml", '[project]\nrequires-python = ">=3.14"\n', "PYTHON_VERSION=3.14 in .env"),
        ("PYTHON_VERSION=3.11\n", "pyproject.toml", '[project]\nrequires-python = ">=3.12"\n', "=3.13"),
        ("PYTHON_IMAGE=mirror.example/python:3.11-slim\n", "setup.cfg",
         "[options]\npython_requires = >=3.12\n", "=3.13"),
        ("", "pyproject.toml", '[project]\nrequires-python = ">=3.15"\n', "3.12, 3.13, 3.14 only"),
        ("", ".python-version", "3.12.1\n", "=3.12 in .env, or PYTHON_VERSION=3.13 to use that"),
    ],
)  # fmt: skip
def test_an_image_that_does_not_do_is_refused(
    checkout: Path, own: str, file: str, content: str, fix: str
) -> None:
    """Red when the check goes, or looks at the default instead of the image."""
    (checkout / ".env").write_text(own)
    (checkout / "example" / file).write_text(content)
    with pytest.raises(SlipwayError) as caught:
        pythonversion.check(load(checkout, environ={}))
    assert caught.value.slip_code == "SLIP-130"
    assert file in caught.value.problem
    assert fix in caught.value.fix


@pytest.mark.parametrize("own", ["PYTHON_VERSION=3.13\n", "PYTHON_IMAGE=python:3.13-slim\n"])
def test_a_pin_gives_way_to_what_a_person_has_set(
    checkout: Path, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when a version that nobody can get makes a project impossible to run."""
    (checkout / "example/runtime.txt").write_text("python-3.8.10\n")
    with pytest.raises(SlipwayError, match="SLIP-130"):
        pythonversion.check(load(checkout, environ={}))
    (checkout / ".env").write_text(own)
    pythonversion.check(load(checkout, environ={}))
    assert "runtime.txt asks for Python python-3.8.10; 3.13 is used" in capsys.readouterr().err


def test_an_image_of_unknown_version_is_left_to_the_build(checkout: Path) -> None:
    """Red when an image of somebody's own is taken for the default."""
    (checkout / ".env").write_text("PYTHON_IMAGE=acme/base:1\n")
    (checkout / "example/pyproject.toml").write_text('[project]\nrequires-python = ">=3.14"\n')
    pythonversion.check(load(checkout, environ={}))
