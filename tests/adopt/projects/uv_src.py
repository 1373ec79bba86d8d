"""uv, the package in src/, extras and groups; the settings ask for the version of the package itself."""

from projectkit import MANIFEST_STORAGE, Project, frame, framework, lock_with_uv, manage_py

PROJECT = Project(
    name="shop-site",
    app="src/catalog",
    hashed=True,
    lock=lock_with_uv,
    files={
        **{name: text for name, text in frame("shop", base="src/").items() if not name.endswith("manage.py")},
        "manage.py": manage_py("shop.settings"),
        "pyproject.toml": """
[project]
name = "shop-site"
version = "2.7.1"
requires-python = ">=3.11"
dependencies = ["django>=5.2,<5.3"]

[project.optional-dependencies]
postgres = ["psycopg[binary]>=3.2"]

[dependency-groups]
dev = ["iniconfig"]
server = ["gunicorn"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/shop", "src/catalog"]
""",
        "src/shop/settings.py": f"""
import os
from importlib.metadata import version
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VERSION = version("shop-site")

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
{framework("shop")}
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ.get("PGPORT", ""),
    }}
}}

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "build" / "static"
{MANIFEST_STORAGE}""",
    },
)
