"""The overlay's values that depend on what the project has: docker/settings_overlay over a made-up one."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kitfiles import DOCKER

PROJECT = """
SECURE_SSL_REDIRECT = True
SESSION_COOKIE_NAME = "__Secure-shop"
CACHES = {"default": {"LOCATION": ["redis://:pw@localhost:6379/1", "redis://cache.example.org"]}}
CHANNEL_LAYERS = {"default": {"CONFIG": {"hosts": [("127.0.0.1", 6379)]}}}
"""


@pytest.fixture
def overlaid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs the overlay over PROJECT; Django is not installed here and not needed."""
    (tmp_path / "their_settings.py").write_text(PROJECT)
    django, exceptions = ModuleType("django"), ModuleType("django.core.exceptions")
    django.VERSION = (5, 2)  # type: ignore[attr-defined]
    exceptions.ImproperlyConfigured = RuntimeError  # type: ignore[attr-defined]
    for module in (django, ModuleType("django.core"), exceptions):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SLIPWAY_SETTINGS_MODULE", "their_settings")

    def run(*names: str, tls: bool = False) -> dict[str, Any]:
        monkeypatch.setenv("SLIPWAY_OVERLAY", json.dumps({"names": names, "tls": tls}))
        return runpy.run_path(str(DOCKER / "settings_overlay" / "slipway_settings.py"))

    return run


def test_https_alone_waits_for_tls(overlaid: Any) -> None:
    """Red when a site on http redirects to https, or one on https no longer does."""
    names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_NAME")
    off, on = overlaid(*names), overlaid(*names, tls=True)
    assert [off[name] for name in names] == [False, "shop"]
    assert [on[name] for name in names] == [True, "__Secure-shop"]


def test_redis_on_this_machine_is_the_stacks(overlaid: Any) -> None:
    """Red when an address in a list or a pair is missed, or a server elsewhere replaced."""
    found = overlaid("CACHES", "CHANNEL_LAYERS")
    assert found["CACHES"]["default"]["LOCATION"] == ["redis://:pw@redis:6379/1", "redis://cache.example.org"]
    assert found["CHANNEL_LAYERS"]["default"]["CONFIG"]["hosts"] == [("redis", 6379)]
