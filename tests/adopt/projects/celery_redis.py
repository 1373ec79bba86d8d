"""A Celery worker and beat on Redis: a request starts a task, the worker writes the row."""

from projectkit import DJANGO, URLS, Project, frame, framework

PROJECT = Project(
    name="orders",
    files={
        **frame(
            "orders",
            urls=URLS.replace("\nurlpatterns", "\nfrom orders.views import start\n\nurlpatterns").replace(
                '    path("", ', '    path("start/<str:name>/", start),\n    path("", '
            ),
        ),
        "requirements.txt": f"{DJANGO}\ncelery[redis]>=5.4\ndj-database-url\npsycopg[binary]\n",
        "orders/__init__.py": 'from .celery import app as celery_app\n\n__all__ = ("celery_app",)\n',
        "orders/celery.py": """
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orders.settings")

app = Celery("orders")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["catalog"])
""",
        "catalog/tasks.py": """
from celery import shared_task

from .models import Item


@shared_task
def add_item(name):
    Item.objects.get_or_create(name=name)
""",
        "orders/views.py": """
from catalog.tasks import add_item
from django.http import JsonResponse


def start(request, name):
    return JsonResponse({"task": add_item.delay(name).id}, status=202)
""",
        "orders/settings.py": f"""
import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")
{framework("orders")}
DATABASES = {{"default": dj_database_url.config()}}

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0")
CELERY_RESULT_BACKEND = os.environ.get("CELERY_RESULT_BACKEND", CELERY_BROKER_URL)
CELERY_BEAT_SCHEDULE = {{
    "every-few-seconds": {{"task": "catalog.tasks.add_item", "schedule": 5.0, "args": ("From beat",)}},
}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
""",
    },
)
