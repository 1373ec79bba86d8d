"""Has what the kit has: Dockerfile, compose file, nginx/, .env, and packages called tasks and tests."""

from projectkit import DJANGO, URLS, Project, frame, framework

PROJECT = Project(
    name="crm",
    files={
        **frame(
            "crm",
            urls=URLS.replace("\nurlpatterns", "\nfrom tasks.views import todo\n\nurlpatterns").replace(
                '    path("", ', '    path("todo/", todo),\n    path("", '
            ),
        ),
        "requirements.txt": f"{DJANGO}\npython-decouple\npsycopg2-binary\ngunicorn\n",
        ".env": "SECRET_KEY=committed-by-mistake\nDEBUG=True\nPOSTGRES_HOST=postgres\nPROJECT_NAME=theirs\n",
        ".dockerignore": "tasks\n*.css\n",
        "Dockerfile": 'FROM python:3.9\nCOPY . /code\nCMD ["gunicorn", "crm.wsgi"]\n',
        "docker-compose.yml": """
services:
  postgres:
    image: postgres:14
    environment:
      POSTGRES_PASSWORD: postgres
  web:
    build: .
    ports: ["8000:8000"]
""",
        "nginx/default.conf": "server { listen 80; location / { proxy_pass http://web:8000; } }\n",
        "docker/entrypoint.sh": "#!/bin/sh\nexec python manage.py runserver\n",
        "tasks/__init__.py": 'TITLE = "Things to do"\n',
        "tasks/views.py": """
from django.http import HttpResponse
from tests.factories import EXAMPLE

from tasks import TITLE


def todo(request):
    return HttpResponse(f"{TITLE}: {EXAMPLE}")
""",
        "tests/__init__.py": "",
        "tests/factories.py": 'EXAMPLE = "call Ann"\n',
        "crm/settings.py": f"""
import logging
import os
from pathlib import Path

from decouple import config

BASE_DIR = Path(__file__).resolve().parent.parent

LOG_DIR = BASE_DIR / "logs"
os.makedirs(LOG_DIR, exist_ok=True)
logging.basicConfig(filename=LOG_DIR / "import.log", level=logging.INFO)
logging.info("settings imported")

SECRET_KEY = config("SECRET_KEY")
DEBUG = config("DEBUG", cast=bool, default=False)
ALLOWED_HOSTS = config("ALLOWED_HOSTS", default="localhost,127.0.0.1").split(",")
{framework("crm")}
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": config("POSTGRES_DB", default="crm"),
        "USER": config("POSTGRES_USER", default="crm"),
        "PASSWORD": config("POSTGRES_PASSWORD", default="crm"),
        "HOST": config("POSTGRES_HOST", default="postgres"),
        "PORT": 5432,
    }}
}}

LOGGING = {{
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {{"file": {{"class": "logging.FileHandler", "filename": LOG_DIR / "django.log"}}}},
    "root": {{"handlers": ["file"], "level": "INFO"}},
}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
""",
    },
)
