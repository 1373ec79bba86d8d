"""What `invoke adopt` finds around the settings, refuses, and writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from adoptkit import MANAGE, SETTINGS, found_in, write

from slipway.adoption.scan import scan
from slipway.commands.adopt import adopt
from slipway.core import envfile
from slipway.core.checkout import ROOT
from slipway.core.errors import SlipwayError


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A clone nobody has run `init` in, as far as adopting needs it."""
    root = tmp_path / "kit"
    root.mkdir()
    for name in (".env", "app.env", "app.dev.env", "app.prod.env", "app.local.env"):
        shutil.copy(ROOT / f"{name}.example", root)
    return root


def _everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def _adopt(kit: Path, path: Path, *, dry: bool = False, yes: bool = True, as_json: bool = False) -> None:
    adopt(kit, str(path), dry=dry, yes=yes, as_json=as_json)


# -- layout ------------------------------------------------------------------------------------------


def test_folders_that_are_not_the_root(tmp_path: Path) -> None:
    """Red when the lock above manage.py is missed, or MANAGE_DIR."""
    root = tmp_path / "p"
    write(root / "backend", **{"requirements.txt": None})
    found = found_in(
        root,
        **{
            **dict.fromkeys(
                ("manage.py", "shop/settings.py", "shop/__init__.py", "shop/urls.py", "shop/wsgi.py")
            )
        },
    )
    assert found.env["MANAGE_DIR"] == "backend"
    assert "DEPENDENCY_DIR" not in found.env


def test_a_lock_above_the_named_folder(tmp_path: Path) -> None:
    """Red when PATH is taken for the root although what is installed stands above it."""
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "repo/requirements.txt").write_text("Django==5.2\n")
    found = found_in(tmp_path / "repo/site", **{"requirements.txt": None})
    assert found.project.layout.root == tmp_path / "repo"
    assert found.env["MANAGE_DIR"] == "site"


def test_production_over_what_developers_type(tmp_path: Path) -> None:
    """Red when manage.py's local settings serve."""
    found = found_in(
        tmp_path / "p",
        **{
            "shop/settings.py": None,
            "shop/settings/__init__.py": "",
            "shop/settings/base.py": SETTINGS.replace("parent.parent", "parents[2]"),
            "shop/settings/local.py": "from .base import *\nDEBUG = True\n",
            "shop/settings/onserver.py": "from .base import *\n",
            "shop/wsgi.py": MANAGE.replace("shop.settings", "shop.settings.onserver"),
            "manage.py": MANAGE.replace("shop.settings", "shop.settings.local"),
        },
    )  # fmt: skip
    assert found.env["DJANGO_SETTINGS_MODULE"] == "shop.settings.onserver"
    assert found.dev["DJANGO_SETTINGS_MODULE"] == "shop.settings.local"
    assert found.env["DATA_PATHS"] == "db.sqlite3"


def test_folders_that_manage_py_adds(tmp_path: Path) -> None:
    """Red when the server cannot import what manage.py can."""
    manage = MANAGE.replace(
        "import os, sys",
        "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'apps'))",
    )
    found = found_in(tmp_path / "p", **{"manage.py": manage, "apps/blog/__init__.py": ""})
    assert found.env["PYTHONPATH_DIRS"] == "apps"


def test_a_demo_beside_the_project_does_not_count(tmp_path: Path) -> None:
    """Red when a package's tests/manage.py makes it two."""
    found = found_in(tmp_path / "p", **{"tests/manage.py": MANAGE, "docs/example/manage.py": MANAGE})
    assert "MANAGE_DIR" not in found.env


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"pyproject.toml": '[project]\nname="x"\nrequires-python=">=3.14"\n'}, "3.14"),
        ({"requirements.txt": "Django==3.2.25\n"}, "3.11"),
        ({"requirements.txt": "Django==4.2.1\npsycopg2-binary==2.9.5\n"}, "3.11"),
        ({"requirements.txt": "Django==3.2.25\npsycopg2==2.9.3\n"}, "3.11"),
        ({"runtime.txt": "python-3.11.4\n"}, "3.11"),
        ({"Dockerfile": "FROM python:3.11-slim\n"}, "3.11"),
        ({}, "3.13"),
    ],
)
def test_python(tmp_path: Path, files: dict[str, str], version: str) -> None:
    """Red when pinned packages are given a Python they have no binaries for."""
    assert found_in(tmp_path / "p", **files).env["PYTHON_VERSION"] == version


def test_a_python_that_this_machine_can_have(tmp_path: Path) -> None:
    """Red when a machine without a registry is given a version it cannot get, or one with it another."""
    pinned = {"runtime.txt": "python-3.12.4\n"}
    assert found_in(tmp_path / "p", has_registry=True, **pinned).env["PYTHON_VERSION"] == "3.12"
    found = found_in(tmp_path / "q", **pinned)
    assert found.env["PYTHON_VERSION"] == "3.13"
    assert "no registry has 3.12" in found.why("PYTHON_VERSION")
    only = {"pyproject.toml": '[project]\nname="x"\nrequires-python="==3.12.*"\n'}
    found = found_in(tmp_path / "r", **only)
    assert found.env["PYTHON_VERSION"] == "3.12" and "the kit builds none" in found.warnings


