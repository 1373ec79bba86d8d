"""docker/dependency_choice.py, requirements_text.py: what is installed from, and how its lines are read."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from kitfiles import load

dependency_choice = load("dependency_choice")
requirements_text = dependency_choice.requirements_text

DJANGO = "Django==5.2\n"
PROJECT = "[project]\nname = 'x'\n"
POETRY = "[tool.poetry]\nname = 'x'\n[tool.poetry.dependencies]\ndjango = '*'\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("files", "manager", "chosen"),
    [
        ({"uv.lock": "", "requirements.txt": DJANGO, "pyproject.toml": PROJECT}, "uv", ["uv.lock"]),
        ({"poetry.lock": "", "Pipfile.lock": "", "Pipfile": ""}, "poetry", ["poetry.lock"]),
        ({"uv.lock": "", "poetry.lock": "", "pyproject.toml": POETRY}, "poetry", ["poetry.lock"]),
        ({"uv.lock": "", "poetry.lock": "", "pyproject.toml": PROJECT}, "uv", ["uv.lock"]),
        ({"Pipfile.lock": "", "requirements.txt": DJANGO}, "pipenv", ["Pipfile.lock"]),
        ({"Pipfile": "", "requirements.txt": DJANGO}, "requirements", ["requirements.txt"]),
        ({"Pipfile": "", "pyproject.toml": PROJECT}, "pipenv", ["Pipfile"]),
        ({"requirements.txt": DJANGO, "pyproject.toml": PROJECT}, "requirements", ["requirements.txt"]),
        ({"pyproject.toml": PROJECT}, "project", ["pyproject.toml"]),
        ({"pyproject.toml": POETRY}, "project", ["pyproject.toml"]),
        ({"setup.py": "setup(name='x')", "pyproject.toml": "[tool.ruff]\n"}, "project", ["setup.py"]),
        ({"setup.cfg": "[options]\ninstall_requires = django\n"}, "project", ["setup.cfg"]),
    ],
)
def test_which_manager(tmp_path: Path, files: dict[str, str], manager: str, chosen: list[str]) -> None:
    """Red when the order changes: what is pinned goes before what is not."""
    write(tmp_path, files)
    choice = dependency_choice.choose(tmp_path)
    assert (choice.manager, list(choice.files)) == (manager, chosen)


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["requirements.txt"], ["requirements.txt"]),
        (["requirements/production.txt", "requirements/base.txt", "requirements/local.txt"],
         ["requirements/production.txt"]),
        (["requirements/prod.txt", "requirements.txt"], ["requirements/prod.txt"]),
        (["requirements-dev.txt", "requirements.txt", "requirements-docs.txt"], ["requirements.txt"]),
        (["requirements.in", "requirements.txt"], ["requirements.txt"]),
        (["requirements.in"], ["requirements.in"]),
        (["reqs.pip"], ["reqs.pip"]),
        (["Requirement.txt"], ["Requirement.txt"]),
        (["requirements"], ["requirements"]),
        (["reqs/base.txt", "reqs/test.txt"], ["reqs/base.txt"]),
        (["requirements/requirements.txt"], ["requirements/requirements.txt"]),
        (["requirements/requirements-prod.txt", "requirements/common.txt"],
         ["requirements/requirements-prod.txt"]),
        (["pip-requirements.txt"], ["pip-requirements.txt"]),
        (["prod-requirements.txt", "dev-requirements.txt"], ["prod-requirements.txt"]),
        (["requirements/heroku.txt", "requirements/dev.txt"], ["requirements/heroku.txt"]),
        (["requirements-py3.txt", "requirements-dev.txt"], ["requirements-py3.txt"]),
        # only one for development: better than nothing
        (["requirements-dev.txt"], ["requirements-dev.txt"]),
    ],
)  # fmt: skip
def test_which_requirements_files(tmp_path: Path, files: list[str], chosen: list[str]) -> None:
    """Red when a name is not known, or one for development is taken for production."""
    write(tmp_path, dict.fromkeys(files, DJANGO))
    assert list(dependency_choice.production_files(tmp_path)) == chosen


def test_a_production_file_without_django_is_an_addition(tmp_path: Path) -> None:
    """Red when the name alone decides: Django would be missing."""
    write(tmp_path, {"requirements.txt": DJANGO, "requirements/prod.txt": "gunicorn\n"})
    assert dependency_choice.production_files(tmp_path) == ("requirements.txt", "requirements/prod.txt")
    write(tmp_path, {"requirements/prod.txt": "-r ../requirements.txt\ngunicorn\n"})
    assert dependency_choice.production_files(tmp_path) == ("requirements/prod.txt",)


def test_a_file_for_something_else_is_passed_over(tmp_path: Path) -> None:
    """Red when the general name wins over what asks for Django."""
    write(tmp_path, {"requirements.txt": "mkdocs\n", "requirements/site.txt": "wagtail\n"})
    assert dependency_choice.production_files(tmp_path) == ("requirements/site.txt",)


def test_what_is_there_too_is_named_with_the_way_to_it(tmp_path: Path) -> None:
    """Red when the build says nothing of a second manager."""
    write(tmp_path, {"uv.lock": "", "requirements.txt": DJANGO, "pyproject.toml": PROJECT})
    assert str(dependency_choice.choose(tmp_path)) == (
        "installing from uv.lock (uv); requirements.txt is there too:"
        " DEPENDENCY_MANAGER=requirements takes that"
    )
    assert dependency_choice.choose(tmp_path, "requirements").files == ("requirements.txt",)
    assert dependency_choice.choose(tmp_path, "project").files == ("pyproject.toml",)
    assert dependency_choice.choose(tmp_path, "", ["requirements.txt"]).manager == "requirements"


@pytest.mark.parametrize(
    ("manager", "files", "part"),
    [
        ("poetry", [], "SLIP-131: DEPENDENCY_MANAGER=poetry"),
        ("", ["missing.txt"], "SLIP-131: REQUIREMENTS_FILES names missing.txt"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, manager: str, files: list[str], part: str) -> None:
    """Red when a wrong variable is passed over in silence."""
    write(tmp_path, {"uv.lock": ""})
    with pytest.raises(dependency_choice.ChoiceError, match=part):
        dependency_choice.choose(tmp_path, manager, files)


def test_nothing_at_all(tmp_path: Path) -> None:
    """Red when a pyproject.toml of tools' settings counts as metadata."""
    write(tmp_path, {"pyproject.toml": "[tool.black]\n", "setup.cfg": "[flake8]\n", "notes.txt": ""})
    with pytest.raises(dependency_choice.ChoiceError, match="SLIP-055"):
        dependency_choice.choose(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "django==5\r\n".encode("utf-8-sig"),
        "django==5\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "django==5\n".encode("utf-16-be"),
        "django==5\n".encode("utf-16-le"),
        "django==5\n# caf\xe9\n".encode("latin-1"),
    ],
)
def test_any_encoding(tmp_path: Path, content: bytes) -> None:
    """Red when a mark is not looked at: Windows' `pip freeze >` writes UTF-16."""
    (tmp_path / "requirements.txt").write_bytes(content)
    assert requirements_text.read(tmp_path / "requirements.txt").splitlines()[0] == "django==5"


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("django==5.2 ; python_version > '3' # why", "django==5.2 ; python_version > '3' # why"),
        ("-e git+https://x.test/y.git@main#egg=thing", "thing @ git+https://x.test/y.git@main#egg=thing"),
        ("-e git+https://x.test/y#subdirectory=z&egg=a-b[c]",
         "a-b[c] @ git+https://x.test/y#subdirectory=z&egg=a-b[c]"),
        ("-e ./libs/thing", "-e ./libs/thing"),
        ("-r base.txt", "-r base.txt"),
        ("pkg-resources==0.0.0", None),
        ("pywin32==306", None),
        ("backports.zoneinfo==0.2.1", None),
        ("typing ; python_version < '3.5'", "typing ; python_version < '3.5'"),
        ("pywin32==306 ; sys_platform == 'win32'", "pywin32==306 ; sys_platform == 'win32'"),
        ("--index-url https://own.test/simple", "--extra-index-url https://own.test/simple"),
        ("-i https://u:p@public.test/simple/", None),
        ("-e .", None), ("-e .[postgres,s3]", None), (".", None), ("--editable=./", None),
    ],
)  # fmt: skip
def test_lines_as_uv_takes_them(tmp_path: Path, line: str, becomes: str | None) -> None:
    """Red when a line that pip takes reaches uv, which refuses it, or one is changed that was right."""
    done = requirements_text.clean(
        f"{line}\n", tmp_path, tmp_path, "https://mirror.test/simple", "https://public.test/simple"
    )
    assert done.text == (f"{becomes}\n" if becomes else "")
    assert done.own == (line in {"-e .", "-e .[postgres,s3]", ".", "--editable=./"})


def test_what_a_file_says_besides(tmp_path: Path) -> None:
    """Red when the extras of `-e .[x]` are lost, or a hash on a continued line is not seen."""
    text = "-e .[postgres, s3]\nthing==1 \\\n    --hash=sha256:0\n--index-url https://own.test/\n"
    done = requirements_text.clean(text, tmp_path, tmp_path, "", "https://public.test/")
    assert (done.own, done.own_extras, done.hashes) == (True, {"postgres", "s3"}, True)
    # without a mirror of this machine, the project's own index is the one
    assert "--index-url https://own.test/" in done.text
