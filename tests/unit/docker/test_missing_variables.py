"""docker/missing_variables.py: what an error says is missing, and that all of it is found at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
from kitfiles import load

FRAME = 'Traceback (most recent call last):\n  File "/app/s.py", line 1, in <module>\n    x\n'
IN_OS = '  File "<frozen os>", line 716, in __getitem__\n'
PYDANTIC = """\
pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings
secret_key
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.example
OTHER_NAME
  Field required [type=missing, input_value={}, input_type=dict]
"""
SAID = {
    "os.environ": (f"{IN_OS}KeyError: 'MY_KEY'\n", ["MY_KEY"]),
    "a dictionary of the project's own": ("KeyError: 'MY_KEY'\n", []),
    "django-environ": (
        "django.core.exceptions.ImproperlyConfigured: Set the A_KEY environment variable\n",
        ["A_KEY"],
    ),
    "python-decouple": (
        "decouple.UndefinedValueError: A_KEY not found. Declare it as envvar or define a default value.\n",
        ["A_KEY"],
    ),
    "environs": ('environs.exceptions.EnvError: Environment variable "APP_KEY" not set\n', ["APP_KEY"]),
    "pydantic": (PYDANTIC, ["SHOP_SECRET_KEY", "OTHER_NAME"]),
    "words of the project": ("RuntimeError: You must set A_KEY in production\n", ["A_KEY"]),
    "words about something else": ("ValueError: ENGINE is not set\n", []),
    "a module": ("ModuleNotFoundError: No module named 'environ'\n", []),
}
SOURCE = (
    "import os\nclass Config:\n    env_prefix = 'SHOP_'\n    other: str = Field(alias='OTHER_NAME')\n"
    "key = need('A_KEY')\n"
)


@pytest.fixture
def module() -> ModuleType:
    return load("missing_variables")


@pytest.mark.parametrize(("error", "names"), SAID.values(), ids=SAID)
def test_each_library_has_words_of_its_own(module: ModuleType, error: str, names: list[str]) -> None:
    """Red when a pattern of _SAID goes, or when any KeyError counts."""
    assert module.missing(FRAME + error, {}, lambda path: SOURCE) == names


def test_what_is_set_is_not_missing(module: ModuleType) -> None:
    """Red when the environment is not looked at: a build would go on in circles."""
    said = f"{FRAME}{IN_OS}KeyError: 'MY_KEY'\n"
    assert module.missing(said, {"MY_KEY": "1"}) == []
    assert module.missing(said, {"MY_KEY": ""}) == ["MY_KEY"]


STATEMENTS = {
    "import os\nPORT = int(os.getenv('PORT_X'))\n": ["PORT_X"],
    "import os\nHOSTS = os.environ.get(\n    'HOSTS_X',\n).split(',')\n": ["HOSTS_X"],
    "import os\nraw = os.environ.get('RAW_X')\nA = 1\nHOSTS = raw.split(',')\n": ["RAW_X"],
    "import os\nKEY = os.getenv('KEY_X')\nassert KEY\n": ["KEY_X"],
    "settings = {}\nPORT = int(settings.get('port'))\n": [],
    "PORT = int('x')\n": [],
}


def ended(source: Path, environment: Mapping[str, str]) -> str | None:
    """Run a file; return what it said when it failed."""
    done = subprocess.run(
        [sys.executable, source], env=dict(environment), capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else None


@pytest.mark.parametrize(("source", "names"), STATEMENTS.items(), ids=range(len(STATEMENTS)))
def test_a_value_that_is_none_is_traced_to_its_variable(
    module: ModuleType, tmp_path: Path, source: str, names: list[str]
) -> None:
    """Red when only the failing line is looked at, not its statement and where its names come from."""
    file = tmp_path / "s.py"
    file.write_text(source)
    said = ended(file, {})
    assert said
    assert module.missing(said, {}) == names


def test_all_that_is_missing_is_found_at_once(module: ModuleType, tmp_path: Path) -> None:
    """Red when find_all tries one value alone, or stops at the first name."""
    file = tmp_path / "s.py"
    file.write_text(
        "import os, base64\nA = os.environ['PLAIN_X']\nB = int(os.getenv('NUMBER_X'))\n"
        "C = base64.urlsafe_b64decode(os.environ['FERNET_X'])\n"
        "if len(C) != 32: raise ValueError('a key of 32 bytes')\n"
        "D = os.environ['DATABASE_URL'].split('@')[1]\nimport nothing_of_this_name\n"
    )
    found = module.find_all(lambda environment: ended(file, environment), {})
    assert found.names == ["PLAIN_X", "NUMBER_X", "FERNET_X", "DATABASE_URL"]
    assert "nothing_of_this_name" in found.rest
    assert found.places["NUMBER_X"] == f"{file}:3: B = int(os.getenv('NUMBER_X'))"
    *lines, last = module.explain(found).splitlines()
    assert "  DATABASE_URL=postgres://app:{{secret:postgres_password}}@db:5432/app" in lines
    assert "  PLAIN_X=<your value>" in lines
    assert last.startswith("SLIP-137: ") and "PLAIN_X, NUMBER_X, FERNET_X, DATABASE_URL" in last


def test_an_error_that_is_none_of_this_names_nothing(module: ModuleType, tmp_path: Path) -> None:
    """Red when find_all takes any error for a variable's."""
    file = tmp_path / "s.py"
    file.write_text("1 / 0\n")
    found = module.find_all(lambda environment: ended(file, environment), {})
    assert (found.names, found.rest) == ([], "ZeroDivisionError: division by zero")


def test_a_setting_is_traced_to_its_variable(module: ModuleType) -> None:
    """Red when read_for looks for the setting's own name alone."""
    files = {"config/settings.py": "import os\nSECRET_KEY = os.getenv('DJANGO_KEY', '')\n"}
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings"}

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    assert module.read_for("SECRET_KEY", environment, read) == ["DJANGO_KEY"]
    said = f"{FRAME}django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.\n"
    assert module.missing(said, environment, read) == ["DJANGO_KEY"]


SUGGESTED = {
    "SECRET_KEY": "{{secret:secret_key}}",
    "DJANGO_SECRET_KEY": "{{secret:secret_key}}",
    "STRIPE_SECRET_KEY": None,
    "AWS_SECRET_ACCESS_KEY": None,
    "DATABASE_URL": "postgres://app:{{secret:postgres_password}}@db:5432/app",
    "POSTGRES_HOST": "db",
    "PGPASSWORD": "{{secret:postgres_password}}",
    "DB_PASSWORD_FILE": "/run/secrets/postgres_password",
    "SHOP_DB_NAME": "app",
    "SQL_ENGINE": "django.db.backends.postgresql",
    "MYSQL_HOST": None,
    "DJANGO_ALLOWED_HOSTS": "localhost,127.0.0.1",
    "CELERY_BROKER_URL": "redis://redis:6379/0",
    "REDIS_HOST": "redis",
    "DJANGO_DEBUG": "False",
    "WHATEVER": None,
}


def test_a_variable_that_everybody_has_is_given_its_value() -> None:
    """Red when somebody else's key is said to be the generated one, or the host's way to the table breaks."""
    from slipway.core.suggestions import suggest

    assert {name: suggest(name) for name in SUGGESTED} == SUGGESTED
    assert suggest("DB_USER", db_user="shop") == "shop"