def test_a_driver_that_is_too_old_for_every_python_there_is(tmp_path: Path) -> None:
    """Red when it is overridden with a registry, unseen, beside another limit, or for an older Django."""
    pins = {"requirements.txt": "Django==3.2.25\npsycopg2-binary==2.9.1\n"}
    found = found_in(tmp_path / "p", **pins)
    assert (found.env["PYTHON_VERSION"], found.env["DEPENDENCY_OVERRIDES"]) == (
        "3.11",
        "psycopg2-binary==2.9.3",
    )
    assert "2.9.1" in found.why("DEPENDENCY_OVERRIDES")
    there = found_in(tmp_path / "q", has_registry=True, **pins)
    assert (there.env["PYTHON_VERSION"], there.env.get("DEPENDENCY_OVERRIDES")) == ("3.10", None)
    for name, more in (("r", "numpy==1.20.0\n"), ("s", "")):
        old = pins["requirements.txt"].replace("3.2.25", "3.0.8" if not more else "3.2.25")
        left = found_in(tmp_path / name, **{"requirements.txt": old + more})
        assert (left.env["PYTHON_VERSION"], left.env.get("DEPENDENCY_OVERRIDES")) == ("3.10", None)


def test_requirements_for_production(tmp_path: Path) -> None:
    """Red when the first file of the folder is taken."""
    files = {
        "requirements.txt": None,
        "requirements/base.txt": "Django\n",
        "requirements/dev.txt": "-r base.txt\n",
        "requirements/production.txt": "-r base.txt\ngunicorn\n",
    }
    found = found_in(tmp_path / "p", **files)
    assert found.env["REQUIREMENTS_FILES"] == "requirements/production.txt"
    assert found.project.dependencies.has("django")


def test_a_health_view_before_the_admin(tmp_path: Path) -> None:
    """Red when an include is not followed."""
    urls = "from django.urls import include, path\nurlpatterns = [path('api/', include('shop.api'))]\n"
    files = {
        "shop/urls.py": urls,
        "shop/api.py": "from django.urls import path\nurlpatterns = [path('healthz', None)]\n",
    }
    assert found_in(tmp_path / "a", **files).env["HEALTH_READY_PATH"] == "/api/healthz"
    assert found_in(tmp_path / "b").env["HEALTH_READY_PATH"] == "/admin/login/"


# -- refusals ----------------------------------------------------------------------------------------


def _two(root: Path) -> None:
    write(root / "a")
    write(root / "b")
    (root / "manage.py").unlink()


