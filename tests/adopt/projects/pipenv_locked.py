"""As a hosting platform's tutorial makes it: Pipenv's lock, a Procfile, one DATABASE_URL, WhiteNoise."""

from projectkit import Project, frame, framework, lock_with_pipenv

PROJECT = Project(
    name="blog",
    lock=lock_with_pipenv,
    files={
        **frame("blog"),
        "Pipfile": """
[[source]]
url = "{INDEX}"
verify_ssl = true
name = "pypi"

[packages]
django = "~=5.2.0"
dj-database-url = "*"
psycopg2-binary = "*"
whitenoise = "*"
gunicorn = "*"

[dev-packages]
iniconfig = "*"
""",
        "Procfile": "release: python manage.py migrate --noinput\nweb: gunicorn blog.wsgi --log-file -\n",
        "runtime.txt": "python-3.13.1\n",
        "blog/settings.py": f"""
import os

import dj_database_url

BASE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

SECRET_KEY = os.environ.get("SECRET_KEY", "change-me")
DEBUG = os.environ.get("DEBUG", "") == "True"
ALLOWED_HOSTS = ["*"]
{framework("blog", middleware="whitenoise.middleware.WhiteNoiseMiddleware")}
DATABASES = {{
    "default": dj_database_url.config(
        default="sqlite:///" + os.path.join(BASE_DIR, "db.sqlite3"), conn_max_age=600
    )
}}

STATIC_URL = "/static/"
STATIC_ROOT = os.path.join(BASE_DIR, "staticfiles")
STORAGES = {{
    "default": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "staticfiles": {{"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"}},
}}
""",
    },
)
