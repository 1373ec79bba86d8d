"""The only module that reads ``.env`` and the environment, into one frozen ``Settings``, validated once."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import posixpath
import re
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.config import extraprocesses
from slipway.core import envfile, values
from slipway.core.errors import SlipwayError

__all__ = [
    "IMAGE_VARIABLES",
    "MACHINE_FILE",
    "Settings",
    "Variable",
    "change",
    "load",
    "name_of",
    "record_machine",
    "recorded",
    "settings_file",
    "times_after",
    "unique_name",
    "variables",
]

IMAGE_VARIABLES = ("PYTHON_IMAGE", "POSTGRES_IMAGE", "NGINX_IMAGE")
MACHINE_FILE = Path(".slipway/machine.env")

# https://github.com/distribution/reference/blob/main/reference.go
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_PORT = "6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}"
_REGISTRY = rf"(?:{_DOMAIN}(?:\.{_DOMAIN})*|\[[0-9A-Fa-f:]+\])(?::(?:{_PORT}))?"
_REFERENCE = values.matching(
    rf"(?:{_REGISTRY}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
    r"(?:@[a-z0-9]+:[0-9a-f]{32,128})?",
    "an image reference",
)
# PostgreSQL truncates longer names; the two templates are its own.
_DATABASE_NAME = values.matching(r"(?!template[01]\Z)[a-z_][a-z0-9_]{0,62}", "a database name")
_VOLUME_SUFFIX = values.matching(r"(-[1-9][0-9]*)?", "a dash and a major version")
_SEGMENT = r"(?!\.{1,2}/)[A-Za-z0-9_.~-]+"
_SERVED_URL = values.matching(
    # nginx answers these three itself.
    rf"(https?:)?//[A-Za-z0-9][A-Za-z0-9._:/~-]*|(?!/?(_error|_maintenance|\.well-known)/)/?({_SEGMENT}/)*",
    "a path such as /static/, or another host's address",
)
# https://www.debian.org/doc/debian-policy/ch-controlfields.html#source, and the suffixes that apt accepts.
_PACKAGES = values.each(
    values.matching(
        r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9]+)?(=[A-Za-z0-9.+:~*-]+|/[a-z0-9-]+)?",
        "Debian packages separated by spaces",
    )
)
_VERSION = r"(===?|[~!<>]=|[<>])[A-Za-z0-9.*+!_-]+"
_MARKER = r"(;[a-z_]+(===?|[~!<>]=|[<>])(\"[^\s\"]+\"|'[^\s']+'))?"
# https://packaging.python.org/en/latest/specifications/dependency-specifiers/, without spaces.
_REQUIREMENTS = values.each(
    values.matching(
        rf"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._,-]+\])?(({_VERSION}(,{_VERSION})*)?{_MARKER}|@\S+)"
        r"|((git|hg|svn|bzr)\+)?(https?|ssh|file)://\S+",
        "Python packages separated by spaces, such as whitenoise==6.11.0",
    )
)
# https://packaging.python.org/en/latest/specifications/name-normalization/
_NAMES = values.each(
    values.matching(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "names separated by spaces")
)


def times_after(web_timeout: str) -> dict[str, str]:
    """PROXY_TIMEOUT and STOP_GRACE_PERIOD as they follow from WEB_TIMEOUT, by name.

    nginx waits for an answer as long as a request may take. A container that stops gives its requests as long
    (gunicorn's ``graceful_timeout``), and has 5 s more to end by itself, before the engine kills it.
    """
    return {
        "PROXY_TIMEOUT": web_timeout,
        "STOP_GRACE_PERIOD": values.duration(f"{values.seconds(web_timeout) + 5}s"),
    }


def _web_timeout(value: str) -> str:
    """A duration that leaves room for the grace period, which is longer."""
    times_after(value)
    return value


@dataclass(frozen=True)
class Variable:
    """A kit variable: its name, its default as text, the check of its text, an example of a valid value."""

    name: str
    default: str
    convert: Callable[[str], Any]
    example: str


def _setting(name: str, default: str, convert: Callable[[str], Any] = values.text, example: str = "") -> Any:
    return field(metadata={"variable": Variable(name, default, convert, example or default)})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every kit variable, checked. ``.env.example`` documents each under its upper-case name."""

    root: Path
    """The kit's folder, absolute."""
    env_file: str
    """The kit's own settings file: ``slipway.env`` where it exists, else ``.env``."""
    origins: Mapping[str, str]
    """Where each variable came from: ``environment``, ``.env:LINE``, ``machine.env:LINE``, ``default``."""
    named_processes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The commands of the ``PROCESS_NAME`` lines of ``.env``, by service name."""

    scheduled_commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The commands of its ``CRON_NAME`` lines, with their schedules; only production runs them."""

    name: str = _setting(
        "PROJECT_NAME", "",
        # Image names begin with it, and allow no other sequences of these characters.
        values.matching(
            r"(?=.{1,41}\Z)[a-z0-9]+((__?|-+)[a-z0-9]+)*-*",
            "lower-case letters, digits, and - or _ between them",
        ),
        "shop",
    )  # fmt: skip
    project_root: str = _setting("PROJECT_ROOT", "example", values.path)
    dependency_dir: str = _setting("DEPENDENCY_DIR", ".", values.inside)
    dependency_manager: str | None = _setting(
        "DEPENDENCY_MANAGER", "",
        values.optional(values.choice("uv", "poetry", "pipenv", "requirements", "project")), "uv",
    )  # fmt: skip
    requirements_files: tuple[str, ...] = _setting(
        "REQUIREMENTS_FILES", "", values.insides, "requirements/production.txt"
    )
    dependency_groups: tuple[str, ...] = _setting("DEPENDENCY_GROUPS", "", _NAMES, "production")
    dependency_extras: tuple[str, ...] = _setting("DEPENDENCY_EXTRAS", "", _NAMES, "postgres")
    extra_pip_packages: tuple[str, ...] = _setting(
        "EXTRA_PIP_PACKAGES", "", _REQUIREMENTS, "whitenoise==6.11.0"
    )
    dependency_overrides: tuple[str, ...] = _setting(
        "DEPENDENCY_OVERRIDES", "", _REQUIREMENTS, "psycopg2-binary==2.9.3"
    )
    pythonpath_dirs: tuple[str, ...] = _setting("PYTHONPATH_DIRS", "", values.insides, "src")
    manage_dir: str = _setting("MANAGE_DIR", ".", values.inside)
    settings_module: str = _setting(
        "DJANGO_SETTINGS_MODULE", "config.settings", values.module,
    )  # fmt: skip
    server_target: str = _setting(
        "SERVER_TARGET", "config.wsgi:application",
        values.matching(
            r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*(\(\))?",
            "a MODULE:NAME target",
        ),
    )  # fmt: skip
    app_env: str = _setting("APP_ENV", "app.env", values.path)
    app_dev_env: str = _setting("APP_DEV_ENV", "app.dev.env", values.path)
    app_prod_env: str = _setting("APP_PROD_ENV", "app.prod.env", values.path)
    app_local_env: str = _setting("APP_LOCAL_ENV", "app.local.env", values.path)
    secrets_dir: str = _setting("SECRETS_DIR", "secrets", values.path)
    overlays: tuple[str, ...] = _setting(
        "COMPOSE_OVERLAYS", "", values.each(values.path), "compose/mine.yaml"
    )

    python_version: str = _setting(
        "PYTHON_VERSION", "3.13", values.choice("3.10", "3.11", "3.12", "3.13", "3.14")
    )
    python_image: str = _setting("PYTHON_IMAGE", "python:3.13-slim-trixie", _REFERENCE)
    postgres_image: str = _setting("POSTGRES_IMAGE", "postgres:17-trixie", _REFERENCE)
    nginx_image: str = _setting("NGINX_IMAGE", "nginx:1.30-trixie", _REFERENCE)
    build_packages: tuple[str, ...] = _setting("BUILD_PACKAGES", "", _PACKAGES, "gcc libc6-dev libpq-dev")
    runtime_packages: tuple[str, ...] = _setting("RUNTIME_PACKAGES", "", _PACKAGES, "libpq5")
    collectstatic: str = _setting("COLLECTSTATIC", "build", values.choice("build", "start", "skip"))
    after_collectstatic: str = _setting(
        "AFTER_COLLECTSTATIC", "", values.command, "python manage.py compress"
    )
    assets_command: str = _setting("ASSETS_COMMAND", "", values.command, "npm ci && npm run build")
    assets_dir: str = _setting("ASSETS_DIR", ".", values.inside, "frontend")
    node_image: str = _setting("NODE_IMAGE", "node:24-trixie-slim", _REFERENCE)
    static_url: str = _setting("STATIC_URL", "/static/", _SERVED_URL)
    media_url: str = _setting("MEDIA_URL", "/media/", _SERVED_URL)
    media_root: str = _setting("MEDIA_ROOT", "/app/media", values.container_path)

    # The same names as in docker/settings_overlay.
    settings_overlay: tuple[str, ...] = _setting(
        "SETTINGS_OVERLAY", "",
        values.choices(
            "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "DATABASES", "DEBUG", "MEDIA_ROOT", "MEDIA_URL",
            "SECRET_KEY", "SECURE_PROXY_SSL_HEADER", "STATIC_ROOT", "STATIC_URL",
            "CSRF_COOKIE_NAME", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_NAME",
            "SESSION_COOKIE_SECURE",
            "BROKER_URL", "CACHEOPS_REDIS", "CACHES", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND",
            "CHANNEL_LAYERS", "Q_CLUSTER", "REDIS_HOST", "REDIS_URL", "RQ_QUEUES",
        ),
        "ALLOWED_HOSTS DEBUG STATIC_ROOT",
    )  # fmt: skip
    data_paths: tuple[str, ...] = _setting("DATA_PATHS", "", values.written_paths, "db.sqlite3")

    # --- Services next to web
    extra_databases: tuple[str, ...] = _setting("EXTRA_DATABASES", "", values.each(_DATABASE_NAME), "reports")
    migrate_databases: tuple[str, ...] = _setting(
        "MIGRATE_DATABASES", "",
        values.each(values.matching(r"[A-Za-z_][A-Za-z0-9_-]*", "an alias of DATABASES")), "default reports",
    )  # fmt: skip
    redis: str = _setting("REDIS", "off", values.choice("on", "off"))
    redis_image: str = _setting("REDIS_IMAGE", "valkey/valkey:8.1-trixie", _REFERENCE)
    redis_memory: str = _setting("REDIS_MEMORY", "256m", values.memory(16))
    redis_cpus: float = _setting("REDIS_CPUS", "0", values.cpus, "1.5")
    redis_pids: int = _setting("REDIS_PIDS", "64", values.integer(16, 4_194_304))
    celery_app: str | None = _setting(
        "CELERY_APP",
        "",
        values.optional(
            values.matching(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?", "a module name")
        ),
        "config",
    )
    celery_options: str = _setting("CELERY_OPTIONS", "--loglevel=INFO --concurrency=2", values.text)
    celery_beat: str = _setting("CELERY_BEAT", "off", values.choice("on", "off"))
    celery_beat_options: str = _setting("CELERY_BEAT_OPTIONS", "--loglevel=INFO", values.text)
    process_memory: str = _setting("PROCESS_MEMORY", "512m", values.memory(16))
    process_cpus: float = _setting("PROCESS_CPUS", "0", values.cpus, "1.5")
    process_pids: int = _setting("PROCESS_PIDS", "512", values.integer(32, 4_194_304))

    database: str = _setting("DATABASE", "postgres", values.choice("postgres", "none"))
    db_name: str = _setting("DB_NAME", "app", _DATABASE_NAME)
    db_user: str = _setting(
        "DB_USER",
        "app",
        # Reserved names: https://www.postgresql.org/docs/current/sql-createrole.html.
        values.matching(r"(?!pg_|(public|none)\Z)[a-z_][a-z0-9_]{0,62}", "a user name"),
    )
    db_volume_target: str = _setting(
        "DB_VOLUME_TARGET",
        "/var/lib/postgresql/data",
        values.container_path,
    )
    db_volume_suffix_dev: str = _setting("DB_VOLUME_SUFFIX_DEV", "", _VOLUME_SUFFIX, "-18")
    db_volume_suffix_prod: str = _setting("DB_VOLUME_SUFFIX_PROD", "", _VOLUME_SUFFIX, "-18")
    # The upper limit is PostgreSQL's own.
    db_max_connections: int = _setting("DB_MAX_CONNECTIONS", "100", values.integer(10, 262_143))
    db_connections_per_worker: int | None = _setting(
        "DB_CONNECTIONS_PER_WORKER", "", values.optional_count, "5"
    )

    web_port: int = _setting("WEB_PORT", "8000", values.port)
    db_port: int | None = _setting("DB_PORT", "", values.optional_port, "5432")
    http_addresses: tuple[str, ...] = _setting("HTTP_ADDRESS", "0.0.0.0", values.addresses)  # noqa: S104
    http_port: int = _setting("HTTP_PORT", "8080", values.port)
    allow_debug: str = _setting("ALLOW_DEBUG", "off", values.choice("on", "off"))
    web_egress: str = _setting("WEB_EGRESS", "on", values.choice("on", "off"))

    server_names: tuple[str, ...] = _setting(
        "SERVER_NAMES", "localhost 127.0.0.1", values.server_names, "example.org www.example.org"
    )
    max_body_size: str = _setting("CLIENT_MAX_BODY_SIZE", "10m", values.size)
    # As in nginx's directive of that name. docker/gunicorn.conf.py accepts as much as the largest.
    header_buffers: str = _setting(
        "LARGE_CLIENT_HEADER_BUFFERS", "4 16k",
        values.matching(
            "([2-9]|1[0-6]) ([4-9]|[1-5][0-9]|6[0-4])k",
            "a number of buffers, 2 to 16, and their size, 4k to 64k",
        ),
    )  # fmt: skip
    web_timeout: str = _setting("WEB_TIMEOUT", "30s", _web_timeout)
    # `times_after` has the default of this and of STOP_GRACE_PERIOD where WEB_TIMEOUT is another one.
    proxy_timeout: str = _setting("PROXY_TIMEOUT", "30s", values.duration)
    login_rate: str = _setting(
        "LOGIN_RATE", "10r/m", values.matching(r"[1-9][0-9]{0,5}r/[sm]", "a rate, requests per s or m")
    )
    login_paths: str = _setting(
        "LOGIN_PATHS", "^/(admin/login|accounts/login|login)/",
        values.login_paths,
    )  # fmt: skip
    trusted_proxies: tuple[str, ...] = _setting(
        "TRUSTED_PROXY", "127.0.0.1/32", values.networks, "10.0.0.0/8 2001:db8:1::/48"
    )
    maintenance_allow: tuple[str, ...] = _setting(
        "MAINTENANCE_ALLOW", "127.0.0.1/32", values.networks, "192.0.2.7/32 10.0.0.0/8"
    )
    # --- TLS
    tls: str = _setting("TLS", "off", values.choice("off", "local", "files", "acme"))
    https_port: int = _setting("HTTPS_PORT", "8443", values.port)
    # The upper limit is two years, the most that HSTS preload lists ask for.
    hsts_seconds: int | None = _setting(
        "HSTS_SECONDS", "", values.optional(values.integer(0, 63_072_000)), "3600"
    )
    tls_certificate: str = _setting("TLS_CERTIFICATE", "secrets/tls/fullchain.pem", values.path)
    tls_key: str = _setting("TLS_KEY", "secrets/tls/privkey.pem", values.path)
    acme_directory: str = _setting(
        "ACME_DIRECTORY", "https://acme-v02.api.letsencrypt.org/directory",
        values.matching(rf"https://{_REGISTRY}(/[^\s'\"$;{{}}\\]*)?", "an https:// URL"),
    )  # fmt: skip
    acme_email: str = _setting(
        "ACME_EMAIL",
        "",
        lambda value: values.email(value) if value else "",
        "you@example.org",
    )
    acme_ca_file: str | None = _setting(
        "ACME_CA_FILE", "", values.optional(values.path), "secrets/tls/acme-ca.pem"
    )

    log_format: str = _setting("LOG_FORMAT", "json", values.choice("json", "text"))
    # --- Health
    ready_path: str = _setting("HEALTH_READY_PATH", "/healthz/ready", values.url_path)
    live_path: str = _setting("HEALTH_LIVE_PATH", "/healthz/live", values.url_path)
    health_host: str = _setting(
        "HEALTH_HOST", "", lambda value: values.host(value) if value else "", "example.org"
    )
    health_codes: tuple[str, ...] = _setting("HEALTH_CODES", "200-399", values.status_codes, "200-399 404")
    health_forwarded_proto: str | None = _setting(
        "HEALTH_FORWARDED_PROTO", "", values.optional(values.choice("http", "https")), "https"
    )

    test_command: tuple[str, ...] = _setting("TEST_COMMAND", "python manage.py test", values.argv)
    web_replicas: int = _setting("WEB_REPLICAS", "1", values.count)
    web_workers: int | None = _setting("WEB_WORKERS", "", values.optional_count, "3")
    web_threads: int | None = _setting("WEB_THREADS", "", values.optional_count, "4")
    web_memory: str = _setting("WEB_MEMORY", "512m", values.memory(32))
    web_cpus: float = _setting("WEB_CPUS", "0", values.cpus, "1.5")
    db_memory: str = _setting("DB_MEMORY", "512m", values.memory(64))
    db_cpus: float = _setting("DB_CPUS", "0", values.cpus, "1.5")
    nginx_memory: str = _setting("NGINX_MEMORY", "128m", values.memory(16))
    nginx_cpus: float = _setting("NGINX_CPUS", "0", values.cpus, "1.5")
    # Limits of processes and threads; processes.py computes how many each service needs.
    web_pids: int = _setting("WEB_PIDS", "512", values.integer(32, 4_194_304))
    db_pids: int = _setting("DB_PIDS", "1024", values.integer(32, 4_194_304))
    nginx_pids: int = _setting("NGINX_PIDS", "128", values.integer(32, 4_194_304))
    keep_releases: int = _setting("KEEP_RELEASES", "5", values.count)
    log_max_size: str = _setting("LOG_MAX_SIZE", "10m", values.size)
    log_max_file: int = _setting("LOG_MAX_FILE", "3", values.count)
    stop_grace_period: str = _setting("STOP_GRACE_PERIOD", "35s", values.duration)
    wait_timeout: int = _setting("WAIT_TIMEOUT", "180s", values.seconds)
    migrate_lock_timeout: int = _setting("MIGRATE_LOCK_TIMEOUT", "300s", values.seconds)

    backup_dir: str = _setting("BACKUP_DIR", "backups", values.path)
    backup_keep_daily: int = _setting("BACKUP_KEEP_DAILY", "7", values.integer(0, 10_000))
    backup_keep_weekly: int = _setting("BACKUP_KEEP_WEEKLY", "4", values.integer(0, 10_000))
    backup_keep_monthly: int = _setting("BACKUP_KEEP_MONTHLY", "6", values.integer(0, 10_000))
    backup_memory: str = _setting("BACKUP_MEMORY", "512m", values.memory(64))
    backup_cpus: float = _setting("BACKUP_CPUS", "0", values.cpus, "1.5")

    # --- Backups by schedule, and their copies
    backup_schedule: str | None = _setting(
        "BACKUP_SCHEDULE", "", values.optional(values.schedule), "30 3 * * *"
    )
    # From the Amazon S3 user guide, "Bucket naming rules"; other stores accept upper case too.
    backup_s3_bucket: str | None = _setting(
        "BACKUP_S3_BUCKET", "",
        values.optional(
            values.matching(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", "a bucket's name")
        ),
        "shop-backups",
    )  # fmt: skip
    backup_s3_endpoint: str | None = _setting(
        "BACKUP_S3_ENDPOINT", "",
        values.optional(
            values.matching(rf"https?://{_REGISTRY}(/[^\s'\"$;{{}}\\]*)?", "an http or https address")
        ),
        "https://s3.example.org",
    )  # fmt: skip
    backup_s3_region: str = _setting(
        "BACKUP_S3_REGION", "us-east-1", values.matching(r"[A-Za-z0-9][A-Za-z0-9-]*", "a region's name")
    )
    backup_s3_prefix: str | None = _setting(
        "BACKUP_S3_PREFIX", "", values.optional(values.inside), "backups/shop"
    )
    backup_s3_ca_file: str | None = _setting(
        "BACKUP_S3_CA_FILE", "", values.optional(values.path), "ca/store.pem"
    )

    host_uid: int = _setting("HOST_UID", "1000", values.integer(0, 2**31 - 1))
    host_gid: int = _setting("HOST_GID", "1000", values.integer(0, 2**31 - 1))
    release: str = _setting(
        # An image tag and, after "web-", a host name: a label of at most 63 characters.
        "RELEASE", "dev",
        values.matching(
            r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,49}", "a release id: letters, digits, . _ -, at most 50"
        ),
    )  # fmt: skip
    revision: str = _setting(
        "REVISION", "unknown", values.matching(r"[A-Za-z0-9_.-]{1,100}", "a git revision")
    )

    def project(self, prod: bool) -> str:
        """The Compose project name of the development or production stack."""
        return f"{self.name}-{'prod' if prod else 'dev'}"

    def db_volume(self, prod: bool) -> str:
        """The name of the volume with a stack's database, as in ``compose/*-db.yaml``."""
        return f"{self.project(prod)}_db{self.db_volume_suffix_prod if prod else self.db_volume_suffix_dev}"

    @property
    def processes(self) -> Mapping[str, tuple[str, ...]]:
        """The commands of the processes next to web, by service name: Celery's, then those of ``.env``."""
        if not self.celery_app:
            return self.named_processes
        beat = self.celery_beat == "on"
        options = self.celery_options, self.celery_beat_options
        own = extraprocesses.celery(self.celery_app, options[0], beat=beat, beat_options=options[1])
        return {**own, **self.named_processes}

    def is_in_env_file(self, name: str) -> bool:
        """Whether the variable's value comes from ``.env``."""
        return self.origins[name].startswith(f"{self.env_file}:")

    def is_set_by_hand(self, name: str) -> bool:
        """Whether a person gave the variable its value, in ``.env`` or in the environment."""
        return self.is_in_env_file(name) or self.origins[name] == "environment"

    def path(self, relative: str) -> Path:
        """A path from the settings, as an absolute path; a relative one is relative to the kit's folder."""
        return (self.root / relative).resolve()

    def images(self) -> dict[str, str]:
        """The base image references by variable name, with those of optional services that are on."""
        return {
            "PYTHON_IMAGE": self.python_image,
            "POSTGRES_IMAGE": self.postgres_image,
            "NGINX_IMAGE": self.nginx_image,
            **({"REDIS_IMAGE": self.redis_image} if self.redis == "on" else {}),
            **({"NODE_IMAGE": self.node_image} if self.assets_command else {}),
        }


def variables() -> dict[str, Variable]:
    """Every kit variable by name, in the order of ``.env.example``."""
    found = (f.metadata.get("variable") for f in dataclasses.fields(Settings))
    return {variable.name: variable for variable in found if variable}


def load(
    root: Path,
    *,
    required: bool = True,
    environ: Mapping[str, str] | None = None,
    check_folders: bool = True,
) -> Settings:
    """Read and check the settings of the checkout at ``root``.

    Precedence: ``environ`` (default: the process's), ``.env``, ``.slipway/machine.env``, default; an empty
    value counts as not set, as in Compose's ``${NAME:-default}``. Without ``required`` a missing
    ``.env`` means all defaults; without ``check_folders`` the project may be missing. Raises
    ``SlipwayError`` SLIP-001 to SLIP-006, naming the variable, the file and line, what is wrong and a valid
    value. An unknown variable in ``.env`` is a warning.
    """
    environ = os.environ if environ is None else environ
    env_file = settings_file(root)
    own = envfile.read(env_file) if required or env_file.exists() else {}
    machine_path = root / MACHINE_FILE
    machine = envfile.read(machine_path) if machine_path.exists() else {}
    _warn_unknown(own)

    chosen: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for spec in dataclasses.fields(Settings):
        variable: Variable | None = spec.metadata.get("variable")
        if variable is None:
            continue
        text, origin = _pick(variable, environ, own, machine)
        if variable.name == "PROJECT_NAME" and not text:
            # A checkout from before names were recorded keeps its name.
            text = _plain_name(root.name) if "KIT_ROOT" in machine else name_of(root)
            origin = "the folder's name"
        if variable.name == "PYTHON_IMAGE" and origin.startswith(("machine.env:", "default")):
            text, origin = _image_of(chosen["python_version"], variable, text, origin)
        # machine.env has them for Compose alone, and perhaps of an earlier WEB_TIMEOUT.
        follows = variable.name in {"PROXY_TIMEOUT", "STOP_GRACE_PERIOD"}
        if follows and origin.startswith(("machine.env:", "default")):
            text = times_after(chosen["web_timeout"])[variable.name]
            origin = "default" if origins["WEB_TIMEOUT"] == "default" else "by WEB_TIMEOUT"
        if variable.name in {"HOST_UID", "HOST_GID"} and origin == "default":
            text = str(os.getuid() if variable.name == "HOST_UID" else os.getgid())
        try:
            if text.isspace():
                raise ValueError("nothing but spaces")
            chosen[spec.name] = variable.convert(text)
        except ValueError as wrong:
            raise SlipwayError(
                "SLIP-006",
                f"{variable.name} ({origin}) is {wrong}: {text[:200]!r}",
                f"set it in {env_file.name} to something like {variable.name}={variable.example}",
            ) from None
        origins[variable.name] = origin
    named = extraprocesses.read(own, variables())
    celery = {"worker": (), "beat": ()} if chosen["celery_app"] else {}
    grace = values.seconds(chosen["stop_grace_period"])
    scheduled = extraprocesses.read_scheduled(own, {**named, **celery}, grace)
    settings = Settings(
        root=root, env_file=env_file.name, origins=origins, named_processes=named,
        scheduled_commands=scheduled, **chosen,
    )  # fmt: skip
    if check_folders:
        _check_folders(settings)
        _check_kept(settings)
        _check_overlays(settings)
    _check_times(settings)
    _check_served_urls(settings)
    _check_pairs(settings)
    _check_processes(settings)
    _check_databases(settings)
    return settings


def settings_file(root: Path) -> Path:
    """``slipway.env`` where it exists (for projects that track a ``.env`` of their own), else ``.env``."""
    own = root / "slipway.env"
    return own if own.exists() else root / ".env"


def change(settings: Settings, values_by_name: Mapping[str, str]) -> None:
    """Set new values where the variables come from: in ``.env`` if it names them, else in machine.env.

    In ``.env`` only the variables' lines change. Each file is written atomically.
    """
    own = {name: value for name, value in values_by_name.items() if settings.is_in_env_file(name)}
    if own:
        path = (settings.root / settings.env_file).resolve()
        write_if_changed(path, envfile.with_values(path, own), mode=path.stat().st_mode)
    record_machine(settings.root, {n: v for n, v in values_by_name.items() if n not in own})


def record_machine(root: Path, facts: Mapping[str, str]) -> None:
    """Merge ``facts`` into ``.slipway/machine.env``, atomically, writing only what changed.

    An empty value removes the variable's line.
    """
    path = root / MACHINE_FILE
    after = {name: value for name, value in {**recorded(root), **facts}.items() if value}
    lines = ["# Written by Slipway about this machine and checkout; .env has the last word."]
    lines += [f"{name}={envfile.quote(value)}" for name, value in sorted(after.items())]
    write_if_changed(path, "\n".join(lines) + "\n")


def recorded(root: Path) -> dict[str, str]:
    """The values that ``record_machine`` has written, by variable name."""
    path = root / MACHINE_FILE
    return {e.name: e.value for e in envfile.read(path).values()} if path.exists() else {}


def write_if_changed(path: Path, text: str, mode: int | None = None) -> None:
    """Write ``text`` atomically, so that no reader sees half a file; a file with that text is left alone.

    ``mode`` is the file's mode if it must not be the default.
    """
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        if mode is not None:
            os.fchmod(file.fileno(), stat.S_IMODE(mode))
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _pick(
    variable: Variable,
    environ: Mapping[str, str],
    own: Mapping[str, envfile.Entry],
    machine: Mapping[str, envfile.Entry],
) -> tuple[str, str]:
    if environ.get(variable.name) and not _is_an_images_own(variable.name, environ[variable.name]):
        return environ[variable.name], "environment"
    for entries in (own, machine):
        entry = entries.get(variable.name)
        if entry and entry.value:
            return entry.value, entry.where
    return variable.default, "default"


def _is_an_images_own(name: str, value: str) -> bool:
    """Whether the official Python image set this value in the environment of its container."""
    return name == "PYTHON_VERSION" and value.count(".") > 1


def _image_of(version: str, variable: Variable, reference: str, origin: str) -> tuple[str, str]:
    """The image of PYTHON_VERSION and its origin; ``reference`` may be a stand-in for another version."""
    if re.search(rf"(^|/)python:{re.escape(version)}-", reference):
        return reference, origin
    return re.sub(r":\d+\.\d+", f":{version}", variable.default), "PYTHON_VERSION"


def name_of(folder: Path) -> str:
    """The PROJECT_NAME for ``folder``: its name, made unique if other names would become the same."""
    plain = _plain_name(folder.name)
    return plain if plain == folder.name.lower() else unique_name(folder)


def unique_name(folder: Path) -> str:
    """A PROJECT_NAME that no other folder has: the folder's name and a digest of its path."""
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    return f"{_plain_name(folder.name)[:33].rstrip('-_')}-{digest[:6]}"


def _plain_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:40].rstrip("_")
    # Sequences that image names do not allow.
    return re.sub(r"_+-[-_]*|-+_[-_]*|_{3,}", "-", plain) or "slipway"


def _warn_unknown(entries: Mapping[str, envfile.Entry]) -> None:
    known = variables()
    for entry in entries.values():
        if entry.name in known or entry.name.startswith((extraprocesses.PREFIX, extraprocesses.CRON_PREFIX)):
            continue
        near = difflib.get_close_matches(entry.name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "the project's own variables belong in app.env"
        print(
            f"warning: SLIP-005: {entry.where}: {entry.name} is not a variable of the kit; {hint}",
            file=sys.stderr,
        )


def _check_served_urls(settings: Settings) -> None:
    static, media = (url.strip("/") for url in (settings.static_url, settings.media_url))
    if static == media != "":
        raise SlipwayError(
            "SLIP-133",
            f"STATIC_URL and MEDIA_URL are both {settings.static_url}: nginx can serve one of them",
            "give each the value that the project's settings have",
        )


def _check_times(settings: Settings) -> None:
    grace, origins = settings.stop_grace_period, settings.origins
    # Of two that are as long, the one that a person has set.
    name, longest = max(
        (("WEB_TIMEOUT", settings.web_timeout), ("PROXY_TIMEOUT", settings.proxy_timeout)),
        key=lambda time: (values.seconds(time[1]), settings.is_set_by_hand(time[0])),
    )
    if values.seconds(grace) > values.seconds(longest):
        return
    if name == "WEB_TIMEOUT":
        follows = times_after(longest)["STOP_GRACE_PERIOD"]
        fix = f"take STOP_GRACE_PERIOD out, it is {follows} then; or raise it above {longest}"
    elif settings.is_set_by_hand("STOP_GRACE_PERIOD"):
        fix = "raise STOP_GRACE_PERIOD above PROXY_TIMEOUT; or take both out, they follow from WEB_TIMEOUT"
    else:
        fix = f"set WEB_TIMEOUT={longest} in place of PROXY_TIMEOUT, or STOP_GRACE_PERIOD to more than that"
    raise SlipwayError(
        "SLIP-012",
        f"STOP_GRACE_PERIOD ({grace}, {origins['STOP_GRACE_PERIOD']}) is not longer than {name} "
        f"({longest}, {origins[name]}): a request may be cut when its container stops",
        fix,
    )


def _check_processes(settings: Settings) -> None:
    if settings.celery_beat == "on" and not settings.celery_app:
        raise SlipwayError(
            "SLIP-141",
            f"CELERY_BEAT ({settings.origins['CELERY_BEAT']}) is on, and CELERY_APP names no application",
            "set CELERY_APP to the module that Celery's app is in, as celery --app takes it",
        )
    if settings.celery_app and (taken := {"worker", "beat"} & set(settings.named_processes)):
        name = sorted(taken)[0]
        raise SlipwayError(
            "SLIP-140",
            f"{extraprocesses.PREFIX}{name.upper()} would be a second service {name!r} next to Celery's",
            "give it another name",
        )
    extraprocesses.words(settings.celery_options, "CELERY_OPTIONS")
    extraprocesses.words(settings.celery_beat_options, "CELERY_BEAT_OPTIONS")


def _check_databases(settings: Settings) -> None:
    if not settings.extra_databases:
        return
    where = f"EXTRA_DATABASES ({settings.origins['EXTRA_DATABASES']})"
    if settings.database != "postgres":
        raise SlipwayError(
            "SLIP-142",
            f"{where} asks for databases in the stack's own PostgreSQL, but DATABASE=none turns that off",
            "create them on your database server, and remove EXTRA_DATABASES",
        )
    names = [settings.db_name, "postgres", "template0", "template1", *settings.extra_databases]
    if twice := sorted({name for name in settings.extra_databases if names.count(name) > 1}):
        raise SlipwayError(
            "SLIP-142",
            f"{where} names {twice[0]}, which exists already",
            f"DB_NAME={settings.db_name} is always created; name the others, each once",
        )


def _check_pairs(settings: Settings) -> None:
    """Refuse values that are valid by themselves but not together."""
    database = settings.database == "postgres"
    media = settings.media_root
    data = [posixpath.normpath(posixpath.join("/app", path)) for path in settings.data_paths]
    shared = next((path for path in data if f"{media}/".startswith(f"{path}/")), None) or next(
        (path for path in data if f"{path}/".startswith(f"{media}/")), None
    )
    first = settings.server_names[0].removeprefix("*").removeprefix(".")
    for wrong, problem, fix in (
        (
            database and settings.db_port == settings.web_port,
            f"WEB_PORT and DB_PORT are both {settings.web_port}",
            "development publishes both: give each a port of its own",
        ),
        (
            not (settings.backup_keep_daily or settings.backup_keep_weekly or settings.backup_keep_monthly),
            "BACKUP_KEEP_DAILY, BACKUP_KEEP_WEEKLY and BACKUP_KEEP_MONTHLY are 0: no backup would be kept",
            "set one of them to 1 or more",
        ),
        (
            _holds_code(settings, media),
            f"MEDIA_ROOT={media} has the project's code, and a volume there would freeze it at this version",
            "give uploads a folder of their own, such as /app/media",
        ),
        (
            shared is not None,
            f"DATA_PATHS names {shared}, and MEDIA_ROOT={media} has a volume of its own",
            "remove it from DATA_PATHS: uploads are kept without it",
        ),
        (
            not settings.health_host and not values.is_plain_host(first),
            f"the first of SERVER_NAMES, {settings.server_names[0]}, is not one host, and checks send it",
            "put a plain name such as example.org first, or set HEALTH_HOST to one",
        ),
    ):
        if wrong:
            raise SlipwayError("SLIP-179", problem, fix)


def _holds_code(settings: Settings, path: str) -> bool:
    """Whether ``path`` in a container is a folder of the project with Python files."""
    folder = settings.path(settings.project_root) / path.removeprefix("/app/")
    return path.startswith("/app/") and any(folder.glob("*.py"))


def _check_overlays(settings: Settings) -> None:
    for name in settings.overlays:
        if not settings.path(name).is_file():
            raise SlipwayError(
                "SLIP-006",
                f"COMPOSE_OVERLAYS ({settings.origins['COMPOSE_OVERLAYS']}) names a missing file: "
                f"{settings.path(name)}",
                "the path is relative to the kit's folder; correct the name, or remove it",
            )
        if not name.endswith((".yaml", ".yml", ".json")):
            raise SlipwayError(
                "SLIP-006",
                f"COMPOSE_OVERLAYS ({settings.origins['COMPOSE_OVERLAYS']}) names no compose file: {name}",
                "its name must end with .yaml, .yml or .json; correct it, or remove it",
            )


def _check_kept(settings: Settings) -> None:
    """Refuse a SECRETS_DIR or BACKUP_DIR that is no folder, or that is or holds another folder in use.

    Containers see everything in it, and the project's image must contain none of it.
    """
    project = settings.path(settings.project_root)
    secrets, backups = settings.path(settings.secrets_dir), settings.path(settings.backup_dir)
    others = {
        "the project's folder": project,
        "the folder of manage.py": (project / settings.manage_dir).resolve(),
        "the folder of DEPENDENCY_DIR": (project / settings.dependency_dir).resolve(),
        "the kit's folder": settings.root.resolve(),
    }
    for name, folder, other in (
        ("SECRETS_DIR", secrets, {"the folder of BACKUP_DIR": backups}),
        ("BACKUP_DIR", backups, {"the folder of SECRETS_DIR": secrets}),
    ):
        where = f"{name} ({settings.origins[name]}) names {folder}"
        there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
        fix = f"name a folder of its own, such as {name}={variables()[name].default}"
        if not there.is_dir():
            raise SlipwayError("SLIP-006", f"{where}, and {there} is no folder", fix)
        for word, found in (
            *(("is", what) for what, path in (others | other).items() if path == folder),
            *(("holds", what) for what, path in (others | other).items() if path.is_relative_to(folder)),
        ):
            raise SlipwayError("SLIP-179", f"{where}, which {word} {found}", fix)


def _check_folders(settings: Settings) -> None:
    project = settings.path(settings.project_root)
    for name, folder in (
        ("PROJECT_ROOT", project),
        ("DEPENDENCY_DIR", project / settings.dependency_dir),
        ("MANAGE_DIR", project / settings.manage_dir),
    ):
        if not folder.is_dir():
            raise SlipwayError(
                "SLIP-007",
                f"{name} ({settings.origins[name]}) names a folder that does not exist: {folder}",
                "PROJECT_ROOT is relative to the kit's folder, the other two to PROJECT_ROOT",
            )
    if not (project / settings.manage_dir / "manage.py").is_file():
        raise SlipwayError(
            "SLIP-008",
            f"there is no manage.py in {project / settings.manage_dir}",
            "set PROJECT_ROOT to the project's folder and MANAGE_DIR to the one with manage.py in it",
        )
