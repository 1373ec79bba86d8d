"""Two halves in one repository: manage.py in backend/, the lock above it, and a frontend of others."""

from projectkit import Project, frame, framework, lock_with_uv

PROJECT = Project(
    name="monorepo",
    app="backend/catalog",
    lock=lock_with_uv,
    files={
        **frame("api", base="backend/"),
        "pyproject.toml": """
[project]
name = "monorepo"
version = "0.0.0"
requires-python = ">=3.11"
dependencies = ["django>=5.2,<5.3", "dj-database-url", "psycopg[binary]"]

[dependency-groups]
dev = ["iniconfig"]

[tool.uv]
package = false
""",
        "backend/api/settings.py": f"""
import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = bool(int(os.environ.get("DJANGO_DEBUG", 0)))
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "").split()
{framework("api")}
DATABASES = {{"default": dj_database_url.parse(os.environ["DATABASE_URL"])}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR.parent / "static"
""",
        "frontend/package.json": '{"name": "frontend", "private": true, "devDependencies": {"vite": "^6"}}\n',
        "frontend/src/main.js": "document.title = 'Catalog'\n",
    },
)
