"""Reading settings without running them: what each way of writing them comes to."""
# ruff: noqa: E501 - a case is a line

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from adoptkit import SETTINGS, found_in

from slipway.adoption import write
from slipway.core import envfile
from slipway.project.evaluator import Evaluator

POSTGRES = """
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["N"], "USER": os.environ.get("U"),
    "PASSWORD": os.environ["P"], "HOST": os.environ.get("H", "localhost"), "PORT": int(os.environ["PORT_OF_IT"])}}
"""
WITHOUT = SETTINGS.replace("DEBUG = False\n", "").replace('ALLOWED_HOSTS = ["localhost", "127.0.0.1"]\n', "")


def _names(tmp_path: Path, text: str, **environ: str) -> dict[str, object]:
    (tmp_path / "conf.py").write_text(text)
    run = Evaluator(tmp_path, (tmp_path,), dict(environ))
    scope = run.module("conf")
    assert scope
    return scope.names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("import os\nX = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'a')", "/app/a"),
        ("from pathlib import Path\nX = str(Path(__file__).resolve().parent / 'a' / 'b')", "/app/a/b"),
        ("import environ\nX = str((environ.Path(__file__) - 1).path('a'))", "/app/a"),
        ("import os\nX = os.getenv('SET', 'no')", "yes"),
        ("import os\nX = 'in' if 'SET' in os.environ else 'out'", "in"),
        ("from decouple import config, Csv\nX = config('LIST', cast=Csv())", ["a", "b"]),
        ("import environ\nenv = environ.Env(ON=(bool, False))\nX = env('ON')", True),
        ("from environs import Env\nenv = Env()\nwith env.prefixed('L'):\n    X = env.list('IST')", ["a", "b"]),
        ("import os\ndef get(n):\n    try:\n        return os.environ[n]\n    except KeyError:\n        return 'd'\nX = get('NO')", "d"),
        ("import os\nX = [h.strip() for h in os.environ['LIST'].split(',') if h]", ["a", "b"]),
        ("try:\n    from .local import *\nexcept ImportError:\n    X = 'none'", "none"),
        ("X = [1]\nX += [2]\nX.append(3)", [1, 2, 3]),
        ("import os\nmatch os.environ['SET']:\n    case 'yes':\n        X = 1\n    case _:\n        X = 2", 1),
    ],
)  # fmt: skip
def test_values(tmp_path: Path, text: str, value: object) -> None:
    """Red when a way in which settings are written stays unknown."""
    assert _names(tmp_path, text, SET="yes", LIST="a,b", ON="on")["X"] == value


def test_nothing_of_the_project_runs(tmp_path: Path) -> None:
    """Red when a module is imported instead of read."""
    mark = tmp_path / "ran"
    found_in(
        tmp_path / "p",
        more=f"\nopen({str(mark)!r}, 'w').write('x')\nimport shutil; shutil.rmtree('/nowhere')\n",
    )
    assert not mark.exists()


def test_the_parts_of_a_database_are_found_by_where_they_end_up(tmp_path: Path) -> None:
    """Red when variables are judged by their names alone: these have none that says anything."""
    found = found_in(tmp_path / "p", more=POSTGRES)
    assert {name: found.app[name] for name in ("N", "U", "P", "H", "PORT_OF_IT")} == {
        "N": "app", "U": "app", "P": "{{secret:postgres_password}}", "H": "db", "PORT_OF_IT": "5432",
    }  # fmt: skip
    assert found.env["DATABASE"] == "postgres"
    assert found.left == {}


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("import dj_database_url\nDATABASES = {'default': dj_database_url.config(default='sqlite:///db.sqlite3')}", "DATABASE_URL"),
        ("import environ\nenv = environ.Env()\nDATABASES = {'default': env.db('DB_ADDRESS')}", "DB_ADDRESS"),
        ("import dj_database_url\nu = os.getenv('DATABASE_URL')\nif u:\n    DATABASES['default'].update(dj_database_url.parse(u))", "DATABASE_URL"),
        ("from decouple import config\nimport dj_database_url\nDATABASES = {'default': dj_database_url.config(default=config('DATABASE_URL'))}", "DATABASE_URL"),
        ("import environ\nenv = environ.Env()\nif env('DATABASE_URL'):\n    DATABASES = {'default': env.db()}", "DATABASE_URL"),
    ],
)  # fmt: skip
def test_a_database_by_url(tmp_path: Path, text: str, variable: str) -> None:
    """Red when an optional URL is left out although the driver is there."""
    found = found_in(tmp_path / "p", more=text)
    assert found.app[variable] == "postgres://app:{{secret:postgres_password}}@db:5432/app"
    assert found.env["DATABASE"] == "postgres"


