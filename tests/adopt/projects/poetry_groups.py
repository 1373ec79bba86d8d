"""Poetry with groups and ``package-mode = false``: what talks to the database is in a group of its own."""

from projectkit import MANIFEST_STORAGE, Project, frame, framework, lock_with_poetry

PROJECT = Project(
    name="tracker",
    hashed=True,
    lock=lock_with_poetry,
    files={
        **frame("tracker"),
        "pyproject.toml": """
[project]
name = "tracker"
version = "0.1.0"
requires-python = ">=3.11,<4.0"
dependencies = ["django (>=5.2,<5.3)", "python-decouple (>=3.8)"]

[tool.poetry]
package-mode = false

[tool.poetry.group.production.dependencies]
psycopg = {extras = ["binary"], version = "^3.2"}
gunicorn = "^23.0"

[tool.poetry.group.dev.dependencies]
iniconfig = "^2.0"
""",
        "tracker/settings.py": f"""
from pathlib import Path

from decouple import Csv, config

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = config("SECRET_KEY")
DEBUG = config("DEBUG", default=False, cast=bool)
ALLOWED_HOSTS = config("ALLOWED_HOSTS", default="localhost", cast=Csv())
{framework("tracker")}
DATABASES = {{
    "default": {{
        "ENGINE": config("DB_ENGINE", default="django.db.backends.postgresql"),
        "NAME": config("DB_NAME", default="tracker"),
        "USER": config("DB_USER", default="tracker"),
        "PASSWORD": config("DB_PASSWORD", default=""),
        "HOST": config("DB_HOST", default="localhost"),
        "PORT": config("DB_PORT", default=5432, cast=int),
    }}
}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
{MANIFEST_STORAGE}""",
    },
)
