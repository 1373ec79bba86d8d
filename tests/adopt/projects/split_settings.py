"""Settings split by environment, and neither manage.py nor wsgi.py says which."""

from dataclasses import replace

from projectkit import DJANGO, Project, frame, framework

PROJECT = Project(
    name="portal",
    files={
        **frame("portal", None),
        "requirements.txt": f"{DJANGO}\npsycopg[binary]\nenvirons[django]\n",
        "requirements-dev.txt": "-r requirements.txt\ndjango-debug-toolbar\n",
        "portal/settings/__init__.py": "",
        "portal/settings/base.py": f"""
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent
{framework("portal")}
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
""",
        "portal/settings/local.py": """
from .base import *  # noqa: F403
from .base import INSTALLED_APPS

DEBUG = True
SECRET_KEY = "local"
INSTALLED_APPS = [*INSTALLED_APPS, "debug_toolbar"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
""",
        "portal/settings/production.py": """
from environs import Env

from .base import *  # noqa: F403

env = Env()

DEBUG = False
SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
DATABASES = {"default": env.dj_db_url("DATABASE_URL")}
""",
    },
)
LOCAL_BY_DEFAULT = replace(
    PROJECT, name="portal-local", files={**PROJECT.files, **frame("portal", "portal.settings.local")}
)
