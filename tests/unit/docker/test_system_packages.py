"""build_packages.py, runtime_libraries.py, project_package.py: what is asked of Debian, and left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from kitfiles import load

build_packages = load("build_packages")
runtime_libraries = load("runtime_libraries")
project_package = load("project_package")

FAILED = "error: Failed to build `{}`\n  cause: The build backend returned an error\n{}"


def test_compilers_come_once() -> None:
    """Red when a second failure of the same kind installs them again: the build would not end."""
    output = FAILED.format("psycopg2==2.9.10", "Error: pg_config executable not found.")
    lacking, reason = build_packages.lacking(output, [], ["python3-dev"])
    assert {"build-essential", "libpq-dev", "python3-dev"} <= set(lacking)
    assert reason == "psycopg2 has no wheel for this Python and has to be built"
    assert build_packages.lacking(output, lacking) == ([], "")


@pytest.mark.parametrize(
    ("output", "package"),
    [
        (FAILED.format("python_ldap==3.4.4", "x"), "libsasl2-dev"),
        (FAILED.format("pydantic-core==2.0", "error: can't find Rust compiler, rustc"), "cargo"),
        ("error: Failed to download and build `x @ git+https://y`\n"
         "  cause: Git executable not found. Ensure that Git is installed", "git"),
    ],
)  # fmt: skip
def test_what_a_failure_asks_for(output: str, package: str) -> None:
    """Red when an entry of the table, Rust or Git is not recognised."""
    assert package in build_packages.lacking(output, [])[0]


@pytest.mark.parametrize(
    "output",
    [
        "error: No solution found when resolving dependencies\n  cause: Because x was not found",
        "error: Request failed after 3 retries in 6 s",
    ],
)
def test_what_no_compiler_would_help(output: str) -> None:
    """Red when every failure installs compilers: a misspelt name would take half a minute more."""
    assert build_packages.lacking(output, []) == ([], "")


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libpq.so.5", "libpq5"),
        ("libxml2.so.2", "libxml2"),
        ("libmariadb.so.3", "libmariadb3"),
        ("libGL.so.1", "libgl1"),
        ("libpango-1.0.so.0", "libpango-1.0-0"),
        ("libldap-2.5.so.0", "libldap-2.5-0"),
        ("libjpeg.so.62", "libjpeg62-turbo"),
        ("libmagic.so.1", "libmagic1t64"),
        ("libgthread-2.0.so.0", "libglib2.0-0t64"),
    ],
)
def test_what_debian_calls_a_library(library: str, package: str) -> None:
    """Red when the rule of Debian's policy is not kept: the package would not be found."""
    assert package in runtime_libraries.candidates(library)


def test_a_library_that_comes_along_is_not_asked_for() -> None:
    """Red when psycopg's binary, which brings libpq, still installs Debian's."""
    assert list(runtime_libraries.by_name({"psycopg", "django"})) == ["libpq5"]
    assert list(runtime_libraries.by_name({"psycopg", "psycopg-binary"})) == []


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("pyproject.toml", '[project]\nname = "my.Shop"\nversion = "1.2"\n', ("my.Shop", "1.2")),
        ("pyproject.toml", '[project]\nname = "shop"\ndynamic = ["version"]\n', ("shop", "0")),
        ("pyproject.toml", '[tool.poetry]\nname = "shop"\nversion = "1"\n', ("shop", "1")),
        ("pyproject.toml", "[tool.poetry]\npackage-mode = false\n", None),
        ("setup.cfg", "[metadata]\nname = shop\nversion = attr: shop.V\n", ("shop", "0")),
    ],
)
def test_what_a_project_calls_itself(
    tmp_path: Path, file: str, content: str, named: tuple[str, str] | None
) -> None:
    """Red when importlib.metadata would not know a project that has a name."""
    (tmp_path / file).write_text(content)
    assert project_package.name_and_version(tmp_path) == named


def test_what_this_python_lacks_to_build_with_comes_along(tmp_path: Path) -> None:
    """Red when the library that sysconfig names is not looked for: uWSGI could not be linked."""
    headers, library = tmp_path / "include", tmp_path / "libpython3.13.so"
    lacking = build_packages.for_python("3.13", str(headers), str(library))
    assert lacking == ["python3-dev", "libpython3.13-dev"]
    headers.mkdir()
    (headers / "Python.h").touch()
    assert build_packages.for_python("3.13", str(headers), str(library)) == ["libpython3.13-dev"]
    library.touch()
    assert build_packages.for_python("3.13", str(headers), str(library)) == []
    # Built without a shared library, none is lacking.
    assert build_packages.for_python("3.13", str(headers), str(tmp_path / "libpython3.13.a")) == []
