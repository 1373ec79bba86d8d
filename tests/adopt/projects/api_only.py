"""An API without pages: / is a 404, and requirements.txt comes from a redirect in PowerShell, in UTF-16."""

from projectkit import Project, frame, framework

PROJECT = Project(
    name="stock-api",
    page="/api/items/",
    css="admin/css/base",
    encoding="utf-16",
    files={
        **frame(
            "stock",
            urls="""
from django.contrib import admin
from django.urls import include, path
from rest_framework import routers, serializers, viewsets

from catalog.models import Item


class ItemSerializer(serializers.ModelSerializer):
    class Meta:
        model = Item
        fields = ("id", "name")


class ItemViewSet(viewsets.ModelViewSet):
    queryset = Item.objects.all()
    serializer_class = ItemSerializer


router = routers.DefaultRouter()
router.register("items", ItemViewSet)

urlpatterns = [path("admin/", admin.site.urls), path("api/", include(router.urls))]
""",
        ),
        "requirements.txt": "Django==5.2.*\ndjangorestframework==3.16.0\npsycopg2-binary==2.9.10\n",
        "stock/settings.py": f"""
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = os.environ.get("DEBUG", "False") == "True"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "*").split(",")
{framework("stock", "rest_framework")}
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("DATABASE_NAME"),
        "USER": os.environ.get("DATABASE_USERNAME"),
        "PASSWORD": os.environ.get("DATABASE_PASSWORD"),
        "HOST": os.environ.get("DATABASE_HOST"),
        "PORT": int(os.environ.get("DATABASE_PORT", 5432)),
    }}
}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
""",
    },
)
