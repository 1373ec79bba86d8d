"""A folder of requirements that include each other, with an index line, and a package of settings."""

from projectkit import DJANGO, MANIFEST_STORAGE, Project, frame, framework

PROJECT = Project(
    name="storefront",
    hashed=True,
    files={
        **frame("storefront"),
        "requirements/constraints.txt": "sqlparse<0.6\nasgiref<4\n",
        "requirements/base.txt": f"""
--index-url {{INDEX}}
-c constraints.txt

{DJANGO}  # the long-term release
psycopg[binary]>=3.2
""",
        "requirements/production.txt": "-r base.txt\n\ngunicorn==23.0.0\n",
        "requirements/dev.txt": "-r base.txt\n\niniconfig\n",
        "storefront/settings/__init__.py": """
import os

if os.environ.get("DJANGO_ENV", "production") == "production":
    from .production import *  # noqa: F403
else:
    from .dev import *  # noqa: F403
""",
        "storefront/settings/dev.py": 'from .base import *  # noqa\n\nDEBUG = True\nSECRET_KEY = "dev"\n',
        "storefront/settings/production.py": """
import os

from .base import *  # noqa: F403

DEBUG = False
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "").split(",")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["POSTGRES_DB"],
        "USER": os.environ["POSTGRES_USER"],
        "PASSWORD": os.environ["POSTGRES_PASSWORD"],
        "HOST": os.environ.get("POSTGRES_HOST", "localhost"),
        "PORT": os.environ.get("POSTGRES_PORT", "5432"),
    }
}
""",
        "storefront/settings/base.py": f"""
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent
{framework("storefront")}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "media"
{MANIFEST_STORAGE}""",
        "README.md": "# Storefront\n\n    pip install -r requirements/dev.txt\n",
    },
)
