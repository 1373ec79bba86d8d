"""docker/settings_overlay: what it makes of settings. Of Django it needs a version and an exception."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kitfiles import load

from slipway.config.settings import variables

POSTGRESQL = "django.db.backends.postgresql"


@pytest.fixture
def overlaid(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that lays the overlay over settings, given by name."""

    def lay(names: str, version: tuple[int, int] = (5, 2), **settings: Any) -> ModuleType:
        project, django, exceptions = (
            ModuleType(name) for name in ("shop", "django", "django.core.exceptions")
        )
        vars(project).update(settings)
        django.VERSION = version  # type: ignore[attr-defined]
        exceptions.ImproperlyConfigured = RuntimeError  # type: ignore[attr-defined]
        for name, module in (("shop", project), ("django", django), ("django.core.exceptions", exceptions)):
            monkeypatch.setitem(sys.modules, name, module)
        given = {"names": names.split(), "production": True, "db_name": "shop", "db_user": "seller"}
        given |= {"hosts": ["example.org"], "origins": ["https://example.org", "https://*.example.org"]}
        monkeypatch.setenv("SLIPWAY_SETTINGS_MODULE", "shop")
        monkeypatch.setenv("SLIPWAY_OVERLAY", json.dumps(given))
        monkeypatch.setattr(Path, "read_text", lambda path, **_: f"content of {path.name}\n")
        return load("settings_overlay/slipway_settings")

    return lay


def test_what_is_not_named_stays(overlaid: Any) -> None:
    """Red when every setting there is a value for is set, or the project's names are not taken over."""
    found = overlaid("DEBUG", DEBUG=True, ALLOWED_HOSTS=["mine"], STATIC_ROOT="/x", helper=len)
    assert (found.DEBUG, found.ALLOWED_HOSTS, found.STATIC_ROOT, found.helper) == (False, ["mine"], "/x", len)


def test_every_name_that_may_be_given_has_a_value(overlaid: Any) -> None:
    """Red when settings.py admits a name that the overlay does not know, or the other way round."""
    known = set(overlaid("")._VALUES)
    for name in known:
        assert variables()["SETTINGS_OVERLAY"].convert(name) == (name,)
    with pytest.raises(ValueError, match="not of these: ") as refused:
        variables()["SETTINGS_OVERLAY"].convert("NOTHING")
    listed = str(refused.value).removeprefix("not of these: ").removesuffix(" (NOTHING)")
    assert set(listed.split(", ")) == known


@pytest.mark.parametrize(
    ("own", "engine", "kept"),
    [
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": "x", "OPTIONS": {"timeout": 20}}, POSTGRESQL, None),
        ({"ENGINE": POSTGRESQL, "HOST": "elsewhere", "OPTIONS": {"pool": True}}, POSTGRESQL, {"pool": True}),
        ({"ENGINE": POSTGRESQL, "OPTIONS": {"sslmode": "require", "pool": 1}}, POSTGRESQL, {"pool": 1}),
        (
            {"ENGINE": "django.contrib.gis.db.backends.spatialite"},
            "django.contrib.gis.db.backends.postgis",
            None,
        ),
        ({"ENGINE": "django_tenants.postgresql_backend"}, "django_tenants.postgresql_backend", None),
        ({}, POSTGRESQL, None),
    ],
)
def test_the_database_is_the_stacks(overlaid: Any, own: dict[str, Any], engine: str, kept: object) -> None:
    """Red when another server's options or TLS are kept, or the project's backend for PostgreSQL is not."""
    found = overlaid("DATABASES", DATABASES={"default": own, "other": {"ENGINE": "x"}}).DATABASES
    default = found["default"]
    assert (default["ENGINE"], default["HOST"], default["NAME"], default["USER"]) == (
        engine,
        "db",
        "shop",
        "seller",
    )
    assert default["PASSWORD"] == "content of postgres_password"
    assert default.get("OPTIONS") == kept
    assert found["other"] == {"ENGINE": "x"}


def test_an_older_django_wants_origins_without_the_scheme(overlaid: Any) -> None:
    """Red when the version is not looked at: Django 3.2 compares host names."""
    assert overlaid("CSRF_TRUSTED_ORIGINS").CSRF_TRUSTED_ORIGINS == [
        "https://example.org", "https://*.example.org",
    ]  # fmt: skip
    assert overlaid("CSRF_TRUSTED_ORIGINS", (3, 2)).CSRF_TRUSTED_ORIGINS == [".example.org", "example.org"]


def test_a_class_of_settings_is_refused(overlaid: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when django-configurations would silently put the class's values over the overlay's."""
    monkeypatch.setenv("DJANGO_CONFIGURATION", "Production")
    with pytest.raises(RuntimeError, match="SLIP-138"):
        overlaid("DEBUG")
