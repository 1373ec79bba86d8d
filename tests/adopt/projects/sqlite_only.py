"""A tutorial's end: SQLite beside manage.py, nothing pinned."""

from projectkit import Project, frame, framework

PROJECT = Project(
    name="polls",
    files={
        **frame("mysite"),
        "requirements.txt": "django~=5.2\n",
        "mysite/settings.py": f"""
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# SECURITY WARNING: keep the secret key used in production secret!
SECRET_KEY = os.environ.get("SECRET_KEY", "django-insecure-0123456789abcdefghijklmnopqrstuvwxyz0123456789")

# SECURITY WARNING: don't run with debug turned on in production!
DEBUG = os.environ.get("DEBUG", "false") == "true"

ALLOWED_HOSTS = ["*"]
{framework("mysite")}
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
    }}
}}

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
""",
    },
)