def test_without_a_driver_sqlite_stays_sqlite(tmp_path: Path) -> None:
    """Red when PostgreSQL is taken wherever a URL is read."""
    more = "import dj_database_url\nDATABASES = {'default': dj_database_url.config(default=f'sqlite:///{BASE_DIR}/my.db')}"
    found = found_in(tmp_path / "p", more=more, **{"requirements.txt": "Django==5.2\n"})
    assert (found.env["DATABASE"], found.env["DATA_PATHS"]) == ("none", "my.db")
    assert "DATABASE_URL" not in found.app


def test_a_family_behind_a_switch(tmp_path: Path) -> None:
    """Red when only what is read at first is seen: the rest shows once ENGINE is PostgreSQL's."""
    more = """
DATABASES = {"default": {"ENGINE": os.getenv("DB_ENGINE") or "django.db.backends.sqlite3", "NAME": os.getenv("DB_NAME") or "x"}}
if os.getenv("DB_HOST"):
    DATABASES["default"]["HOST"] = os.getenv("DB_HOST")
if os.getenv("DB_PASSWORD"):
    DATABASES["default"]["PASSWORD"] = os.getenv("DB_PASSWORD")
"""
    found = found_in(tmp_path / "p", more=more)
    assert found.app["DB_HOST"] == "db"
    assert found.app["DB_PASSWORD"] == "{{secret:postgres_password}}"
    assert "SETTINGS_OVERLAY" not in found.env


def test_a_fixed_database_is_the_overlays(tmp_path: Path) -> None:
    """Red when a PostgreSQL on localhost is taken for the stack's."""
    more = "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'x', 'HOST': 'localhost'}}"
    assert found_in(tmp_path / "p", more=more).env["SETTINGS_OVERLAY"] == "DATABASES"


def test_a_server_of_the_persons_own_stays(tmp_path: Path) -> None:
    """Red when what stands in app.env is overridden."""
    given = {"DATABASE_URL": "postgres://me:pw@db.example.org/shop", "SECRET_KEY": "x"}
    more = "import environ\nenv = environ.Env()\nDATABASES = {'default': env.db()}"
    found = found_in(tmp_path / "p", more=more, given=given)
    assert found.env["DATABASE"] == "none"
    assert "SETTINGS_OVERLAY" not in found.env and "DATABASE_URL" not in found.app


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("DEBUG = os.environ.get('DEBUG', 'True') == 'True'", "False"),
        ("DEBUG = bool(int(os.environ.get('DEBUG', 1)))", "0"),
        ("DEBUG = os.environ.get('DEBUG', True)", ""),
        ("DEBUG = int(os.environ['DEBUG'])", "0"),
        ("from decouple import config\nDEBUG = config('DEBUG', default=True, cast=bool)", "False"),
    ],
)
def test_debug_is_off_in_the_spelling_its_reader_takes(tmp_path: Path, text: str, value: str) -> None:
    """Red when DEBUG=False is written where bool("False") is true."""
    found = found_in(tmp_path / "p", **{"shop/settings.py": SETTINGS.replace("DEBUG = False", text)})
    assert found.app["DEBUG"] == value
    assert found.left == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("os.environ.get('HOSTS', '').split(',')", "localhost,127.0.0.1"),
        ("os.environ.get('HOSTS', '').split()", "localhost 127.0.0.1"),
        ("os.environ.get('HOSTS', 'x').split(';')", "localhost;127.0.0.1"),
        ("__import__('json').loads(os.environ.get('HOSTS', '[]'))", '["localhost","127.0.0.1"]'),
        ("[os.environ.get('HOSTS')]", "localhost"),
        ("os.environ.get('HOSTS').split(',')", "localhost,127.0.0.1"),
    ],
)
def test_hosts_in_the_form_their_reader_takes(tmp_path: Path, text: str, value: str) -> None:
    """Red when a list is written with commas for everybody."""
    found = found_in(tmp_path / "p", more=f"\nALLOWED_HOSTS = {text}\n")
    assert found.app["HOSTS"] == value


