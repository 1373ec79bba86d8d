"""What every unit test gets: no engine, and nobody's own environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.settings import Settings, load, variables

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's exported WEB_PORT must not decide a test."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A kit folder with an empty .env and a project with a manage.py."""
    root = tmp_path / "shop"
    (root / "example").mkdir(parents=True)
    (root / "example" / "manage.py").touch()
    (root / ".env").touch()
    return root


@pytest.fixture
def settings(checkout: Path) -> Settings:
    """The settings of ``checkout``: all defaults."""
    return load(checkout, environ={})
