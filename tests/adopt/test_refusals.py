"""Projects that cannot work: one message with a code and the fix, and no file written. Needs no engine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from adoptkit import Adopted, changes, tree
from projectkit import Project
from projects import pip_tree, sqlite_only, uv_src

Beside = Callable[[Project], Adopted]


def no_manage_py(root: Path) -> str:
    """A library, or the wrong folder."""
    (root / "manage.py").unlink()
    return "manage.py"


def two_of_them(root: Path) -> str:
    """Two sites in one repository: neither is the one."""
    for site in ("intranet", "website"):
        shutil.copytree(root, root / site, ignore=shutil.ignore_patterns("intranet", "website", ".git"))
    (root / "manage.py").unlink()
    return "manage.py"


def broken_settings(root: Path) -> str:
    """A merge that nobody has finished."""
    settings = root / "mysite/settings.py"
    settings.write_text(f"<<<<<<< HEAD\n{settings.read_text()}", encoding="utf-8")
    return "settings.py"


def python_too_new(root: Path) -> str:
    """Of a year to come."""
    manifest = root / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace(">=3.11", ">=3.99"), encoding="utf-8")
    return "3.99"


def unknown_manager(root: Path) -> str:
    """Conda's file, and no other."""
    (root / "requirements.txt").unlink()
    (root / "environment.yml").write_text("dependencies: [python, django]\n", encoding="utf-8")
    return "requirements"


CASES: dict[str, tuple[Project, Callable[[Path], str]]] = {
    "no manage.py": (sqlite_only.PROJECT, no_manage_py),
    "two of them": (sqlite_only.PROJECT, two_of_them),
    "broken settings": (sqlite_only.PROJECT, broken_settings),
    "Python too new": (uv_src.PROJECT, python_too_new),
    "unknown manager": (sqlite_only.PROJECT, unknown_manager),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_work_is_refused_in_one_message(beside: Beside, case: str) -> None:
    """Red when a file is written before the last check, or the project's error comes as a traceback."""
    project, spoil = CASES[case]
    own = beside(project)
    word = spoil(own.place)
    kit, place = tree(own.root), tree(own.place)
    done = own.invoke("adopt", str(own.place), "--yes", check=False, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.findall(r"^SLIP-\d+: ", done.stderr, re.MULTILINE), done.stderr
    assert len(re.findall(r"SLIP-\d+", done.stderr)) == 1, done.stderr
    assert "\n  fix: " in done.stderr and word in done.stderr, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert changes(kit, tree(own.root)) == []
    assert changes(place, tree(own.place)) == []


def test_a_folder_that_is_not_there(beside: Beside) -> None:
    """Red when PATH is taken for an empty project."""
    own = beside(sqlite_only.PROJECT)
    done = own.invoke("adopt", str(own.place / "nowhere"), "--yes", check=False)
    assert done.returncode == 1
    assert "SLIP-" in done.stderr and "nowhere" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("flags", [("--dry",), ("--dry", "--json"), ()], ids=["dry", "json", "nobody asked"])
def test_a_look_writes_nothing(beside: Beside, flags: tuple[str, ...]) -> None:
    """Red when --dry writes, or a missing answer is taken for a yes."""
    own = beside(pip_tree.PROJECT)
    kit = tree(own.root)
    done = own.invoke("adopt", str(own.place), *flags, check=False, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert (done.returncode == 0) == bool(flags), done.stdout + done.stderr
    assert "storefront" in done.stdout + done.stderr
    assert changes(kit, tree(own.root)) == []
    own.assert_untouched()