def test_what_is_fixed_is_the_overlays(tmp_path: Path) -> None:
    """Red when hard-coded settings go unnoticed."""
    more = "\nDEBUG = True\nALLOWED_HOSTS = ['shop.example.org']\nSTATIC_ROOT = None\nSECURE_SSL_REDIRECT = True\n"
    found = found_in(tmp_path / "p", more=more)
    assert found.env["SETTINGS_OVERLAY"].split() == [
        "DEBUG",
        "ALLOWED_HOSTS",
        "SECURE_SSL_REDIRECT",
        "STATIC_ROOT",
    ]
    assert found.env["HEALTH_FORWARDED_PROTO"] == "https"
    line = (SETTINGS + more).splitlines().index("DEBUG = True") + 1
    assert f"DEBUG (shop/settings.py:{line}): it is fixed to True" in found.why("SETTINGS_OVERLAY")


def test_without_containers_the_project_gets_its_own_variables(tmp_path: Path) -> None:
    """Red when app.local.env is the example's: its DEBUG=1 and hosts with commas are not for these settings."""
    more = """
DEBUG = os.environ.get("SHOP_DEBUG", "no") == "on"
ALLOWED_HOSTS = os.environ["HOSTS"].split()
REDIS_URL = os.environ["REDIS_URL"]
PAY = os.environ["PAY_API_KEY"]
"""
    kit = Path(__file__).parents[3]
    found = found_in(tmp_path / "p", more=more)
    names = (".env", "app.env", "app.dev.env", "app.local.env")
    files = {name: tmp_path / "kit" / name for name in names}
    files["app.local.env"].parent.mkdir()
    shutil.copy(kit / "app.local.env.example", files["app.local.env"])
    for change in write.changes(found.project, kit, files):
        write.put(change)
    local = {name: entry.value for name, entry in envfile.read(files["app.local.env"]).items()}
    assert local["SHOP_DEBUG"] == "on" and local["HOSTS"] == found.app["HOSTS"]
    assert local["SECRET_KEY"] == "{{secret:secret_key}}"
    assert not {"DEBUG", "ALLOWED_HOSTS", "REDIS_URL", "PAY_API_KEY"} & set(local)
    text = files["app.local.env"].read_text()
    assert "#REDIS_URL=redis://redis:6379" in text and "#PAY_API_KEY=" in text
    # A person's own lines stay, and nothing is written twice.
    files["app.local.env"].write_text(f"{text}\nPAY_API_KEY=mine\n")
    assert write.changes(found.project, kit, files) == []


def test_https_by_variable_waits_for_tls(tmp_path: Path) -> None:
    """Red when a site on http redirects every page to https."""
    more = "\nSECURE_SSL_REDIRECT = os.environ.get('SSL_REDIRECT', 'yes') != '0'\n"
    found = found_in(tmp_path / "p", more=more)
    assert found.app["SSL_REDIRECT"] == "0"
    assert "SETTINGS_OVERLAY" not in found.env


def test_required_variables_are_left_by_name(tmp_path: Path) -> None:
    """Red when a value is made up for what only the person knows, or the search stops at the first."""
    more = """
PAY = os.environ["PAY_API_KEY"]
def need(name):
    try:
        return os.environ[name]
    except KeyError:
        raise RuntimeError(name)
SHIP = need("SHIP_ACCOUNT")
if not os.environ.get("TAX_NUMBER"):
    raise ValueError("TAX_NUMBER is not set")
OPTIONAL = os.environ.get("OPTIONAL")
"""
    found = found_in(tmp_path / "p", more=more)
    assert set(found.left) == {"PAY_API_KEY", "SHIP_ACCOUNT", "TAX_NUMBER"}
    assert not set(found.left) & set(found.app)
    assert found.app["SECRET_KEY"] == "{{secret:secret_key}}"
    assert found.where("SECRET_KEY") == "shop/settings.py:6"


