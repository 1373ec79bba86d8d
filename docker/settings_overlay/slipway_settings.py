"""The project's own settings, with some of them as this stack needs them: docs/settings-overlay.md.

Read from the environment:
    SLIPWAY_SETTINGS_MODULE   the project's own settings module
    SLIPWAY_OVERLAY           JSON, written by the tasks: ``names`` of the settings to set, and the values for
    them: ``production``, ``hosts``, ``origins``, ``static_url``, ``media_url``, ``media_root``,
    ``db_name``, ``db_user``, ``tls``
"""

import importlib
import json
import os
import re
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

SLIPWAY_SETTINGS_MODULE = os.environ["SLIPWAY_SETTINGS_MODULE"]
if os.environ.get("DJANGO_CONFIGURATION"):
    raise ImproperlyConfigured(
        "SLIP-138: SETTINGS_OVERLAY does not work with django-configurations, whose settings are a class; "
        "fix: remove it from .env, and set the variables that the class reads in app.env"
    )

_project = importlib.import_module(SLIPWAY_SETTINGS_MODULE)
_given = json.loads(os.environ["SLIPWAY_OVERLAY"])

globals().update({name: getattr(_project, name) for name in dir(_project) if not name.startswith("_")})


def __getattr__(name):
    """Return attributes of the project's module from its own ``__getattr__``, or set after its import."""
    return getattr(_project, name)


def _secret(name):
    path = Path("/run/secrets") / name
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError:
        raise ImproperlyConfigured(
            f"SLIP-058: SETTINGS_OVERLAY needs the secret {path}; fix: invoke init"
        ) from None


def _databases():
    """Return the stack's database as ``default``, with the project's PostgreSQL options; others unchanged."""
    databases = dict(getattr(_project, "DATABASES", {}))
    own = databases.get("default", {})
    engine = own.get("ENGINE", "")
    if not any(word in engine for word in ("postgres", "postgis", "psycopg")):
        gis = "django.contrib.gis.db.backends.postgis"
        # Its options belong to another kind of server.
        own = {"ENGINE": gis if ".gis." in engine else "django.db.backends.postgresql"}
    options = own.get("OPTIONS")
    if isinstance(options, dict):
        # The stack's server has no TLS; the network it is on is the stack's alone.
        plain = {name: value for name, value in options.items() if not name.startswith("ssl")}
        own = {**own, "OPTIONS": plain}
    databases["default"] = {
        **own,
        "NAME": _given.get("db_name", "app"),
        "USER": _given.get("db_user", "app"),
        "PASSWORD": _secret("postgres_password"),
        "HOST": "db",
        "PORT": "5432",
    }
    return databases


def _origins():
    origins = _given.get("origins", [])
    if django.VERSION >= (4, 0):
        return origins
    # Before Django 4.0 without the scheme, and with a dot instead of the wildcard.
    return sorted({origin.partition("://")[2].replace("*.", ".") for origin in origins})


def _over_tls(name, without):
    """Return the project's own value if the stack serves https, else ``without``."""
    return getattr(_project, name, None) if _given.get("tls") else without


def _plain_cookie(name, default):
    # Browsers accept a name with these prefixes only over https.
    own = getattr(_project, name, default)
    return _over_tls(name, own.removeprefix("__Secure-").removeprefix("__Host-"))


def _at_redis(value):
    """Return ``value`` with every address of this machine replaced by that of the stack's redis."""
    if isinstance(value, str):
        if value in {"localhost", "127.0.0.1"}:
            return "redis"
        return re.sub(
            r"^((?:redis|valkey)://(?:[^@/]*@)?)(?:localhost|127\.0\.0\.1)(?=[:/]|$)", r"\1redis", value
        )
    if isinstance(value, dict):
        return {key: _at_redis(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_at_redis, value))
    return value


_VALUES = {
    "ALLOWED_HOSTS": lambda: _given.get("hosts", ["localhost"]),
    "CSRF_TRUSTED_ORIGINS": _origins,
    "DATABASES": _databases,
    "DEBUG": lambda: not _given.get("production", True),
    "MEDIA_ROOT": lambda: _given.get("media_root", "/app/media"),
    "MEDIA_URL": lambda: _given.get("media_url", "/media/"),
    "SECRET_KEY": lambda: _secret("secret_key"),
    "SECURE_PROXY_SSL_HEADER": lambda: ("HTTP_X_FORWARDED_PROTO", "https"),
    # Collected at the start: must be the volume. Collected at build: must not, or the volume would hide it.
    "STATIC_ROOT": lambda: "/srv/static" if os.environ.get("COLLECTSTATIC") == "start" else "/srv/collected",
    "STATIC_URL": lambda: _given.get("static_url", "/static/"),
    "CSRF_COOKIE_NAME": lambda: _plain_cookie("CSRF_COOKIE_NAME", "csrftoken"),
    "CSRF_COOKIE_SECURE": lambda: _over_tls("CSRF_COOKIE_SECURE", False),
    "SECURE_SSL_REDIRECT": lambda: _over_tls("SECURE_SSL_REDIRECT", False),
    "SESSION_COOKIE_NAME": lambda: _plain_cookie("SESSION_COOKIE_NAME", "sessionid"),
    "SESSION_COOKIE_SECURE": lambda: _over_tls("SESSION_COOKIE_SECURE", False),
}
_USERS_OF_REDIS = (
    "BROKER_URL", "CACHEOPS_REDIS", "CACHES", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "CHANNEL_LAYERS",
    "Q_CLUSTER", "REDIS_HOST", "REDIS_URL", "RQ_QUEUES",
)  # fmt: skip
_VALUES |= {name: lambda name=name: _at_redis(getattr(_project, name, None)) for name in _USERS_OF_REDIS}

for _name in _given["names"]:
    globals()[_name] = _VALUES[_name]()
