"""A fresh clone made a project of one's own: refusals, and what ties startproject's output to the kit."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest
from minikit import GIT, QUIET, commit, contents, git, plant

from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.kit import record, starting, wiring
from slipway.kit.upgrading import upgrade
from tests.support.world import ROOT, copy_checkout

# The lines of Django's own template that matter here, as 5.2 and 6.1 have them.
SETTINGS = '''"""
Django settings for shop project.
"""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# SECURITY WARNING: keep the secret key used in production secret!
SECRET_KEY = 'django-insecure-x'

DEBUG = True

ALLOWED_HOSTS = []

INSTALLED_APPS = [
    'django.contrib.admin',
]

DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.sqlite3',
        'NAME': BASE_DIR / 'db.sqlite3',
    }
}

STATIC_URL = 'static/'
'''
URLS = '''"""
Addresses.
"""
from django.contrib import admin
from django.urls import path

urlpatterns = [
    path('admin/', admin.site.urls),
]
'''


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A clone of this checkout, as it stands now, in a repository of its own."""
    copy_checkout(tmp_path / "kit")
    return tmp_path / "kit"


@pytest.fixture
def clone(kit: Path) -> Path:
    git(kit, "init", "--quiet")
    commit(kit, "the kit")
    return kit


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1shop",
        "my-shop",
        "Shop",
        "class",
        "json",
        "test",
        "django",
        "docs",
        "slipway",
        "example",
        "tasks.py",
        "../x",
    ],
)
def test_names_that_cannot_be_a_project_are_refused(kit: Path, name: str) -> None:
    """Red when a name passes that startproject, Compose, or a folder of the kit does not go with."""
    before = contents(kit)
    with pytest.raises(SlipwayError, match="SLIP-156"):
        starting.start(kit, name, QUIET)
    assert contents(kit) == before


@GIT
def test_uncommitted_changes_are_refused_by_name(clone: Path) -> None:
    """Red when work that is nowhere else is removed with the example."""
    plant(clone, {"example/mine.py": ""})
    before = contents(clone)
    with pytest.raises(SlipwayError, match=r"SLIP-153.*example/mine\.py"):
        starting.start(clone, "shop", QUIET)
    assert contents(clone) == before


def test_a_clone_in_use_is_refused(kit: Path) -> None:
    """Red when a kit that builds somebody's project is made another."""
    plant(kit, {".env": "PROJECT_ROOT=../shop\n"})
    with pytest.raises(SlipwayError, match=r"SLIP-157.*\.\./shop"):
        starting.check(kit, "shop", QUIET)
    plant(kit, {".env": "WEB_PORT=8001\n"})
    starting.check(kit, "shop", QUIET)
    shutil.rmtree(kit / "example")
    with pytest.raises(SlipwayError, match="SLIP-157"):
        starting.check(kit, "shop", QUIET)


@GIT
def test_the_example_under_another_name(clone: Path) -> None:
    """Red when a file of the example is lost, the env files name another project, or the kit's tests stay."""
    example = contents(clone / "example")
    plant(clone, {".env": "WEB_PORT=8001\n#PROJECT_NAME=\n"})
    starting.start(clone, "shop", QUIET, keep_example=True)
    assert contents(clone / "shop") == example
    for name in ("example", "tests", ".ci", ".github", ".slipway/new"):
        assert not (clone / name).exists(), name
    for file in (".env", ".env.example"):
        lines = (clone / file).read_text().splitlines()
        assert {"PROJECT_NAME=shop", "PROJECT_ROOT=shop", "DJANGO_SETTINGS_MODULE=config.settings"} <= set(
            lines
        )
    assert "WEB_PORT=8001" in (clone / ".env").read_text()
    assert (clone / "README.md").read_text().startswith("# shop\n")
    assert "[shop/](shop)" in (clone / "README.md").read_text()
    assert (clone / "SLIPWAY.md").read_text() == (ROOT / "README.md").read_text()
    ast.parse((clone / "noxfile.py").read_text())
    assert "{{" not in (clone / "noxfile.py").read_text()
    with pytest.raises(SlipwayError, match="SLIP-157"):
        starting.check(clone, "blog", QUIET)


@GIT
def test_a_dry_run_changes_nothing(clone: Path) -> None:
    """Red when --dry replaces the example."""
    before = contents(clone)
    starting.start(clone, "shop", Runner(dry=True))
    assert contents(clone) == before