def test_a_key_that_no_settings_set_is_the_overlays(tmp_path: Path) -> None:
    """Red when a project whose development settings alone have a key is taken as it is, or UNKNOWN counts as none."""
    files = {"shop/settings.py": SETTINGS.replace('SECRET_KEY = os.environ["SECRET_KEY"]\n', "")}
    assert found_in(tmp_path / "p", **files).env["SETTINGS_OVERLAY"] == "SECRET_KEY"
    files = {"shop/settings.py": SETTINGS.replace('os.environ["SECRET_KEY"]', "open('/etc/key').read()")}
    assert "SETTINGS_OVERLAY" not in found_in(tmp_path / "q", **files).env


def test_files_collected_long_ago_are_collected_again(tmp_path: Path) -> None:
    """Red when a manifest without the admin's files counts as all that the site needs, or one with them does not."""
    manifest = {"staticfiles/staticfiles.json": "{}"}
    assert "COLLECTSTATIC" not in found_in(tmp_path / "p", **manifest).env
    manifest["staticfiles/admin/css/base.css"] = ""
    assert found_in(tmp_path / "q", **manifest).env["COLLECTSTATIC"] == "skip"


def test_a_required_text_that_is_taken_for_a_truth(tmp_path: Path) -> None:
    """Red when app.env keeps "False", which is no falsehood as a text, once it is known better."""
    found = found_in(tmp_path / "p", more='\nfrom decouple import config\nDEBUG = config("DEBUG")\n')
    assert found.app["DEBUG"] == ""
    more = '\nfrom decouple import config\nDEBUG = config("DEBUG", cast=bool)\n'
    assert found_in(tmp_path / "q", more=more).app["DEBUG"] == "False"


def test_examples_help_and_secrets_stay_where_they_are(tmp_path: Path) -> None:
    """Red when a secret of a committed .env is copied, or what an example file has is not used."""
    more = "\nA = os.environ['PAGE_SIZE']\nB = os.environ['PAY_TOKEN']\nC = os.environ['FEED']\n"
    dotenv = "PAY_TOKEN=s3cretOfTheirs\nFEED=https://me:s3cretOfTheirs@example.org/\nPAGE_SIZE=20\n"
    found = found_in(tmp_path / "p", more=more, **{".env": dotenv})
    assert found.app["PAGE_SIZE"] == "20"
    assert set(found.left) == {"PAY_TOKEN", "FEED"}
    assert "s3cretOfTheirs" not in repr(found.project.findings)


def test_redis_and_celery(tmp_path: Path) -> None:
    """Red when the broker stays on localhost, or the worker is not seen."""
    more = """
CELERY_BROKER_URL = os.environ.get("BROKER", "redis://localhost:6379/3")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:6379/1"}}
CELERY_BEAT_SCHEDULE = {"a": 1}
"""
    found = found_in(
        tmp_path / "p", more=more,
        **{"shop/celery.py": "from celery import Celery\napp = Celery('shop')\n", "requirements.txt": "Django\ncelery[redis]\n"},
    )  # fmt: skip
    assert (found.env["REDIS"], found.app["BROKER"]) == ("on", "redis://redis:6379/3")
    assert (found.env["CELERY_APP"], found.env["CELERY_BEAT"]) == ("shop.celery", "on")
    assert found.env["SETTINGS_OVERLAY"] == "CACHES"


def test_a_second_database(tmp_path: Path) -> None:
    """Red when only `default` is looked at."""
    more = (
        POSTGRES
        + """
DATABASES["reports"] = {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["R_NAME"], "HOST": os.environ["R_HOST"],
    "USER": "app", "PASSWORD": os.environ["R_PASSWORD"]}
"""
    )
    found = found_in(tmp_path / "p", more=more)
    assert found.env["EXTRA_DATABASES"] == "reports"
    assert (found.app["R_NAME"], found.app["R_HOST"]) == ("reports", "db")


