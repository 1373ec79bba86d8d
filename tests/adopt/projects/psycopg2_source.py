"""psycopg2 compiled from source, and a second database with a router."""

from projectkit import DJANGO, Project, frame, framework

PROJECT = Project(
    name="reports",
    files={
        **frame("reports"),
        "requirements.txt": f"--no-binary psycopg2\n{DJANGO}\ndj-database-url==2.3.0\npsycopg2==2.9.10\n",
        "reports/routers.py": """
class Archive:
    \"\"\"Sessions in a database of their own.\"\"\"

    def db_for_read(self, model, **hints):
        return "archive" if model._meta.app_label == "sessions" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return (db == "archive") == (app_label == "sessions")
""",
        "reports/settings.py": f"""
import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "*").split(",")
{framework("reports")}
DATABASES = {{
    "default": dj_database_url.config(conn_max_age=60),
    "archive": dj_database_url.config(env="ARCHIVE_DATABASE_URL"),
}}
DATABASE_ROUTERS = ["reports.routers.Archive"]

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
""",
    },
)
