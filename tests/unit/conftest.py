"""What every unit test gets: no engine, and nobody's own environment."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kitfiles import DOCKER

from slipway.config.settings import Settings, load, variables
from slipway.core.checkout import ROOT

WITH_ASGI = {"sync": "", "gthread": "", "asgi": ""}


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
    for name in ("Dockerfile", "Dockerfile.dockerignore"):
        shutil.copy2(ROOT / name, root / name)
    return root


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's machine, wherever the tests run."""
    monkeypatch.setattr("slipway.engine.engine.processors", lambda: 2)


@pytest.fixture
def settings(checkout: Path) -> Settings:
    """The settings of ``checkout``: all defaults."""
    return load(checkout, environ={})


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs docker/gunicorn.conf.py with an environment and a list of workers."""

    def run(supported: dict[str, str] = WITH_ASGI, **environment: str) -> dict[str, Any]:
        workers = ModuleType("gunicorn.workers")
        workers.SUPPORTED_WORKERS = supported  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "gunicorn", ModuleType("gunicorn"))
        monkeypatch.setitem(sys.modules, "gunicorn.workers", workers)
        for name in ("WEB_WORKERS", "WEB_THREADS", "WEB_TIMEOUT", "SERVER_TARGET"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"SERVER_TARGET": "config.wsgi:application", **environment}.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(DOCKER / "gunicorn.conf.py"))

    return run
