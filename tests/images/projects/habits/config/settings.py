"""Settings with habits that projects have: hard-coded values, required variables, files written at import."""

import os
import sys
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

if sys.argv[0].endswith("manage.py") and len(sys.argv) < 2:
    raise SystemExit("these settings look at the command line")

API_TOKEN = os.environ["API_TOKEN"]
BATCH = int(os.getenv("BATCH"))
PEERS = os.environ.get(
    "PEERS",
).split(",")

KEY_FILE = BASE_DIR / "key.txt"
if not KEY_FILE.exists():
    KEY_FILE.write_text("generated")
SECRET_KEY = KEY_FILE.read_text()
DEBUG = True
ALLOWED_HOSTS = []

os.makedirs(BASE_DIR / "logs" / "old", exist_ok=True)  # noqa: PTH103 - as most write it
(BASE_DIR / "logs" / "started.txt").write_text("yes")
with (BASE_DIR / "seed" / "counter.txt").open("a") as file:
    file.write("1")

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.staticfiles"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "assets/"
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "here": {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": BASE_DIR / "logs" / "debug.log",
            "maxBytes": 10,
            "backupCount": 1,
        },
        "plain": {"class": "logging.FileHandler", "filename": "logs/plain.log"},
        "there": {"class": "logging.FileHandler", "filename": "/var/log/habits/site.log"},
    },
    "loggers": {"habits": {"handlers": ["here", "plain", "there"], "level": "INFO"}},
}
