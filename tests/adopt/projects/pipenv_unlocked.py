"""A Pipfile whose lock was never committed, and python-dotenv."""

from projectkit import Project, frame, framework

PROJECT = Project(
    name="recipes",
    files={
        **frame("recipes"),
        "Pipfile": """
[[source]]
url = "{INDEX}"
verify_ssl = true
name = "pypi"

[packages]
django = "~=5.2.0"
python-dotenv = "*"
psycopg = {extras = ["binary"], version = "*"}

[dev-packages]
iniconfig = "*"
""",
        "recipes/settings.py": f"""
import os
from pathlib import Path

from dotenv import load_dotenv

load_dotenv()

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.getenv("SECRET_KEY")
DEBUG = os.getenv("DEBUG", "False").lower() in ("true", "1")
ALLOWED_HOSTS = os.getenv("ALLOWED_HOSTS", "127.0.0.1 localhost").split()
{framework("recipes")}
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.getenv("DB_NAME"),
        "USER": os.getenv("DB_USER"),
        "PASSWORD": os.getenv("DB_PASSWORD"),
        "HOST": os.getenv("DB_HOST"),
        "PORT": os.getenv("DB_PORT"),
    }}
}}

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static_root"
STATICFILES_DIRS = [BASE_DIR / "static"]
""",
        "static/robots.css": "/* committed, and collected from here */\n",
    },
)
