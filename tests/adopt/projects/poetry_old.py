"""Poetry as it was before it knew ``[project]``, and django-environ."""

from projectkit import Project, frame, framework, lock_with_poetry

PROJECT = Project(
    name="library",
    lock=lock_with_poetry,
    files={
        **frame("library"),
        "pyproject.toml": """
[tool.poetry]
name = "library"
version = "0.1.0"
description = "A library"
authors = ["Ann Owner <ann@example.org>"]

[tool.poetry.dependencies]
python = "^3.11"
Django = "~5.2"
django-environ = "*"
psycopg2-binary = "*"

[tool.poetry.dev-dependencies]
iniconfig = "*"

[build-system]
requires = ["poetry-core>=1.0.0"]
build-backend = "poetry.core.masonry.api"
""",
        "library/settings.py": f"""
import environ

env = environ.Env(DEBUG=(bool, False), ALLOWED_HOSTS=(list, ["localhost"]))
root = environ.Path(__file__) - 2
environ.Env.read_env(root(".env"))

SECRET_KEY = env("SECRET_KEY")
DEBUG = env("DEBUG")
ALLOWED_HOSTS = env("ALLOWED_HOSTS")
{framework("library")}
DATABASES = {{"default": env.db()}}

STATIC_URL = "/static/"
STATIC_ROOT = root("public/static")
MEDIA_URL = "/media/"
MEDIA_ROOT = root("public/media")
""",
    },
)