@GIT
def test_a_new_project_takes_a_newer_kit(clone: Path, tmp_path: Path) -> None:
    """Red when an upgrade brings the example and the kit's tests back, or the project's README goes."""
    shutil.copytree(clone, tmp_path / "newer", symlinks=True)
    starting.start(clone, "shop", QUIET, keep_example=True)
    commit(clone, "shop")
    newer = tmp_path / "newer"
    plant(
        newer, {"example/added.py": "", "tests/added.py": "", "docs/added.md": "", "README.md": "# Newer\n"}
    )
    with (newer / ".env.example").open("a") as file:
        file.write("#ADDED=\n")
    commit(newer, "newer")
    upgrade(clone, QUIET, place=str(newer))
    assert not (clone / "example").exists() and not (clone / "tests").exists()
    assert (clone / "docs/added.md").exists() and (clone / "SLIPWAY.md").read_text() == "# Newer\n"
    assert (clone / "README.md").read_text().startswith("# shop\n")
    text = (clone / ".env.example").read_text()
    assert "PROJECT_ROOT=shop\n" in text and "#ADDED=\n" in text
    noted = record.read(clone)
    assert noted and noted.revision == git(newer, "rev-parse", "HEAD").strip()


def test_settings_read_the_environment_and_keep_the_rest() -> None:
    """Red when a value of startproject's stays that differs between machines, or anything else is lost."""
    text = wiring.settings(SETTINGS, "shop", "END = 1\n")
    tree = ast.parse(text)
    assert "insecure" not in text and "DEBUG = True" not in text
    assert "from pathlib import Path\n\nfrom shop import env\n" in text
    for kept in ("# SECURITY WARNING", "'django.contrib.admin'", "STATIC_URL = 'static/'", "END = 1"):
        assert kept in text
    names = [node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)]  # type: ignore[attr-defined]
    assert names == [
        "BASE_DIR", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "INSTALLED_APPS", "DATABASES", "STATIC_URL", "END"
    ]  # fmt: skip


def test_another_template_is_refused() -> None:
    """Red when a startproject of another shape is wired half."""
    with pytest.raises(SlipwayError, match=r"SLIP-158.*DATABASES"):
        wiring.settings(re.sub(r"^DATABASES(.|\n)*?^}\n", "", SETTINGS, flags=re.MULTILINE), "shop", "")
    with pytest.raises(SlipwayError, match=r"SLIP-158.*urlpatterns"):
        wiring.urls("from django.urls import path\n", "shop")


def test_urls_have_the_health_checks() -> None:
    """Red when an address is put outside of the list."""
    text = wiring.urls(URLS, "shop")
    ast.parse(text)
    found = text[text.index("urlpatterns = [") :]
    assert re.findall(r'["\']([\w/]+)["\']', found) == [
        "healthz/live",
        "healthz/ready",
        "admin/",
    ]
    assert found.rstrip().endswith("*static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),\n]")


def test_requirements_lose_what_only_the_guestbook_needs() -> None:
    """Red when a hash of another package goes with it, or stays."""
    text = (ROOT / "example/requirements.txt").read_text() if (ROOT / "example").exists() else ""
    after = wiring.requirements(text)
    names = re.findall(r"^([a-z][\w-]*)", text, re.MULTILINE)
    kept = re.findall(r"^([a-z][\w-]*)", after, re.MULTILINE)
    assert set(names) - set(kept) == {"pillow", "python-dotenv"}
    # Nothing but whole entries is gone.
    entries = re.findall(r"^[a-z].*(?:\n\s.*)*\n", text, re.MULTILINE)
    assert after == "".join(e for e in entries if not e.startswith(("pillow", "python-dotenv")))


def test_env_examples_keep_only_what_the_new_settings_read() -> None:
    """Red when a variable is offered that nothing reads, or a needed one is dropped."""
    read = set(re.findall(r'env\.\w+\("(\w+)"', wiring.settings(SETTINGS, "shop", _end())))
    for path in ROOT.glob("app*.env.example"):
        text = wiring.environment(path.read_text())
        offered = {name.removesuffix("_FILE") for name in re.findall(r"^#?([A-Z]\w*)=", text, re.MULTILINE)}
        assert offered <= read, path.name
    assert "SECRET_KEY_FILE" in wiring.environment((ROOT / "app.env.example").read_text())


def _end() -> str:
    return (ROOT / "slipway/kit/new_project/settings.py-tpl").read_text()