REFUSED = {
    "SLIP-144": (shutil.rmtree, "does not exist"),
    "SLIP-145 none": (lambda root: (root / "manage.py").unlink(), "no manage.py"),
    "SLIP-145 two": (_two, "a/manage.py, b/manage.py"),
    "SLIP-146 syntax": (lambda root: (root / "shop/settings.py").write_text("A = (\n"), "shop/settings.py:1"),
    "SLIP-146 module": (lambda root: (root / "shop/settings.py").unlink(), "shop.settings"),
    "SLIP-147": (lambda root: (root / "requirements.txt").rename(root / "environment.yml"), "conda"),
    "SLIP-148": (
        lambda root: (root / "pyproject.toml").write_text('[project]\nname="x"\nrequires-python="<3.9"\n'),
        "<3.9",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_write_nothing(kit: Path, tmp_path: Path, case: str) -> None:
    """Red when a check comes after the first file is written, or the message does not say what."""
    root = write(tmp_path / "p")
    spoil, said = REFUSED[case]
    spoil(root)
    before = _everything(kit)
    with pytest.raises(SlipwayError) as refused:
        _adopt(kit, root)
    assert refused.value.slip_code == case[:8]
    assert said in refused.value.problem
    assert _everything(kit) == before


def test_manage_dir_decides_between_two(kit: Path, tmp_path: Path) -> None:
    """Red when the fix of the message does not work."""
    root = write(tmp_path / "p")
    _two(root)
    adopt(kit, str(root), dry=False, yes=True, as_json=False, manage_dir="b")
    assert envfile.read(kit / ".env")["MANAGE_DIR"].value == "b"


def test_nobody_to_ask(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when silence is taken for a yes."""
    monkeypatch.setattr(sys, "stdin", open("/dev/null"))  # noqa: PTH123, SIM115
    before = _everything(kit)
    with pytest.raises(SlipwayError) as refused:
        _adopt(kit, write(tmp_path / "p"), yes=False)
    assert refused.value.slip_code == "SLIP-069"
    assert _everything(kit) == before


# -- writing -----------------------------------------------------------------------------------------


def test_written_once_and_the_project_untouched(kit: Path, tmp_path: Path) -> None:
    """Red when a second run changes something, or the project gets a file."""
    root = write(tmp_path / "p")
    before = _everything(root)
    _adopt(kit, root)
    first = _everything(kit)
    assert envfile.read(kit / ".env")["PROJECT_ROOT"].value == "../p"
    assert envfile.read(kit / "app.env")["SECRET_KEY"].value == "{{secret:secret_key}}"
    assert {"secrets/secret_key", "secrets/postgres_password", "app.prod.env"} <= set(first)
    _adopt(kit, root)
    assert _everything(kit) == first
    assert _everything(root) == before


def test_dry_writes_nothing_and_shows_the_diff(
    kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when --dry writes, or the diff is left out."""
    before = _everything(kit)
    _adopt(kit, write(tmp_path / "p"), dry=True)
    assert _everything(kit) == before
    shown = capsys.readouterr().out
    assert (
        "+++ .env" in shown and "+PROJECT_ROOT=../p" in shown and "+SECRET_KEY={{secret:secret_key}}" in shown
    )


@pytest.mark.parametrize("dry", [True, False])
def test_what_is_left_to_do_stands_last(
    kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], dry: bool
) -> None:
    """Red when the lines to fill in or the command stand above the diff, or what has a value is asked for."""
    files = {"shop/settings.py": SETTINGS + "PAY = os.environ['PAY_TOKEN']\n"}
    _adopt(kit, write(tmp_path / "p", **files), dry=dry)
    last = capsys.readouterr().out.splitlines()[-4:]
    assert last[0].startswith("TO FILL IN in ") and last[0].endswith("the project does not start without:")
    assert (last[1], last[3]) == ("  PAY_TOKEN=", "Next: invoke up --prod")
    (kit / "app.env").write_text("PAY_TOKEN=x\n")
    _adopt(kit, tmp_path / "p", dry=dry)
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0].startswith("Nothing is left to fill in") and last[1] == "Next: invoke up --prod"
    (tmp_path / "p/shop/settings.py").write_text(SETTINGS + "K = open(BASE_DIR / 'secrets.json').read()\n")
    _adopt(kit, tmp_path / "p", dry=dry)
    last = capsys.readouterr().out.splitlines()[-4:]
    assert last[0].startswith("TO FIX in the project")
    assert last[1] == "  the settings open a file: there is no file /app/secrets.json (shop/settings.py:14)"


def test_what_the_person_has_written_stays(kit: Path, tmp_path: Path) -> None:
    """Red when a guess that was overridden comes back, a comment is lost, or a variable is given twice."""
    root = write(tmp_path / "p")
    (kit / ".env").write_text("# mine\nPROJECT_ROOT=../p\nPYTHON_VERSION=3.14\nWEB_PORT=8001\n")
    (kit / "app.env").write_text("# mine too\nSECRET_KEY=of-my-own-and-long-enough\n")
    _adopt(kit, root)
    env = (kit / ".env").read_text()
    assert env.startswith("# mine\nPROJECT_ROOT=../p\nPYTHON_VERSION=3.14\nWEB_PORT=8001\n")
    assert "DJANGO_SETTINGS_MODULE=shop.settings" in env
    assert (kit / "app.env").read_text() == "# mine too\nSECRET_KEY=of-my-own-and-long-enough\n"


def test_another_project_takes_the_place_of_the_first(kit: Path, tmp_path: Path) -> None:
    """Red when a line about the project before stays."""
    first = tmp_path / "p"
    write(first / "backend")
    _adopt(kit, first)
    assert envfile.read(kit / ".env")["MANAGE_DIR"].value == "backend"
    _adopt(kit, write(tmp_path / "q"))
    env = envfile.read(kit / ".env")
    assert (env["PROJECT_ROOT"].value, env["MANAGE_DIR"].value) == ("../q", ".")


def test_the_task_answers_in_json() -> None:
    """Red when the report and the JSON are printed together."""
    command = [sys.executable, "-m", "invoke", "adopt", "example", "--dry", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert {"variable": "DJANGO_SETTINGS_MODULE", "value": "config.settings"}.items() <= next(
        f for f in answer["findings"] if f["variable"] == "DJANGO_SETTINGS_MODULE"
    ).items()
    assert answer["written"] is False


def test_a_name_that_is_taken_is_made_unique(tmp_path: Path) -> None:
    """Red when two projects whose folders have one name get the same stacks."""
    names: set[str] = set()
    for client in ("a", "b"):
        root = write(tmp_path / client / "backend")
        found = scan(root, tmp_path, is_taken=lambda name: name in names)
        names.add(found.findings.value("PROJECT_NAME") or "")
    assert "backend" in names and len(names) == 2 and all(name.startswith("backend") for name in names)