def test_settings_that_look_at_the_command_line(tmp_path: Path) -> None:
    """Red when the server's has one word: the second, which settings compare with a command's name, is missing."""
    more = """
import sys
import dj_database_url
if sys.argv[1] != "collectstatic":
    if os.getenv("DATABASE_URL") is None:
        raise Exception("DATABASE_URL is not defined")
    DATABASES = {"default": dj_database_url.parse(os.environ.get("DATABASE_URL"))}
"""
    assert found_in(tmp_path / "p", more=more).app["DATABASE_URL"].startswith("postgres://")


def test_a_key_that_production_does_not_have(tmp_path: Path) -> None:
    """Red when only a key that a variable decides is thought of: Django does not start with an empty one."""
    found = found_in(tmp_path / "p", more='SECRET_KEY = ""\n')
    assert "SECRET_KEY" in found.env["SETTINGS_OVERLAY"].split()


READER = """
import os
from django.core.exceptions import ImproperlyConfigured
def given(name):
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))
def text(name, default=None):
    value = os.environ.get(name)
    path = os.environ.get(f"{name}_FILE")
    if value and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set")
    if path:
        value = open(path).read()
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set")
    return default
"""


def test_a_reader_of_the_projects_own(tmp_path: Path) -> None:
    """Red when what a function has read is forgotten at its ``raise``, or NAME_FILE is given beside NAME."""
    settings = SETTINGS.replace('os.environ["SECRET_KEY"]', 'text("SECRET_KEY")').replace(
        "import os\n", "import os\nfrom .env import given, text\n"
    )
    more = """
def _postgres():
    return {"ENGINE": "django.db.backends.postgresql", "HOST": text("POSTGRES_HOST"), "NAME": text("POSTGRES_DB"),
        "USER": text("POSTGRES_USER"), "PASSWORD": text("POSTGRES_PASSWORD")}
DATABASES = {"default": _postgres() if given("POSTGRES_HOST") else DATABASES["default"]}
"""
    found = found_in(tmp_path / "p", **{"shop/settings.py": settings + more, "shop/env.py": READER})
    assert {n: v for n, v in found.app.items() if n != "DEBUG"} == {
        "SECRET_KEY": "{{secret:secret_key}}", "POSTGRES_HOST": "db", "POSTGRES_DB": "app",
        "POSTGRES_USER": "app", "POSTGRES_PASSWORD": "{{secret:postgres_password}}",
    }  # fmt: skip
    assert (found.env["DATABASE"], found.left) == ("postgres", {})
    assert "may end" not in found.warnings


def test_settings_that_look_at_the_command(tmp_path: Path) -> None:
    """Red when sys.argv has one entry: sys.argv[1] makes the database unknown."""
    more = """
import sys, dj_database_url
del DATABASES
DEVELOPMENT_MODE = os.getenv("DEVELOPMENT_MODE", "False") == "True"
if DEVELOPMENT_MODE is True:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
elif len(sys.argv) > 0 and sys.argv[1] != "collectstatic":
    if os.getenv("DATABASE_URL", None) is None:
        raise Exception("DATABASE_URL environment variable not defined")
    DATABASES = {"default": dj_database_url.parse(os.environ.get("DATABASE_URL"))}
"""
    found = found_in(tmp_path / "p", more=more)
    assert found.app["DATABASE_URL"] == "postgres://app:{{secret:postgres_password}}@db:5432/app"
    assert found.env["DATABASE"] == "postgres"
    assert found.left == {}


