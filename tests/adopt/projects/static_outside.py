"""STATIC_ROOT and MEDIA_ROOT outside the project's folder, under other URLs than Django's."""

from projectkit import DJANGO, MANIFEST_STORAGE, URLS, Project, frame, framework

PROJECT = Project(
    name="gallery",
    hashed=True,
    static_url="/assets/",
    files={
        **frame(
            "gallery",
            urls=URLS.replace("\nurlpatterns", "\nfrom gallery.views import upload\n\nurlpatterns").replace(
                '    path("", ', '    path("upload/", upload),\n    path("", '
            ),
        ),
        "requirements.txt": f"{DJANGO}\ndj-database-url\npsycopg[binary]\n",
        "gallery/views.py": """
from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template import engines

FORM = engines["django"].from_string(
    "<form method=post enctype=multipart/form-data>{% csrf_token %}<input type=file name=picture></form>"
)


def upload(request):
    if request.method == "POST":
        name = default_storage.save("picture.png", request.FILES["picture"])
        return redirect(default_storage.url(name))
    return HttpResponse(FORM.render({}, request))
""",
        "gallery/settings.py": f"""
import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = "DEBUG" in os.environ
ALLOWED_HOSTS = [".localhost", "127.0.0.1"]
{framework("gallery")}
DATABASES = {{"default": dj_database_url.config(env="DATABASE_URL")}}

STATIC_URL = "/assets/"
STATIC_ROOT = "/static"
MEDIA_URL = "/uploads/"
MEDIA_ROOT = "/var/www/uploads"
FILE_UPLOAD_PERMISSIONS = 0o644
{MANIFEST_STORAGE}""",
    },
)
