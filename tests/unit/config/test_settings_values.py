"""Every variable of `.env.example`: the values that work are taken,
and any other is refused with its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.config.settings import load, record_machine, variables
from slipway.core import envfile
from slipway.core.errors import SlipwayError


@dataclass(frozen=True)
class Values:
    """Right and wrong values of one variable."""

    right: tuple[str, ...]
    wrong: tuple[str, ...]


INJECTED = ("a;b", "a{b", "a}b", 'a"b', "$host", "a$b", "a'b", "a\\b", "a b;c", "-x", "日本", "\u202ea")
NUMBERS = ("0x10", "1e3", "-1", "+1", "1.5x", "1,5", "\u0661", "99999999999999999999", "007", "one")
SIZES = ("512", "512mb", "0m", "-1m", "1.5g", "512 m", "m", "99999999999999999999g", "1t", "\u0665m", "05m")
TIMES = ("30", "0s", "-1s", "5m", "1h", "1.5s", "30 s", "s", "99999999s", "\u0663s", "030s")
PATHS = ("a$b", 'a"b', "a\\b", "~/x", "-x", "https://example.org/x", "a\tb")
INSIDE = ("/abs", "../up", "a/../b", "a//b", "a b", *INJECTED)
# White space that Python splits at, and neither nginx nor Compose: or that nobody sees.
SPACES = ("a\u00a0b", "a\u2028b", "a\u3000b", "a\u200bb", "\ufeffa")
REGULAR = (
    "^(x", "x)", "[a", "**", "a**", "(?z)", "\\1", "\\8", "[[:foo:]]", "\\u0041", "(?<=a+)b", "\\x", "\\p",
    "(?<1a>x)", "(?P<", "\\k<x>", "\\g", "\\L", "(?&x)", "(?a:x)", "(?<host>x)", "(?P<http_x>y)", "a" * 1001,
)  # fmt: skip
MODULES = ("config/settings.py", "config.settings.py", "a..b", ".a", "a.", "1a", "a-b", "a b", "a;b", "$a")
CPUS = Values(
    ("0", "1", "0.5", "1.25", "4"), ("0.001", "-1", "1,5", "two", "99999", "1e3", "50%", ".5", "1.")
)
SIZE = Values(("1k", "10m", "2G"), SIZES)
TIME = Values(("40s", "120s", "604800s"), TIMES)
COUNT = Values(("1", "3", "10000"), ("0", "10001", *NUMBERS))
PIDS = Values(("64", "4194304"), ("1", "4194305", *NUMBERS))
PORT = Values(("1", "443", "65535"), ("0", "65536", "80:80", "127.0.0.1:80", "80-90", "http", *NUMBERS))
SWITCH = Values(("on", "off"), ("On", "yes", "true", "1", "on off"))
PATH = Values(("x", "/srv/a b/x.pem", "../x", "it's/x", "日本", "a,b"), PATHS)
IMAGE = Values(
    (
        "python", "python:3.13-slim-trixie", "registry.example.org:5000/team/python:1", "localhost/a__b",
        "[::1]:5000/x", "Registry.example/x@sha256:" + "0" * 64, "x:1@sha256:" + "0" * 64,
    ),
    (
        "https://docker.io/python", "python:", "python@", "a//b", "/a", "a/", "python:3:4", "PYTHON",
        "python:-x",
        "python@sha256:0", "python 3", "python,valkey", *INJECTED,
    ),
)  # fmt: skip
MODULE = Values(("config.settings", "shop", "a_b.c1"), MODULES)
WORDS = Values(("a", "a b-c d.e"), (*SPACES, "a,b", "-x", "--index-url=http://x", "a;b", "a$b", "a/b", "*"))
PACKAGES = Values(
    ("gcc", "gcc libc6-dev libstdc++6", "libpq5:amd64 libpq5=17.2-1 curl/trixie-backports"),
    ("gcc,make", "-x", "--allow-unauthenticated", "gcc;make", "GCC", "*", "$x", "`id`", "libpq5=", "../x"),
)
REQUIREMENTS = Values(
    (
        "whitenoise==6.11.0", "a[b,c]>=1,<2 d~=3.1", "git+https://example.org/x.git@v1#egg=x",
        "x@https://example.org/x.whl", "a==1;python_version<'3.13'",
    ),
    ("whitenoise,gunicorn", "-r", "--index-url=http://x", "a==", "a = 1", "a;b", "$x", "`id`"),
)  # fmt: skip
URL = (
    "https://example.org:99999", "https://example.org:0", "https://a..b/",
    "example.org", "ftp://example.org", "https://", "https:///x", "https://a b", "https://a;b", "https://a{b",
    "https://$host/", 'https://a"b', "https://user@", "-x",
)  # fmt: skip
DATABASES = Values(
    ("reports", "reports _x2"),
    ("Reports", "a-b", "1a", "a,b", "a;b", "x" * 64, "template1", "$x", "app", "r r", *SPACES),
)
COMMAND = Values(("npm ci && npm run build", "echo '$x; {}'", "x"), ('npm run "build', "it's", "a\tb\x07"))
TEXT = Values(("--loglevel=INFO", "-c 2 -Q 'a b'"), ("a 'b", "a\x07"))
SERVED = Values(
    ("/static/", "static/", "/", "/a/b.c/", "https://cdn.example.org/s/", "//cdn.example.org:8443/s/"),
    (
        "/static",
        "/_error/",
        "_maintenance/x/",
        "/.well-known/acme-challenge/",
        "/a//b/",
        "/../",
        "/./",
        "https://",
        "ftp://x/",
        "/a b/",
        "/ä/",
        *INJECTED,
    ),
)

TABLE = {
    "PROJECT_NAME": Values(
        ("shop", "shop-2", "a_b", "a__b", "a--b", "shop-", "x" * 41),
        ("Shop", "shop_", "_shop", "a___b", "a_-b", "a.b", "a/b", "x" * 42, "a,b", *INJECTED),
    ),
    "PROJECT_ROOT": PATH,
    "DEPENDENCY_DIR": Values((".", "sub/x", "a.b"), INSIDE),
    "DEPENDENCY_MANAGER": Values(("uv", "project"), ("conda", "UV", "uv poetry")),
    "REQUIREMENTS_FILES": Values(("a.txt b/c.txt", "x/"), ("a.txt,b.txt", "/a", "../a", "a;b", *SPACES)),
    "DEPENDENCY_GROUPS": WORDS,
    "DEPENDENCY_EXTRAS": WORDS,
    "EXTRA_PIP_PACKAGES": REQUIREMENTS,
    "DEPENDENCY_OVERRIDES": REQUIREMENTS,
    "PYTHONPATH_DIRS": Values(("src", "src lib/a", "src/", "./src"), ("/src", "../src", "a:b", *SPACES)),
    "MANAGE_DIR": Values((".", "sub/x"), INSIDE),
    "DJANGO_SETTINGS_MODULE": MODULE,
    "SERVER_TARGET": Values(
        ("config.wsgi:application", "a:b.c", "a:create()"),
        ("config.wsgi", "a:", ":b", "a:b:c", "a..b:c", "a/b.py:c", "a:b(", "a:b c", "a:b;c", "a:$b", "-x:y"),
    ),
    "APP_ENV": PATH,
    "APP_DEV_ENV": PATH,
    "APP_PROD_ENV": PATH,
    "APP_LOCAL_ENV": PATH,
    "SECRETS_DIR": PATH,
    "COMPOSE_OVERLAYS": Values(
        ("mine.yaml", "mine.yaml mine.yaml"),
        ("no.yaml", "mine.yaml,b", "/", "-f", "$x"),
    ),
    "PYTHON_VERSION": Values(("3.10", "3.14"), ("3", "3.9", "3.13.1x", "3.15", "python3.13", "latest")),
    "PYTHON_IMAGE": IMAGE,
    "POSTGRES_IMAGE": IMAGE,
    "NGINX_IMAGE": IMAGE,
    "BUILD_PACKAGES": PACKAGES,
    "RUNTIME_PACKAGES": PACKAGES,
    "COLLECTSTATIC": Values(("build", "start", "skip"), ("on", "off", "yes", "Build")),
    "AFTER_COLLECTSTATIC": COMMAND,
    "ASSETS_COMMAND": COMMAND,
    "ASSETS_DIR": Values((".", "front/end"), INSIDE),
    "NODE_IMAGE": IMAGE,
    "STATIC_URL": SERVED,
    "MEDIA_URL": Values(
        tuple(url for url in SERVED.right if url not in {"/static/", "static/"}),
        SERVED.wrong,
    ),
    "MEDIA_ROOT": Values(
        ("/app/media", "/app/a/b", "/media", "/data/up", "/srv/up", "/var/lib/shop", "/home/app/media"),
        (
            "media", "/", "/app", "/app/", "/app/media/", "/app/code", "/app/..",
            "/srv/../app", "/etc", "/etc/x", "/tmp/x",
            "/run/secrets",
            "/opt/venv", "/srv/static", "/srv/data/x", "/usr/share/x", "/proc", "/a//b", *INJECTED,
        ),
    ),
    "SETTINGS_OVERLAY": Values(("DEBUG", "DEBUG STATIC_ROOT"), ("debug", "DEBUG,STATIC_ROOT", "TIME_ZONE")),
    "DATA_PATHS": Values(
        ("db.sqlite3", "var/ /app/x a.b/c"),
        (".", "/", "/app", "../x", "/tmp/x", "/srv/data", "-x", "a;b", "$x", "media", "/app/media/x",
         "a,/b c;d", "//srv/data/x", "//", "/etc", "/opt/venv", "/usr/share/x", *SPACES),
    ),
    "EXTRA_DATABASES": DATABASES,
    "MIGRATE_DATABASES": Values(
        ("default", "default read-only"),
        ("default,reports", "1a", "-x", "a;b", "$x", *SPACES),
    ),
    "REDIS": SWITCH,
    "REDIS_IMAGE": IMAGE,
    "REDIS_MEMORY": Values(("16m", "1g"), ("1m", "100k", *SIZES)),
    "REDIS_CPUS": CPUS,
    "REDIS_PIDS": PIDS,
    "CELERY_APP": Values(("config", "shop.celery:app", "a.b"), ("a:", "a:b:c", *MODULES[2:])),
    "CELERY_OPTIONS": TEXT,
    "CELERY_BEAT": Values(("off",), ("on", "yes", "true", "1")),
    "CELERY_BEAT_OPTIONS": Values(("--loglevel=INFO",), ("a 'b", "a\x07")),
    "PROCESS_MEMORY": Values(("16m", "1g"), ("1m", "100k", *SIZES)),
    "PROCESS_CPUS": CPUS,
    "PROCESS_PIDS": PIDS,
    "DATABASE": Values(("postgres", "none"), ("mysql", "sqlite", "Postgres", "off")),
    "DB_NAME": Values(
        ("app", "_x", "x" * 63),
        ("Shop", "a-b", "1a", "x" * 64, "template0", "a b", *INJECTED),
    ),
    "DB_USER": Values(("app", "postgres"), ("Shop", "a-b", "pg_x", "public", "x" * 64, "a b", *INJECTED)),
    "DB_VOLUME_TARGET": Values(("/var/lib/postgresql",), ("data", "/", "/etc", "/a/../b", *INJECTED)),
    "DB_VOLUME_SUFFIX_DEV": Values(("-18",), ("18", "-0", "-x", "_18", "-18;")),
    "DB_VOLUME_SUFFIX_PROD": Values(("-18",), ("18", "-0", "-x", "_18", "-18;")),
    "DB_MAX_CONNECTIONS": Values(("10", "262143"), ("9", "262144", *NUMBERS)),
    "DB_CONNECTIONS_PER_WORKER": COUNT,
    "WEB_PORT": PORT,
    "DB_PORT": Values(PORT.right, ("8000", *PORT.wrong)),
    "HTTP_ADDRESS": Values(
        ("0.0.0.0", "127.0.0.1", "::", "::1", "0.0.0.0 ::", "192.0.2.7 2001:db8::7"),
        ("localhost", "*", "0.0.0.0:80", "1.2.3", "[::]", "fe80::1%eth0", "0.0.0.0,::", "::1 ::",
         "255.255.255.255", "224.0.0.1", "0.0.0.1", "240.0.0.1", "ff02::1", "::ffff:127.0.0.1", "::ffff:0:0",
         "127.0.0.1\u00a0::1", "a;b", "$x"),
    ),
    "HTTP_PORT": PORT,
    "ALLOW_DEBUG": SWITCH,
    "WEB_EGRESS": SWITCH,
    "SERVER_NAMES": Values(
        (
            "shop.example.org www.example.org", "*.example.org", ".example.org", "localhost 127.0.0.1 [::1]",
            "xn--bcher-kva.example", "a.test www.a.*", "a.test ~^(www\\.)?a\\.test$",
            "a.test ~^(?<sub>.+)\\.a$",
            "Shop.Example.ORG", ".".join(["x" * 63] * 3 + ["y" * 61]), "a.test ~^(?:b|c)+?[^d]*\\.a$",
            "a.test ~^(?<year>\\d+)-(?!x)(?i:y)\\.a$", "x" * 63 + ".example",
        ),
        (
            "shop.example.org,www.example.org", "a.test, b.test", "https://shop.example.org",
            "shop.example.org/",
            "bücher.example", "日本.example", "$host", "a.test $host", "~^x{2}$", "a.test ~^(x$", "a.test ~",
            "a.test ~^[a", "*", "*.", ".", "..a", "w*.example.org", "*.example.*", "a.*.b", "::1",
            "[::1", "[x]", "[fe80::1%eth0]",
            "example.org.", "example.org:8080", "[::1]:80", "a_b.example", "-a.example", "a-.example", "a..b",
            "x" * 64 + ".example", "256.1.1.1", "_", "~^a$", "www.a.*", *INJECTED,
            "a.test _", "a.test A.test", "a.test b.test a.test", "a.test ~*^b$", "a.test ~^b/c", *SPACES,
            *(f"a.test ~{pattern}" for pattern in REGULAR),
        ),
    ),
    "CLIENT_MAX_BODY_SIZE": SIZE,
    "LARGE_CLIENT_HEADER_BUFFERS": Values(
        ("4 16k", "2 4k", "16 64k"), ("4", "16k", "4 16", "4 16m", "0 16k", "17 16k", "4 128k",
         "4,16k", "4 16k;")
    ),
    "WEB_TIMEOUT": Values(("1s", "600s", "604795s"), ("604796s", *TIMES)),
    "PROXY_TIMEOUT": Values(("1s", "34s"), ("35s", *TIMES)),
    "LOGIN_RATE": Values(
        ("1r/s", "10r/m"),
        ("10", "10/m", "0r/m", "10r/h", "1.5r/s", "9999999r/s", "r/m", "1r/m;"),
    ),
    "LOGIN_PATHS": Values(
        ("^/(admin/login|accounts/login|login)/", "*^/login", "^/[a-z]+/login", "/x\\.y", "^/(?!a)b"),
        ("^/(login", "^/login)", "[a", "*", "**", "a b", "a{2}", "a$", "a;b", 'a"b', "a\\", "(?P<x",
         "a#b", "$uri", *REGULAR),
    ),
    "TRUSTED_PROXY": Values(
        ("10.0.0.0/8", "::1/128", "10.0.0.0/8 172.16.0.0/12 2001:db8::/32", "192.0.2.7"),
        ("10.0.0.1/8", "all", "a;b", "$x", "10.0.0.0/33", "10.0.0.0/8,::1/128", "10.0.0.0/8 10.0.0.0/8",
         "10.0.0.0/8\u00a0::1/128"),
    ),
    "MAINTENANCE_ALLOW": Values(
        ("192.0.2.7/32 10.0.0.0/8", "2001:db8::/32"), ("10.0.0.1/8", "all", "a;b", "10.0.0.0/8,::/0", "$x")
    ),
    "TLS": Values(("off", "local", "files", "acme"), ("on", "letsencrypt", "Off")),
    "HTTPS_PORT": PORT,
    "HSTS_SECONDS": Values(("0", "3600", "63072000"), ("63072001", "1y", "3600s", *NUMBERS)),
    "TLS_CERTIFICATE": PATH,
    "TLS_KEY": PATH,
    "ACME_DIRECTORY": Values(
        ("https://acme.example.org/directory", "https://[::1]:14000/dir"), ("http://acme.example.org/", *URL)
    ),
    "ACME_EMAIL": Values(
        ("you@example.org", "a.b+c@example.org"),
        ("you", "you@", "@example.org", "a@b@c", "a b@c", "a@b,c@d", "-x@example.org", "a@b;c", "$x@y",
         "ä@b.c"),
    ),
    "ACME_CA_FILE": PATH,
    "LOG_FORMAT": Values(("json", "text"), ("JSON", "combined")),
    "HEALTH_READY_PATH": Values(
        ("/", "/up?database=1", "/a/%C3%A4", "/healthz/ready", "/healthz/" + "a" * 246),
        ("up", "https://example.org/up", "/" + "a" * 255, "/ä", "/a b", "/a%2", "/a#b", "/a|b", *INJECTED),
    ),
    "HEALTH_LIVE_PATH": Values(
        ("/", "/live"),
        ("live", "/ä", "/a b", "/a%", "/a;b", "/a{b", '/a"b', "/$x", "/a\\"),
    ),
    "HEALTH_HOST": Values(
        ("example.org", "127.0.0.1", "[::1]", "localhost:8000", "[::1]:8000"),
        (
            "a b", "a,b", "https://example.org", "*.example.org", ".example.org", "bücher.example", "a_b",
            "example.org:0", "example.org:x", "example.org:", "::1", "a..b", ":80", *INJECTED,
        ),
    ),
    "HEALTH_CODES": Values(
        ("200", "200-399 404"),
        ("200,404", "2xx", "399-200", "600", "20", "200-", "a;b", "ok"),
    ),
    "HEALTH_FORWARDED_PROTO": Values(("http", "https"), ("HTTPS", "https://", "on")),
    "TEST_COMMAND": COMMAND,
    "WEB_REPLICAS": COUNT,
    "WEB_WORKERS": COUNT,
    "WEB_THREADS": COUNT,
    "WEB_MEMORY": Values(("64m", "1g"), ("8m", "100k", *SIZES)),
    "WEB_CPUS": CPUS,
    "DB_MEMORY": Values(("64m", "1g"), ("8m", "100k", *SIZES)),
    "DB_CPUS": CPUS,
    "NGINX_MEMORY": Values(("16m", "1g"), ("8m", "100k", *SIZES)),
    "NGINX_CPUS": CPUS,
    "WEB_PIDS": PIDS,
    "DB_PIDS": PIDS,
    "NGINX_PIDS": PIDS,
    "KEEP_RELEASES": COUNT,
    "LOG_MAX_SIZE": SIZE,
    "LOG_MAX_FILE": COUNT,
    "STOP_GRACE_PERIOD": Values(("31s", "600s"), ("30s", *TIMES)),
    "WAIT_TIMEOUT": TIME,
    "MIGRATE_LOCK_TIMEOUT": TIME,
    "BACKUP_DIR": PATH,
    "BACKUP_KEEP_DAILY": Values(("0", "10000"), ("10001", *NUMBERS)),
    "BACKUP_KEEP_WEEKLY": Values(("0", "10000"), ("10001", *NUMBERS)),
    "BACKUP_KEEP_MONTHLY": Values(("0", "10000"), ("10001", *NUMBERS)),
    "BACKUP_MEMORY": Values(("64m", "1g"), ("8m", "100k", *SIZES)),
    "BACKUP_CPUS": CPUS,
    "BACKUP_SCHEDULE": Values(
        ("30 3 * * *", "*/5 0 1,15 * mon", "*/60 */24 * * *"),
        ("30 3 * *", "@daily", "60 3 * * *", "0 0 31 2 *", "a;b",
         "*/90 * * * *", "0-29/61 * * * *",
         "30 3 * * * *")
    ),
    "BACKUP_S3_BUCKET": Values(
        ("shop-backups", "Shop.B_1"),
        ("ab", "a..b", "-ab", "s3://shop", "a/b", "a b", "a;bc"),
    ),
    "BACKUP_S3_ENDPOINT": Values(("https://s3.example.org", "http://minio:9000", "https://a/b"), URL),
    "BACKUP_S3_REGION": Values(("us-east-1", "garage"), ("us east", "-x", "a,b", "a;b", "$x")),
    "BACKUP_S3_PREFIX": Values(("shop", "a/b"), INSIDE),
    "BACKUP_S3_CA_FILE": PATH,
    "HOST_UID": Values(("0", "1000"), NUMBERS),
    "HOST_GID": Values(("0", "1000"), NUMBERS),
    "RELEASE": Values(
        ("dev", "2026-03-02.1", "a_b"),
        ("a b", "a/b", "-x", ".x", "x" * 51, "a;b", "$x", "a:b"),
    ),
    "REVISION": Values(("unknown", "0a1b2c3"), ("a b", "a/b", "x" * 101, "a;b", "$x")),
}  # fmt: skip


@pytest.fixture
def folders(checkout: Path) -> Path:
    """A checkout in which the paths of the table exist."""
    (checkout / "compose").mkdir()
    for name in ("mine.yaml", "compose/mine.yaml"):
        (checkout / name).touch()
    (checkout / "example" / "code").mkdir(parents=True)
    (checkout / "example" / "code" / "models.py").touch()
    return checkout


def test_no_variable_is_forgotten() -> None:
    """Red when a variable is added and nobody says which values are right and which are wrong."""
    assert set(TABLE) == set(variables())
    assert all(row.right and row.wrong for row in TABLE.values())


@pytest.mark.parametrize("name", TABLE)
def test_right_values_are_taken(folders: Path, name: str) -> None:
    """Red when a grammar refuses what nginx, Compose or PostgreSQL takes."""
    variable = variables()[name]
    for value in (variable.default, variable.example, *TABLE[name].right):
        _load(folders, name, value)


@pytest.mark.parametrize("name", TABLE)
def test_wrong_values_are_refused_by_the_variables_own_name(folders: Path, name: str) -> None:
    """Red when one reaches nginx, Compose or a URL; or when the message blames another variable."""
    taken = []
    for value in TABLE[name].wrong:
        for text in (value, f"{value}\nX=1"):
            try:
                _load(folders, name, text)
            except SlipwayError as error:
                assert name in error.problem, error
                assert error.slip_code != "SLIP-003" and error.fix, error
            else:
                taken.append(text)
    assert not taken


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("value", [" ", "a\nb", "x\x00y", "x\x1b[2K", "x\ry"])
def test_no_variable_is_more_than_a_line_of_text(folders: Path, name: str, value: str) -> None:
    """Red when spaces count as a value, or a control character reaches a file that is written from it."""
    with pytest.raises(SlipwayError) as caught:
        _load(folders, name, value)
    assert name in caught.value.problem


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SERVER_NAMES", "shop.example.org,www.example.org", "separated by spaces"),
        ("SERVER_NAMES", "a.test\u00a0b.test", "plain spaces: it has a no-break space (U+00A0)"),
        ("TRUSTED_PROXY", "10.0.0.0/8,::1/128", "separated by spaces"),
        ("HTTP_ADDRESS", "0.0.0.0,::", "separated by spaces"),
        ("MEDIA_ROOT", "/app/media/", "without a slash at the end"),
        ("SERVER_NAMES", "https://shop.example.org", "without scheme"),
        ("SERVER_NAMES", "bücher.example", "xn--bcher-kva.example"),
        ("SERVER_NAMES", "Straße.example", "xn--strae-oqa.example"),
        ("SERVER_NAMES", "example.org:8080", "without a port"),
        ("SERVER_NAMES", "::1", "[::1]"),
        ("SERVER_NAMES", "example.org.", "without a dot at the end"),
        ("SERVER_NAMES", "a_b.example", "underscore"),
        ("SERVER_NAMES", "a.test ~^(x$", "regular expression"),
        ("SERVER_NAMES", "~^a$", "the first of SERVER_NAMES"),
        ("LOGIN_PATHS", "^/(login", "regular expression"),
        ("DJANGO_SETTINGS_MODULE", "config.settings.py", "config.settings is its module"),
        ("DB_PORT", "8000", "WEB_PORT and DB_PORT are both 8000"),
        ("WEB_MEMORY", "8m", "less than the minimum that works"),
        ("COMPOSE_OVERLAYS", "mine.yaml no.yaml", "no.yaml"),
        ("HEALTH_HOST", "bücher.example", "xn--bcher-kva.example"),
        ("MEDIA_ROOT", "/app", "would hide what the image has"),
        ("DATA_PATHS", "media/", "a volume of its own"),
    ],
)
def test_the_message_says_how_it_is_written(folders: Path, name: str, value: str, says: str) -> None:
    """Red when the reason is lost: the value is refused, and nobody knows why."""
    with pytest.raises(SlipwayError) as caught:
        _load(folders, name, value)
    assert name in caught.value.problem and says in caught.value.problem + caught.value.fix


def test_a_pattern_may_come_first_where_health_checks_have_a_name(folders: Path) -> None:
    """Red when HEALTH_HOST does not count."""
    for names in ("~^a\\.test$", "www.a.*"):
        found = load(folders, environ={"SERVER_NAMES": names, "HEALTH_HOST": "a.test"})
        assert found.server_names == (names,)


def test_retention_that_keeps_nothing_is_refused(folders: Path) -> None:
    """Red when `db.prune`, or the schedule, would remove every backup."""
    none = {f"BACKUP_KEEP_{period}": "0" for period in ("DAILY", "WEEKLY", "MONTHLY")}
    with pytest.raises(SlipwayError, match=r"SLIP-179.*no backup would be kept"):
        load(folders, environ=none)
    load(folders, environ={**none, "BACKUP_KEEP_MONTHLY": "1"})


@pytest.mark.parametrize(
    "folder", ["My Shop (2)", "a_ b", "a___b", "-x-", "日本", "it's", "x" * 60, "x" * 39 + "-yy"]
)
def test_the_folders_name_makes_a_right_project_name(folders: Path, folder: str) -> None:
    """Red when a checkout cannot be used because of where it lies."""
    renamed = folders.rename(folders.with_name(folder))
    assert load(renamed, environ={}).name


@pytest.mark.parametrize("folder", ["shop", "a--b", "a__b", "a.b", "My Shop (2)", "x" * 39 + "-yy"])
def test_a_checkout_keeps_the_name_it_had(folders: Path, folder: str) -> None:
    """Red when the rule changes for folders that could be used: their volumes bear the name."""
    renamed = folders.rename(folders.with_name(folder))
    before = re.sub(r"[^a-z0-9_-]+", "-", folder.lower()).strip("-_")[:40]
    # By this a checkout that was used before names were recorded is known.
    record_machine(renamed, {"KIT_ROOT": str(renamed)})
    assert load(renamed, environ={}).name == before


def _load(root: Path, name: str, value: str) -> None:
    """Read the settings as from ``.env``, where a value can be written there, and from the environment."""
    if name in {"PROJECT_ROOT", "MANAGE_DIR", "DEPENDENCY_DIR"}:
        load(root, environ={name: value}, check_folders=False)
        return
    load(root, environ={name: value})
    try:
        line = f"{name}={envfile.quote(value)}\n"
    except SlipwayError:
        return
    (root / ".env").write_text(line)
    try:
        load(root, environ={})
    finally:
        (root / ".env").write_text("")