@pytest.mark.parametrize(
    ("text", "line", "overlay"),
    [
        ("", None, True),
        ("SECRET_KEY = ''", None, True),
        ("SECRET_KEY = 'django-insecure-x'", None, True),
        ("from django.core.management.utils import get_random_secret_key\nSECRET_KEY = get_random_secret_key()", None, True),
        ("SECRET_KEY = 'dev' if os.environ.get('STAGE') == 'dev' else 'live'", None, True),
        ("SECRET_KEY = os.environ.get('SECRET_KEY', 'django-insecure-x')", "SECRET_KEY", False),
        ("SECRET_KEY = os.getenv('SIGNS_SESSIONS', 'dev')", "SIGNS_SESSIONS", False),
        ("from pydantic import SecretStr\nfrom pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    key: SecretStr\n"
         "SECRET_KEY = S().key.get_secret_value()", "KEY", False),
        ("SECRET_KEY = open(os.getenv('KEY_FILE', '/etc/key')).read()", "KEY_FILE", False),
    ],
)  # fmt: skip
def test_a_secret_key_is_nobody_elses(tmp_path: Path, text: str, line: str | None, overlay: bool) -> None:
    """Red when Django would start with a key that is public, or not start for want of one."""
    settings = SETTINGS.replace('SECRET_KEY = os.environ["SECRET_KEY"]', text)
    found = found_in(tmp_path / "p", **{"shop/settings.py": settings})
    assert ("SECRET_KEY" in found.env.get("SETTINGS_OVERLAY", "").split()) is overlay
    if line:
        value = "/run/secrets/secret_key" if line.endswith("_FILE") else "{{secret:secret_key}}"
        assert found.app[line] == value


def test_a_second_database_by_url(tmp_path: Path) -> None:
    """Red when two aliases get one database, or what is optional a database that nobody asked for."""
    more = """
import dj_database_url, environ
env = environ.Env()
DATABASES = {"default": dj_database_url.config(), "archive": dj_database_url.config(env="ARCHIVE_DATABASE_URL"),
    "log": env.db("LOG_URL")}
if os.environ.get("STATS_URL"):
    DATABASES["stats"] = dj_database_url.parse(os.environ["STATS_URL"])
"""
    found = found_in(tmp_path / "p", more=more)
    url = "postgres://app:{{secret:postgres_password}}@db:5432/"
    assert {n: found.app.get(n) for n in ("DATABASE_URL", "ARCHIVE_DATABASE_URL", "LOG_URL", "STATS_URL")} == {
        "DATABASE_URL": f"{url}app", "ARCHIVE_DATABASE_URL": f"{url}archive", "LOG_URL": f"{url}log", "STATS_URL": None,
    }  # fmt: skip
    assert found.env["EXTRA_DATABASES"] == "archive log"
    assert found.env["MIGRATE_DATABASES"] == "default archive log"


def test_a_host_of_something_else_is_not_the_redis(tmp_path: Path) -> None:
    """Red when all hosts of one table are redis's, because one of them decides CACHES."""
    more = """
CONF = {"database": {"host": os.getenv("SHOP_DB_HOST", "")}, "mail": {"host": os.getenv("SHOP_MAIL_HOST", "localhost")},
    "queue": {"host": os.getenv("SHOP_QUEUE_HOST", "localhost")}, "search": {"host": os.getenv("SHOP_FINDER_HOST", "x")}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"redis://{CONF['queue']['host']}:6379/1"}}
"""
    found = found_in(tmp_path / "p", more=more)
    assert found.app["SHOP_QUEUE_HOST"] == "redis"
    assert not {"SHOP_DB_HOST", "SHOP_MAIL_HOST", "SHOP_FINDER_HOST"} & set(found.app)


def test_a_cookie_whose_name_wants_https(tmp_path: Path) -> None:
    """Red when SECURE is switched off by its variable and the name is left as it is: no browser signs in."""
    more = "\nSESSION_COOKIE_SECURE = os.getenv('SECURE_COOKIES', '1') == '1'\nSESSION_COOKIE_NAME = '__Secure-sid'\n"
    found = found_in(tmp_path / "p", more=more)
    assert (found.app["SECURE_COOKIES"], found.env["SETTINGS_OVERLAY"]) == ("False", "SESSION_COOKIE_NAME")


