"""What differs between machines stands in the settings: hosts, DEBUG, the database; no STATIC_ROOT."""

from projectkit import DJANGO, Project, frame, framework

PROJECT = Project(
    name="diary",
    files={
        **frame("diary"),
        "requirements.txt": f"{DJANGO}\npsycopg2-binary\n",
        "diary/settings.py": f"""
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "django-insecure-8#x)v^4=k3b!h_w2q+z7n@t1m$c6j%y5r&u9p(e0s*d-f~g"
DEBUG = True
ALLOWED_HOSTS = ["www.diary.example"]
{framework("diary")}
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "diary",
        "USER": "postgres",
        "PASSWORD": "postgres",
        "HOST": "localhost",
        "PORT": "5432",
    }}
}}

STATIC_URL = "static/"
""",
    },
)
