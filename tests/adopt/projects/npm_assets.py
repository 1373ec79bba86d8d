"""Assets that npm builds, served with WhiteNoise's compressed manifest."""

from projectkit import DJANGO, Project, frame, framework

PROJECT = Project(
    name="magazine",
    hashed=True,
    files={
        **frame("magazine"),
        "requirements.txt": f"{DJANGO}\nwhitenoise==6.9.0\ndj-database-url\npsycopg[binary]\n",
        "package.json": """
{
  "name": "magazine",
  "version": "1.0.0",
  "private": true,
  "scripts": {"build": "node build.mjs"}
}
""",
        "package-lock.json": """
{
  "name": "magazine",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {"": {"name": "magazine", "version": "1.0.0"}}
}
""",
        "build.mjs": """
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

mkdirSync("assets/dist", { recursive: true });
writeFileSync("assets/dist/built.css", readFileSync("assets/src.css", "utf8").replace("COLOUR", "teal"));
""",
        "assets/src.css": "a { color: COLOUR }\n",
        "catalog/templates/catalog/index.html": """
{% load static %}<!doctype html>
<html lang="en">
<head>
  <title>Magazine</title>
  <link rel="stylesheet" href="{% static 'catalog/site.css' %}">
  <link rel="stylesheet" href="{% static 'built.css' %}">
</head>
<body>{% for item in items %}<p>{{ item.name }}</p>{% endfor %}</body>
</html>
""",
        "magazine/settings.py": f"""
import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SECRET_KEY", "unsafe")
DEBUG = os.environ.get("DEBUG", "0") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost 127.0.0.1").split(" ")
{framework("magazine", middleware="whitenoise.middleware.WhiteNoiseMiddleware")}
DATABASES = {{"default": dj_database_url.config(default="sqlite:///db.sqlite3")}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "assets" / "dist"]
STORAGES = {{
    "default": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "staticfiles": {{"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}},
}}
""",
    },
)