def test_what_a_branch_that_raises_would_set_is_not_known(tmp_path: Path) -> None:
    """Red when the variables behind an `if` are not seen because the first of them is missing, or an import's names."""
    more = """
del DATABASES
if os.environ.get("PGHOST"):
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "NAME": os.environ["PGDATABASE"],
        "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"], "OPTIONS": {"sslmode": os.environ.get("PGSSLMODE", "require")}}}
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}}
"""
    found = found_in(tmp_path / "p", more=more)
    assert {name: found.app[name] for name in ("PGHOST", "PGDATABASE", "PGPASSWORD", "PGSSLMODE")} == {
        "PGHOST": "db", "PGDATABASE": "app", "PGPASSWORD": "{{secret:postgres_password}}", "PGSSLMODE": "disable",
    }  # fmt: skip
    assert (found.env["DATABASE"], "SETTINGS_OVERLAY" in found.env) == ("postgres", False)
    own = {
        "shop/settings.py": SETTINGS.replace(
            'SECRET_KEY = os.environ["SECRET_KEY"]', "from .own import SECRET_KEY"
        )
    }
    assert "SETTINGS_OVERLAY" not in found_in(tmp_path / "q", **own).env


@pytest.mark.parametrize(
    "text",
    [
        "{'default': dj_database_url.config(conn_max_age=600, ssl_require=True)}",
        "{'default': dj_database_url.parse(os.environ['DATABASE_URL'], ssl_require=True)}",
        "{'default': {**dj_database_url.config(), 'OPTIONS': {'sslmode': 'require'}}}",
    ],
)
def test_a_database_that_wants_tls_is_the_overlays(tmp_path: Path, text: str) -> None:
    """Red when the stack's PostgreSQL, which has no TLS, is asked for it at every request."""
    found = found_in(tmp_path / "p", more=f"\nimport dj_database_url\nDATABASES = {text}\n")
    assert (found.env["DATABASE"], found.env["SETTINGS_OVERLAY"]) == ("postgres", "DATABASES")


def test_a_url_cast_by_its_parser(tmp_path: Path) -> None:
    """Red when decouple's cast= by a function of another package leaves the database unknown."""
    more = """
from decouple import config
from dj_database_url import parse as dburl
DATABASES = {"default": config("DATABASE_URL", default="sqlite:///x.db", cast=dburl)}
"""
    found = found_in(tmp_path / "p", more=more)
    assert found.app["DATABASE_URL"] == "postgres://app:{{secret:postgres_password}}@db:5432/app"


def test_the_worker_of_every_queue(tmp_path: Path) -> None:
    """Red when jobs in any queue but the first stay for ever."""
    more = "\nINSTALLED_APPS += ['django_rq']\nRQ_QUEUES = {'default': {'HOST': 'redis'}, 'mails': {'HOST': 'redis'}}\n"
    assert found_in(tmp_path / "p", more=more).env["PROCESS_RQ"] == "python manage.py rqworker default mails"


def test_settings_by_configparser(tmp_path: Path) -> None:
    """Red when what a committed file and a table of variables say through a parser stays unknown."""
    more = """
import configparser
config = configparser.ConfigParser()
config.read_dict({"db": {"engine": "sqlite3", "host": ""}, "site": {"debug": "yes"}})
config.read([os.path.join(BASE_DIR, "shop.ini"), "/etc/shop.ini"])
VARIABLES = {"db": {"engine": os.getenv("SHOP_DB_TYPE"), "host": os.getenv("SHOP_DB_HOST"), "pass": os.getenv("SHOP_DB_PASS")}}
config.read_dict({s: {k: v for k, v in o.items() if v is not None} for s, o in VARIABLES.items()})
DEBUG = config.getboolean("site", "debug")
TIME_ZONE = config["site"]["zone"]
DATABASES = {"default": {"ENGINE": "django.db.backends." + config.get("db", "engine"), "HOST": config.get("db", "host"),
    "NAME": config.get("db", "name", fallback="x.db"), "PASSWORD": config["db"].get("pass", "")}}
"""
    found = found_in(tmp_path / "p", more=more, **{"shop.ini": "[site]\ndebug = no\nzone = Europe/Rome\n"})
    assert "DEBUG" not in found.env.get("SETTINGS_OVERLAY", "")
    assert found.project.settings.get("TIME_ZONE") == "Europe/Rome"
    assert {name: found.app[name] for name in ("SHOP_DB_TYPE", "SHOP_DB_HOST", "SHOP_DB_PASS")} == {
        "SHOP_DB_TYPE": "postgresql", "SHOP_DB_HOST": "db", "SHOP_DB_PASS": "{{secret:postgres_password}}",
    }  # fmt: skip
