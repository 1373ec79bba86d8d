"""What the generated projects are made of: files, the common app, locks by the managers themselves."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.index import INDEX

CATALOG = Path(__file__).with_name("catalog")
DJANGO = "Django>=5.2,<5.3"


@dataclass(frozen=True, eq=False)
class Project:
    """One project somebody could have written, and how its site is told from another's."""

    name: str
    """Of its folder."""
    files: Mapping[str, str]
    """Content by path; ``catalog`` comes beside them."""
    app: str = "catalog"
    """Where the common app lies, from the project's root."""
    lock: Callable[[Path], None] | None = None
    """Runs the project's own manager in the folder, where it commits a lock."""
    app_env: str = ""
    """The lines its owner appends to ``app.env``, if any."""
    hashed: bool = False
    """Whether names of static files hold a hash of their content."""
    static_url: str = "/static/"
    page: str = "/"
    """Lists what is in the database."""
    admin: str = "/admin/"
    css: str = "catalog/site"
    """A stylesheet that a page links, without its suffix; the admin's, where the project has no pages."""
    encoding: str = "utf-8"
    """Of its requirements files."""

    def write(self, folder: Path) -> Path:
        """Make the project in ``folder``, committed to a git repository of its own; returns its root."""
        root = folder / self.name
        shutil.copytree(_made(self), root, symlinks=True)
        git(root, "init", "--quiet")
        git(root, "add", "--all", "--force")
        git(
            root,
            "-c",
            "user.name=owner",
            "-c",
            "user.email=owner@example.org",
            "commit",
            "--quiet",
            "-m",
            "All",
        )
        return root


@functools.cache
def _made(project: Project) -> Path:
    """The project's files with its lock, made once: the managers resolve over the network."""
    root = Path(tempfile.mkdtemp(prefix="adopt-")) / project.name
    shutil.copytree(CATALOG, root / project.app, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in project.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encoding = project.encoding if path.suffix == ".txt" else "utf-8"
        path.write_text(content.lstrip("\n").replace("{INDEX}", INDEX), encoding=encoding)
    (root / ".gitignore").write_text("__pycache__/\n*.pyc\n.venv/\n", encoding="utf-8")
    if project.lock:
        project.lock(root)
    return root


def git(root: Path, *arguments: str) -> str:
    """Run git in ``root``; returns what it printed."""
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
    ).stdout


# -- locks -------------------------------------------------------------------------------------------


def lock_with_uv(root: Path) -> None:
    """``uv lock``."""
    subprocess.run(["uv", "lock", "--quiet"], cwd=root, env=_clean(), check=True)


def lock_with_poetry(root: Path) -> None:
    """``poetry lock``, against the index this machine uses.

    Its own default index asks for more than the simple interface, which is all that a mirror must have; the
    source is in the lock's digest, so it stays in pyproject.toml.
    """
    with (root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[[tool.poetry.source]]\nname = "index"\nurl = "{INDEX}"\n')
    _tool(root, "poetry", "lock")


def lock_with_pipenv(root: Path) -> None:
    """``pipenv lock``."""
    _tool(root, "pipenv", "lock")


def _tool(root: Path, *command: str) -> None:
    done = subprocess.run(
        ["uv", "tool", "run", *command], cwd=root, env=_clean(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _clean() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "VIRTUAL_ENV", "DJANGO_"))}


# -- files -------------------------------------------------------------------------------------------


def manage_py(default: str | None) -> str:
    """``manage.py`` as ``startproject`` writes it; with None it names no settings."""
    names = f'    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{default}")\n' if default else ""
    return f'''
#!/usr/bin/env python
"""Django's command-line utility for administrative tasks."""
import os
import sys


def main():
    """Run administrative tasks."""
{names}    try:
        from django.core.management import execute_from_command_line
    except ImportError as exc:
        raise ImportError(
            "Couldn't import Django. Are you sure it's installed and "
            "available on your PYTHONPATH environment variable? Did you "
            "forget to activate a virtual environment?"
        ) from exc
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
'''


def server_py(kind: str, default: str | None) -> str:
    """``wsgi.py`` or ``asgi.py``, by ``kind``."""
    names = f'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{default}")\n\n' if default else ""
    return f"""
import os

from django.core.{kind} import get_{kind}_application

{names}application = get_{kind}_application()
"""


URLS = """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("catalog.urls")),
]
"""


def frame(package: str, settings: str | None = "", *, base: str = "", urls: str = URLS) -> dict[str, str]:
    """What every project has but its settings: ``manage.py``, ``urls``, ``wsgi``, ``asgi``.

    ``settings`` is the module all three name: by default PACKAGE.settings, with None none. ``base`` is the
    folder of ``manage.py``, with a slash at its end.
    """
    named = f"{package}.settings" if settings == "" else settings
    return {
        f"{base}manage.py": manage_py(named),
        f"{base}{package}/__init__.py": "",
        f"{base}{package}/urls.py": urls,
        f"{base}{package}/wsgi.py": server_py("wsgi", named),
        f"{base}{package}/asgi.py": server_py("asgi", named),
    }


def framework(package: str, *apps: str, middleware: str = "") -> str:
    """The part of the settings that nobody changes; ``apps`` are installed before the project's own."""
    further = "".join(f'    "{app}",\n' for app in apps)
    between = f'    "{middleware}",\n' if middleware else ""
    return f'''
INSTALLED_APPS = [
{further}    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "catalog",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
{between}    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "{package}.urls"

TEMPLATES = [
    {{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {{
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        }},
    }},
]

WSGI_APPLICATION = "{package}.wsgi.application"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
'''


MANIFEST_STORAGE = """
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
"""
