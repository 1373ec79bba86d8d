"""Suggest a value for a variable that a project reads, by its name.

Used inside the image, where a build reports what is missing, and on the host by slipway/core/suggestions.py.
The host names are those of the stack's services.
"""

from __future__ import annotations

import re

# Services that issue their own keys: a generated value would not work with them.
_THEIRS = re.compile(
    r"AWS|AZURE|GCP|GCS|GOOGLE|FIREBASE|FACEBOOK|TWITTER|GITHUB|GITLAB|LINKEDIN|APPLE|OAUTH|OIDC|SOCIAL|AUTH0|OKTA|"
    r"STRIPE|PAYPAL|PAYSTACK|RAZORPAY|BRAINTREE|FLUTTERWAVE|KHALTI|RE?CAPTCHA|HCAPTCHA|TURNSTILE|S3|SPACES|MINIO|"
    r"CLOUDINARY|CLOUDFLARE|TWILIO|SENDGRID|MAILGUN|MAILJET|MAILCHIMP|POSTMARK|SLACK|DISCORD|TELEGRAM|OPENAI|"
    r"ANTHROPIC|SPOTIFY|ALGOLIA|PUSHER|ZOOM|PLAID|SENTRY|CLERK|SUPABASE"
)
_OWN_KEY = re.compile(r"(\w+_)?(SECRET_KEY|SIGNING_KEY|JWT_SECRET|APP_SECRET)|(DJANGO_)?(SECRET|KEY)")
_DATABASE_URL = re.compile(r"(\w+_)?(DATABASE|DB|POSTGRES|POSTGRESQL|PG)_(URL|URI|DSN)")
_DATABASE_PART = re.compile(
    r"(?:[A-Z0-9]+_)??(?:POSTGRES|POSTGRESQL|PSQL|PG|DB|DATABASE|SQL|RDS)_?"
    r"(?:(?:POSTGRES|PG|DB|DATABASE|DEFAULT)_)?(?P<part>\w+)"
)
_PARTS = {
    "db": ("HOST", "HOSTNAME", "SERVER", "SERVICE_HOST", "ADDRESS", "IP"),
    "5432": ("PORT", "SERVICE_PORT"),
    "{user}": ("USER", "USERNAME", "USR"),
    "{name}": ("NAME", "DB", "DATABASE", "DBNAME", "DB_NAME", "DATABASE_NAME"),
    "{{secret:postgres_password}}": ("PASSWORD", "PASS", "PASSWD", "PWD", "PW", "USER_PASSWORD"),
    "/run/secrets/postgres_password": ("PASSWORD_FILE",),
    "django.db.backends.postgresql": ("ENGINE", "BACKEND"),
    "600": ("CONN_MAX_AGE",),
    "disable": ("SSLMODE", "SSL_MODE"),
    "False": ("SSL", "SSL_REQUIRE", "SSL_REQUIRED", "USE_SSL"),
}
_PART_VALUES = {part: value for value, parts in _PARTS.items() for part in parts}
# Whole names, without a DJANGO_, APP_ or SITE_ in front.
_NAMES = {
    "{hosts}": ("ALLOWED_HOSTS", "ALLOWED_HOST", "HOSTS"),
    "{host}": ("DOMAIN", "DOMAIN_NAME", "HOST", "HOSTNAME", "SERVER_NAME"),
    "{origin}": (
        "CSRF_TRUSTED_ORIGINS", "TRUSTED_ORIGINS", "CORS_ALLOWED_ORIGINS", "CORS_ORIGIN_WHITELIST",
        "SITE_URL", "BASE_URL", "FRONTEND_URL", "BACKEND_URL", "SERVER_URL", "APP_URL", "PUBLIC_URL", "URL",
    ),
    "False": ("DEBUG", "EMAIL_USE_TLS", "EMAIL_USE_SSL", "SECURE_SSL_REDIRECT", "USE_S3", "USE_AWS"),
    "production": ("ENV", "ENVIRONMENT", "STAGE", "ENV_NAME", "SENTRY_ENVIRONMENT"),
    "redis://redis:6379/0": (
        "REDIS_URL", "REDIS_URI", "REDIS_TLS_URL", "CELERY_BROKER_URL", "CELERY_BROKER", "BROKER_URL",
        "CELERY_RESULT_BACKEND", "CELERY_RESULT_BACKEND_URL", "RESULT_BACKEND", "CHANNELS_REDIS_URL",
        "CHANNEL_LAYERS_REDIS_URL", "RQ_REDIS_URL",
    ),
    "redis://redis:6379/1": ("CACHE_URL", "REDIS_CACHE_URL", "CACHE_LOCATION", "REDIS_LOCATION"),
    "redis": ("REDIS_HOST", "REDIS_HOSTNAME", "REDIS_SERVER", "CACHE_HOST", "CHANNELS_REDIS_HOST"),
    "6379": ("REDIS_PORT", "CACHE_PORT"),
    "0": ("REDIS_DB", "SECURE_HSTS_SECONDS", "SENTRY_TRACES_SAMPLE_RATE"),
    "django.core.mail.backends.console.EmailBackend": ("EMAIL_BACKEND",),
    "consolemail://": ("EMAIL_URL",),
    "localhost": ("EMAIL_HOST", "SMTP_HOST", "MAIL_HOST"),
    "25": ("EMAIL_PORT", "SMTP_PORT", "MAIL_PORT"),
    "webmaster@{host}": ("DEFAULT_FROM_EMAIL", "SERVER_EMAIL", "EMAIL_FROM", "FROM_EMAIL", "ADMIN_EMAIL"),
    "admin/": ("ADMIN_URL", "ADMIN_PATH"),
    "INFO": ("LOG_LEVEL", "LOGLEVEL", "LOGGING_LEVEL"),
    "UTC": ("TIME_ZONE", "TIMEZONE", "TZ"),
    "en-us": ("LANGUAGE_CODE",),
    "8000": ("PORT",),
    "": ("SENTRY_DSN", "REDIS_PASSWORD", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD"),
}  # fmt: skip
_NAME_VALUES = {name: value for value, names in _NAMES.items() for name in names}


def suggest(
    name: str,
    *,
    db_name: str = "app",
    db_user: str = "app",
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1"),
    origin: str = "http://localhost:8080",
) -> str | None:
    """Return a value for the variable ``name``, as written in app.env; None where only a person knows it.

    ``db_name`` and ``db_user`` are the stack's database, ``hosts`` the names of the site, ``origin`` its
    address. An empty text means that an empty value works. ``{{secret:NAME}}`` stands for a generated secret.
    """
    upper = name.upper()
    short = re.sub(r"^(DJANGO|APP|SITE|DJ|WEB)_(?=\w)", "", upper)
    words = {"user": db_user, "name": db_name, "hosts": ",".join(hosts), "host": hosts[0], "origin": origin}
    if not _THEIRS.search(upper):
        if _OWN_KEY.fullmatch(upper):
            return "{{secret:secret_key}}"
        if re.fullmatch(r"(\w+_)?SECRET_KEY_FILE", upper):
            return "/run/secrets/secret_key"
    for whole in (upper, short):
        if whole in _NAME_VALUES:
            return _filled(_NAME_VALUES[whole], words)
    if _DATABASE_URL.fullmatch(upper):
        return f"postgres://{db_user}:{{{{secret:postgres_password}}}}@db:5432/{db_name}"
    part = _DATABASE_PART.fullmatch(upper)
    if part and part["part"] in _PART_VALUES:
        return _filled(_PART_VALUES[part["part"]], words)
    return None


def _filled(value: str, words: dict[str, str]) -> str:
    return value if value.startswith("{{") else value.format(**words)
