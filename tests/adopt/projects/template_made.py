"""As the widespread project template makes it: production wants its variables, Redis, a worker and https."""

from projectkit import Project, framework, manage_py, server_py

_FRAME = {
    "manage.py": manage_py("config.settings.local")
    .replace("    execute", '    sys.path.append(str(Path(__file__).parent / "storehouse"))\n    execute')
    .replace("import sys\n", "import sys\nfrom pathlib import Path\n"),
    "config/wsgi.py": server_py("wsgi", "config.settings.production"),
    "config/asgi.py": server_py("asgi", "config.settings.local"),
    "config/__init__.py": 'from .celery_app import app as celery_app\n\n__all__ = ("celery_app",)\n',
    "config/settings/__init__.py": "",
    "storehouse/__init__.py": '__version__ = "0.1.0"\n',
}  # fmt: skip

PROJECT = Project(
    name="storehouse",
    app="storehouse/catalog",
    hashed=True,
    app_env="MAILGUN_API_KEY=none\nMAILGUN_DOMAIN=mg.example.org\n",
    files={
        **_FRAME,
        ".envs/.local/.django": "USE_DOCKER=yes\nREDIS_URL=redis://redis:6379/0\n",
        ".envs/.local/.postgres": "POSTGRES_HOST=postgres\nPOSTGRES_PASSWORD=debug\n",
        "docker-compose.production.yml": """
services:
  django:
    build: {context: ., dockerfile: ./compose/production/django/Dockerfile}
    env_file: [./.envs/.production/.django, ./.envs/.production/.postgres]
  redis:
    image: redis:6
""",
        "compose/production/django/Dockerfile": "FROM python:3.13-slim\n",
        "requirements/base.txt": """
django==5.2.*
django-environ==0.12.0
redis>=5
celery>=5.4
""",
        "requirements/local.txt": "-r base.txt\n\nwerkzeug[watchdog]\npsycopg[c]\n",
        "requirements/production.txt": """
# PRECAUTION: avoid production dependencies that aren't in development

-r base.txt

gunicorn==23.0.0
psycopg[binary]
whitenoise==6.9.0
""",
        "config/celery_app.py": """
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

app = Celery("storehouse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
""",
        "config/urls.py": """
from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path(settings.ADMIN_URL, admin.site.urls),
    path("", include("storehouse.catalog.urls")),
]
""",
        "config/settings/base.py": f"""
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve(strict=True).parent.parent.parent
APPS_DIR = BASE_DIR / "storehouse"
env = environ.Env()

READ_DOT_ENV_FILE = env.bool("DJANGO_READ_DOT_ENV_FILE", default=False)
if READ_DOT_ENV_FILE:
    env.read_env(str(BASE_DIR / ".env"))

DEBUG = env.bool("DJANGO_DEBUG", False)
DATABASES = {{"default": env.db("DATABASE_URL")}}
DATABASES["default"]["ATOMIC_REQUESTS"] = True
{
            framework("config", middleware="whitenoise.middleware.WhiteNoiseMiddleware").replace(
                '"catalog"', '"storehouse.catalog"'
            )
        }
STATIC_ROOT = str(BASE_DIR / "staticfiles")
STATIC_URL = "/static/"
MEDIA_ROOT = str(APPS_DIR / "media")
MEDIA_URL = "/media/"
ADMIN_URL = "admin/"

REDIS_URL = env("REDIS_URL", default="redis://redis:6379/0")
CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = REDIS_URL
""",
        "config/settings/local.py": """
from .base import *  # noqa: F403
from .base import env

DEBUG = True
SECRET_KEY = env("DJANGO_SECRET_KEY", default="local")
ALLOWED_HOSTS = ["localhost", "0.0.0.0", "127.0.0.1"]
""",
        "config/settings/test.py": 'from .base import *  # noqa: F403\n\nSECRET_KEY = "test"\n',
        "config/settings/production.py": """
from .base import *  # noqa: F403
from .base import DATABASES
from .base import REDIS_URL
from .base import env

SECRET_KEY = env("DJANGO_SECRET_KEY")
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=["storehouse.example"])
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
    },
}

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("DJANGO_SECURE_SSL_REDIRECT", default=True)
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Secure-sessionid"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Secure-csrftoken"
SECURE_HSTS_SECONDS = 60

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

ADMIN_URL = env("DJANGO_ADMIN_URL")
ANYMAIL = {
    "MAILGUN_API_KEY": env("MAILGUN_API_KEY"),
    "MAILGUN_SENDER_DOMAIN": env("MAILGUN_DOMAIN"),
}
SENTRY_DSN = env("SENTRY_DSN")
""",
    },
)
