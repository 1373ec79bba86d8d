import os

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.staticfiles", "jobs"]
MIDDLEWARE = []
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
STATIC_URL = "/static/"
STATIC_ROOT = "/srv/collected"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _database(name):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "db",
        "NAME": name,
        "USER": "app",
        "PASSWORD": os.environ["DATABASE_PASSWORD"],
    }


DATABASES = {"default": _database("app"), "reports": _database("reports")}
DATABASE_ROUTERS = ["jobs.router.Router"]
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["CACHE_URL"]}
}
CELERY_BROKER_URL = os.environ["BROKER_URL"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE = {"tick": {"task": "jobs.tasks.tick", "schedule": 1.0}}
