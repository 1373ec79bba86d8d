"""Where the kit lies in a project, and what that keeps out of images and containers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from minikit import plant

from slipway.config import place, testcode
from slipway.config.settings import Settings, load
from slipway.core.checkout import ROOT
from slipway.orchestrators.compose import Stack

RULES = (ROOT / "Dockerfile.dockerignore").read_text()


def settings(kit: Path, project: Path, **lines: str) -> Settings:
    plant(project, {"manage.py": ""})
    kit.mkdir(parents=True, exist_ok=True)
    env = {"PROJECT_ROOT": str(project), **lines}
    (kit / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
    return load(kit, environ={})


def patterns(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("where", ["inside", "beside", "root"])
def test_names_of_the_kits_files_are_the_projects_where_the_kit_is_not(tmp_path: Path, where: str) -> None:
    """Red when a project's own package `docker` or tasks.py is left out, or the kit's get in."""
    kit = {"inside": tmp_path / "shop/deep/ops", "beside": tmp_path / "kit", "root": tmp_path / "shop"}[where]
    found = patterns(place.dockerignore(RULES, settings(kit, tmp_path / "shop")))
    assert ({"docker", "tasks.py", "bootstrap"} <= set(found)) == (where == "root")
    assert ("deep/ops" in found) == (where == "inside")
    assert {"**/.env", "**/secrets", "Dockerfile*"} <= set(found)


def test_secrets_and_archives_are_kept_out_wherever_they_are_put(tmp_path: Path) -> None:
    """Red when SECRETS_DIR, BACKUP_DIR or APP_ENV below the project reach the build context."""
    shop = tmp_path / "shop"
    found = settings(
        tmp_path / "kit", shop,
        SECRETS_DIR="../shop/keys", BACKUP_DIR="../shop/old [1]", APP_ENV="../shop/live.vars",
    )  # fmt: skip
    assert place.own_paths(found) == ["keys", "old [1]"]
    rules = place.dockerignore(RULES, found)
    assert {"keys", r"old \[1\]", "live.vars"} <= set(patterns(rules))
    assert rules.index("\nkeys\n") > rules.index("!**/secrets/**/*.py")


def test_development_hides_what_is_there(tmp_path: Path) -> None:
    """Red when the kit's folder shows in containers, or a mount would make one in the project as root."""
    shop = tmp_path / "shop"
    found = settings(shop / "ops", shop, BACKUP_DIR="../later")
    assert place.hides(found)
    merged = yaml.safe_load(place.hidden(found, ["migrate", "web"]))
    mount = {"type": "tmpfs", "target": "/app/ops", "read_only": True}
    assert merged["services"] == {name: {"volumes": [mount]} for name in ("migrate", "web")}
    assert ".slipway/hidden-dev.yaml" in Stack(found, prod=False).files()
    assert ".slipway/hidden-dev.yaml" not in Stack(found, prod=True).files()


def test_a_kit_elsewhere_hides_nothing(tmp_path: Path) -> None:
    """Red when a file is named to Compose that nothing writes."""
    found = settings(tmp_path / "kit", tmp_path / "shop")
    assert not place.hides(found)
    assert ".slipway/hidden-dev.yaml" not in Stack(found, prod=False).files()


def test_tests_that_production_imports_are_let_in(tmp_path: Path) -> None:
    """Red when a package called tests that views import stays behind, or every test comes along."""
    plant(
        tmp_path,
        {
            "tests/factories.py": "",
            "shop/__init__.py": "",
            "shop/views.py": "from tests.factories import ANN\n",
            "shop/tests/test_views.py": "from blog.tests import x\n",
            "blog/__init__.py": "",
            "blog/tests/__init__.py": "",
            "users/tests/factories.py": "",
            "users/management/commands/seed.py": "    from ...tests.factories import User\n",
            "users/notes.py": "# from blog.tests import y\nTEXT = 'import blog.tests'\n",
            "lab/tests/models.py": "",
            "far/tests/a.py": "",
            "far/b.py": "from . import models, tests\n",
            "ops/slipway/a.py": "import blog.tests\n",
        },
    )
    found = testcode.needed(tmp_path, ["ops"])
    assert found == ["far/tests", "lab/tests", "tests", "users/tests"]
    rules = place.dockerignore(RULES, settings(tmp_path / "ops", tmp_path))
    assert re.search(r"^!users/tests$", rules, re.MULTILINE)
    assert rules.index("!users/tests") < rules.index("**/secrets")


def test_secrets_have_the_last_word(tmp_path: Path) -> None:
    """Red when the part of the rules that lets tests in is no longer found, and they are left out."""
    assert RULES.count(place._SECRETS) == 1 and len(place._KIT_SECTION.findall(RULES)) == 1
