"""DEBUG in production: found in the project's files, with a fix that was tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipway.config.settings import load
from slipway.core.errors import SlipwayError
from slipway.images import debugmode


def _checkout(root: Path, settings: str, *, own: str = "", app: str = "", prod: str = "") -> Path:
    (root / "example" / "config").mkdir(exist_ok=True)
    (root / "example" / "config" / "settings.py").write_text(f"import os\n{settings}\n")
    for name, text in ((".env", own), ("app.env", app), ("app.prod.env", prod)):
        (root / name).write_text(text)
    return root


def _check(root: Path) -> None:
    debugmode.check(load(root, environ={}))


BY_FLAG = "DEBUG = os.environ.get('DEBUG', '') in ('1', 'True')"
ON_UNLESS = "DEBUG = os.environ.get('DJANGO_DEBUG', 'True') == 'True'"


@pytest.mark.parametrize(
    ("settings", "app", "prod", "where", "fix"),
    [
        (
            BY_FLAG,
            "",
            "DEBUG=1\n",
            "config/settings.py:2, by DEBUG in app.prod.env:1",
            "remove DEBUG from app.prod.env",
        ),
        (BY_FLAG, "A=1\nDEBUG=True\n", "", "by DEBUG in app.env:2", "remove DEBUG from app.env"),
        (
            ON_UNLESS,
            "",
            "DJANGO_DEBUG=True\n",
            "by DJANGO_DEBUG in app.prod.env:1",
            "DJANGO_DEBUG=0 in app.prod.env",
        ),
        (ON_UNLESS, "", "", "config/settings.py:2", "DJANGO_DEBUG=0 in app.prod.env"),
        ("DEBUG = True", "", "", "config/settings.py:2", "SETTINGS_OVERLAY='DEBUG' in .env"),
        ("DEBUG = 'False'", "", "", "config/settings.py:2", "SETTINGS_OVERLAY='DEBUG' in .env"),
    ],
)
def test_debug_on_is_named_with_its_line_and_a_fix_that_works(
    checkout: Path, settings: str, app: str, prod: str, where: str, fix: str
) -> None:
    """Red when nobody looks, or the fix leaves it on: the fix is carried out."""
    root = _checkout(checkout, settings, app=app, prod=prod)
    with pytest.raises(SlipwayError) as caught:
        _check(root)
    assert caught.value.slip_code == "SLIP-178"
    assert where in caught.value.problem and fix in caught.value.fix
    if taken := re.match(r"remove (\w+) from ([\w.]+)", caught.value.fix):
        file = root / taken[2]
        file.write_text(re.sub(rf"(?m)^{taken[1]}=.*\n", "", file.read_text()))
    else:
        line, file_name = re.match(r"set (\S+=\S*) in ([\w.]+)", caught.value.fix).groups()  # type: ignore[union-attr]
        name = line.partition("=")[0]
        file = root / file_name
        file.write_text(re.sub(rf"(?m)^{name}=.*\n", "", file.read_text()) + line + "\n")
    _check(root)


@pytest.mark.parametrize(
    ("settings", "prod"),
    [
        ("DEBUG = False", ""),
        ("", ""),
        (BY_FLAG, ""),
        (BY_FLAG, "DEBUG=0\n"),
        ("from somewhere import DEBUG", ""),
        ("DEBUG = bool(os.path.exists('/x'))", ""),
        ("DEBUG = (", ""),
    ],
)
def test_debug_off_or_unknown_is_nothing(checkout: Path, settings: str, prod: str) -> None:
    """Red when what only a run would tell stops a start: the build asks Django itself."""
    _check(_checkout(checkout, settings, prod=prod))


def test_development_variables_do_not_count(checkout: Path) -> None:
    """Red when app.dev.env is read: DEBUG belongs there."""
    root = _checkout(checkout, BY_FLAG)
    (root / "app.dev.env").write_text("DEBUG=1\n")
    _check(root)


def test_another_settings_module_of_app_prod_env_counts(checkout: Path) -> None:
    """Red when the module of .env is read although the container's variable names another."""
    root = _checkout(checkout, "DEBUG = False", prod="DJANGO_SETTINGS_MODULE=config.local\n")
    (root / "example" / "config" / "local.py").write_text("from .settings import *\n\nDEBUG = True\n")
    with pytest.raises(SlipwayError, match=r"config/local\.py:3"):
        _check(root)


@pytest.mark.parametrize("own", ["ALLOW_DEBUG=on\n", "SETTINGS_OVERLAY=DEBUG\n"])
def test_who_says_so_may(checkout: Path, capsys: pytest.CaptureFixture[str], own: str) -> None:
    """Red when there is no way to mean it, or it is meant without a word."""
    _check(_checkout(checkout, "DEBUG = True", own=own))
    assert ("warning: SLIP-178" in capsys.readouterr().err) == ("ALLOW" in own)
