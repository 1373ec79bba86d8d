"""Settings of the guestbook, one file for every environment.

Environment variables set what differs between a laptop, a server and CI, with safe defaults: without
any variable the site behaves as in production. ``docs/django-settings.md`` explains each choice.
"""

from importlib.util import find_spec
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured
from dotenv import load_dotenv

from config import env

BASE_DIR = Path(__file__).resolve().parent.parent

# An environment with the key is complete, such as a container's: a .env file in the checkout must
# not be mixed into it.
if not env.given("SECRET_KEY"):
    load_dotenv(BASE_DIR / ".env")

DEBUG = env.flag("DEBUG")
HTTPS = env.flag("HTTPS")
RELEASE = env.text("RELEASE", "dev")
SECRET_KEY = env.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

# ---------------------------------------------------------------------------------------------
# Application

INSTALLED_APPS = [
    "config",
    "guestbook",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# Django has shipped its own Content-Security-Policy middleware since 6.0.
HAS_CSP = find_spec("django.middleware.csp") is not None

MIDDLEWARE = [
    "config.requestlog.request_log",  # first, so that it times and logs every answer
    "django.middleware.security.SecurityMiddleware",
    *(["django.middleware.csp.ContentSecurityPolicyMiddleware"] if HAS_CSP else []),
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEST_RUNNER = "config.testrunner.Runner"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.release.release",
                *(["django.template.context_processors.csp"] if HAS_CSP else []),
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = env.text("LANGUAGE_CODE", "en")
TIME_ZONE = env.text("TZ", "UTC")
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---------------------------------------------------------------------------------------------
# Database: PostgreSQL where there is a server, else a SQLite file


def _postgres() -> dict:
    # One pool per process. A thread holds one connection for the length of a request, so a pool
    # smaller than the server's threads makes requests queue. 0 switches it off, for PgBouncer.
    # The readiness check has a connection of its own in addition.
    threads = env.number("WEB_THREADS", default=4, minimum=1)
    allowed = env.number("DB_CONNECTIONS_PER_WORKER", default=threads + 1, minimum=1)
    pool_max = env.number("DB_POOL_MAX", default=allowed - 1)
    most = (pool_max or threads) + 1
    # Only in a container of the web service: elsewhere nobody counts processes.
    if env.present("WEB_THREADS") and most > allowed:
        raise ImproperlyConfigured(
            f"A server process may open {most} connections (DB_POOL_MAX={pool_max}, WEB_THREADS={threads}, "
            f"and one for the readiness check), but replicas were checked with {allowed}. "
            f"Set DB_CONNECTIONS_PER_WORKER={most} in .env."
        )
    pool_min = env.number("DB_POOL_MIN", default=min(1, pool_max))
    if pool_min > pool_max:
        raise ImproperlyConfigured(f"DB_POOL_MIN ({pool_min}) is larger than DB_POOL_MAX ({pool_max}).")
    from config.pool import check  # noqa: PLC0415 - it imports psycopg, which SQLite does not need

    pool = {
        "min_size": pool_min,
        "max_size": pool_max,
        # Seconds a request waits for a connection. Shorter than the 5 s of a health probe: while the
        # database is down, waiting requests hold the threads that should answer /healthz/live.
        "timeout": 3,
        # The default keeps doubling its pauses for five minutes, so that a database which comes
        # back goes unnoticed for up to half of that.
        "reconnect_timeout": 5,
        # Before 6.1 Django insists on its own check (CONN_HEALTH_CHECKS), which asks the server each time.
        **({"check": check} if django.VERSION >= (6, 1) else {}),
    }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": env.text("POSTGRES_HOST"),
        "PORT": env.number("POSTGRES_PORT", default=5432, minimum=1),
        "NAME": env.text("POSTGRES_DB"),
        "USER": env.text("POSTGRES_USER"),
        "PASSWORD": env.text("POSTGRES_PASSWORD"),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            # A server that has fallen silent: without these a request would wait for a quarter of an hour for
            # what it sent to arrive (milliseconds), and two hours for an answer (seconds).
            "tcp_user_timeout": 5000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            **({"pool": pool} if pool_max else {}),
        },
    }


def _sqlite() -> dict:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": env.text("SQLITE_PATH", str(BASE_DIR / "db.sqlite3")),
        "OPTIONS": {
            # Readers and one writer at the same time; a writer waits for its turn from the start instead
            # of failing halfway with "database is locked".
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


DATABASES = {"default": _postgres() if env.given("POSTGRES_HOST") else _sqlite()}

# ---------------------------------------------------------------------------------------------
# Static files and uploads

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "media"

# Hashed names may be cached for ever; in development they would need a collectstatic per edit.
_STATICFILES = "StaticFilesStorage" if DEBUG else "ManifestStaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "config.storage.WholeFileStorage"},
    "staticfiles": {"BACKEND": f"django.contrib.staticfiles.storage.{_STATICFILES}"},
}

# nginx serves the uploads as another user. Without these, large uploads keep the 0600 of the
# temporary file they were received in, and folders follow the umask.
FILE_UPLOAD_PERMISSIONS = 0o644
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o755

GUESTBOOK_ENTRIES_PER_PAGE = 10
GUESTBOOK_MAX_IMAGE_BYTES = 5 * 1024 * 1024
GUESTBOOK_MAX_IMAGE_PIXELS = 40_000_000

# ---------------------------------------------------------------------------------------------
# Security

# nginx always sets this header, whatever the client sent. Without a proxy anyone could forge it.
if not DEBUG:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

SECURE_SSL_REDIRECT = HTTPS
# Probes use plain HTTP from inside: a redirect would count as healthy whatever is wrong.
SECURE_REDIRECT_EXEMPT = [r"^healthz/"]
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS

# Browsers remember this, so begin with an hour. Raise it once HTTPS works reliably.
SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", default=3600) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("HSTS_INCLUDE_SUBDOMAINS")
SECURE_HSTS_PRELOAD = env.flag("HSTS_PRELOAD")
# Both bind every host below the domain, which is for its owner to decide, not for a template.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

if HAS_CSP:
    from django.utils.csp import CSP

    # Our pages have nothing inline. Some of the admin's have, marked with the nonce.
    SECURE_CSP = {
        "default-src": [CSP.SELF],
        "script-src": [CSP.SELF, CSP.NONCE],
        "style-src": [CSP.SELF, CSP.NONCE],
        "object-src": [CSP.NONE],
        "base-uri": [CSP.NONE],
        "form-action": [CSP.SELF],
        "frame-ancestors": [CSP.NONE],
    }

# ---------------------------------------------------------------------------------------------
# Logging: one line per event on standard output, for the engine to collect

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "config.logs.RequestIdFilter"},
        "probes": {"()": "config.logs.ProbeFilter"},
    },
    "formatters": {
        "json": {"()": "config.logs.JsonFormatter"},
        "text": {
            "format": "{asctime} {levelname} [{request_id}] {name}: {message}",
            "datefmt": "%H:%M:%S",
            "style": "{",
        },
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "filters": ["request_id", "probes"],
            "formatter": env.choice("LOG_FORMAT", "text" if DEBUG else "json", ("json", "text")),
        },
    },
    "root": {
        "handlers": ["stdout"],
        "level": env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    },
    "loggers": {
        # Django's defaults would add handlers of their own and mail the admins.
        "django": {"handlers": [], "propagate": True},
        # The request log already has a line for each request; keep only what it lacks.
        "django.request": {"level": "ERROR"},
        "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
    },
}
