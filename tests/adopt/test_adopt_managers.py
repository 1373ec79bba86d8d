"""Every way a project says what it depends on."""

from __future__ import annotations

from collections.abc import Callable

from adoptkit import Adopted
from projectkit import Project
from projects import (
    backend_folder,
    pipenv_locked,
    pipenv_unlocked,
    poetry_groups,
    poetry_old,
    psycopg2_source,
    uv_src,
)

Beside = Callable[[Project], Adopted]
_SESSIONS = """
from django.contrib.sessions.models import Session
print(f"in {Session.objects.db}: {Session.objects.count()}")
"""


def test_pipenv_with_a_lock(beside: Beside) -> None:
    """Red when the platform's DATABASE_URL stays unset: the page then comes from an SQLite nobody keeps."""
    own = beside(pipenv_locked.PROJECT)
    own.prove()
    assert own.sql("select count(*) from catalog_item") == "3"


def test_pipenv_without_a_lock(beside: Beside) -> None:
    """Red when a Pipfile alone is nothing to install from."""
    own = beside(pipenv_unlocked.PROJECT)
    own.prove()
    own.assert_static("/static/robots.css", "collected from here")


def test_poetry_with_groups_and_no_package(beside: Beside) -> None:
    """Red when the group `production` is left out: the driver of the database is in it."""
    own = beside(poetry_groups.PROJECT)
    own.prove()
    assert not own.has_module("iniconfig"), "a development group is in production"


def test_poetry_of_the_old_style(beside: Beside) -> None:
    """Red when `[tool.poetry.dependencies]` is not read, or a comma in ALLOWED_HOSTS is a blank."""
    beside(poetry_old.PROJECT).prove()


def test_uv_with_the_package_in_src(beside: Beside) -> None:
    """Red without src on the path, without the extra, or when nobody tells importlib.metadata the version."""
    own = beside(uv_src.PROJECT)
    own.prove()
    said = own.invoke("shell", "--django", stdin="from shop.settings import VERSION; print('is', VERSION)\n")
    assert "is 2.7.1" in said.stdout


def test_the_lock_above_manage_py(beside: Beside) -> None:
    """Red when DEPENDENCY_DIR is taken for MANAGE_DIR."""
    beside(backend_folder.PROJECT).prove()


def test_a_driver_compiled_from_source_and_two_databases(beside: Beside) -> None:
    """Red without compiler and headers, without libpq at run time, or without the second database."""
    own = beside(psycopg2_source.PROJECT)
    own.prove()
    said = own.invoke("shell", "--django", stdin=_SESSIONS).stdout
    assert "in archive: 1" in said, said
    assert own.exec("web", "sh", "-c", "command -v gcc cc || echo none") == "none"
