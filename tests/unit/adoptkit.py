"""Small projects for the scan, written by the tests, and what was found in them."""

from __future__ import annotations

from pathlib import Path

from slipway.adoption.project import Project
from slipway.adoption.scan import scan

MANAGE = """
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
SETTINGS = """
import os
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = False
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.staticfiles"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
"""
URLS = """
from django.contrib import admin
from django.urls import path
urlpatterns = [path("admin/", admin.site.urls)]
"""
TREE = {
    "manage.py": MANAGE,
    "shop/__init__.py": "",
    "shop/settings.py": SETTINGS,
    "shop/urls.py": URLS,
    "shop/wsgi.py": "application = None\n",
    "requirements.txt": "Django==5.2.8\npsycopg[binary]==3.3.1\n",
}


def write(root: Path, **files: str | None) -> Path:
    """Write a project; ``files`` are contents by path, over those of ``TREE``; None leaves a file out."""
    for name, text in {**TREE, **files}.items():
        if text is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return root


class Found:
    """What a scan says."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.env = {f.variable: f.value for f in project.findings.found if f.file == ".env"}
        self.app = {f.variable: f.value for f in project.findings.found if f.file == "app.env"}
        self.dev = {f.variable: f.value for f in project.findings.found if f.file == "app.dev.env"}
        self.left = {o.variable: o.value for o in project.findings.left}
        self.warnings = "\n".join(w.text for w in [*project.findings.stops, *project.findings.warnings])

    def where(self, variable: str) -> str:
        """FILE:LINE of a finding."""
        return next(f.where for f in self.project.findings.found if f.variable == variable)

    def why(self, variable: str) -> str:
        """The reason of a finding."""
        return next(f.why for f in self.project.findings.found if f.variable == variable)

    def sure(self, variable: str) -> bool:
        """Whether a finding is no guess."""
        return next(f.sure for f in self.project.findings.found if f.variable == variable)


def found_in(
    root: Path,
    *,
    more: str = "",
    given: dict[str, str] | None = None,
    manage_dir: str = "",
    has_registry: bool = False,
    **files: str | None,
) -> Found:
    """Scan a project whose settings end with ``more``."""
    if more:
        files.setdefault("shop/settings.py", SETTINGS + more)
    write(root, **files)
    return Found(
        scan(root, root.parent, given=given, manage_dir=manage_dir, can_have=lambda version: has_registry)
    )
