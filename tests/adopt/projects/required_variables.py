"""Settings that do not import before every variable has a value, two of which nobody can guess."""

from projectkit import DJANGO, Project, frame, framework

GUESSABLE_BY_NOBODY = ("PAYMENT_API_KEY", "SUPPORT_MAILBOX")

PROJECT = Project(
    name="tickets",
    app_env="PAYMENT_API_KEY=test-0123\nSUPPORT_MAILBOX=help@example.org\n",
    files={
        **frame("tickets"),
        "requirements.txt": f"{DJANGO}\ndjango-environ\npsycopg[binary]\n",
        "tickets/settings.py": f"""
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

SECRET_KEY = env("DJANGO_SECRET_KEY")
DEBUG = env.bool("DJANGO_DEBUG", default=False)
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS")
PAYMENT_API_KEY = env.str("PAYMENT_API_KEY")
SUPPORT_MAILBOX = env("SUPPORT_MAILBOX")
{framework("tickets")}
DATABASES = {{"default": env.db_url("DATABASE_URL")}}

STATIC_URL = "/static/"
STATIC_ROOT = str(BASE_DIR / "staticfiles")
""",
    },
)
