"""The limits of processes, held against what the other settings ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.services import processes


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"db_max_connections": 1000}, ["DB_PIDS=1024", "DB_MAX_CONNECTIONS", "1064"]),
        ({"web_workers": 16, "web_threads": 32}, ["WEB_PIDS=512", "WEB_THREADS", "704"]),
        ({"web_pids": 64}, ["WEB_PIDS=64", "100"]),
    ],
)
def test_a_limit_below_what_is_asked_for_is_refused(
    settings: Settings, changes: dict[str, Any], parts: list[str]
) -> None:
    """Red when a service is not counted, or is counted without its threads."""
    with pytest.raises(SlipwayError) as caught:
        processes.check(replace(settings, **changes))
    for part in ("SLIP-125", *parts):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{}, {"web_memory": "16g"}, {"db_max_connections": 1000, "database": "none"}]
)
def test_the_defaults_fit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """Red when a default limit is below what default workers on a large machine need."""
    monkeypatch.setattr("slipway.engine.engine.processors", lambda: 128)
    processes.check(replace(settings, **changes))


@pytest.mark.parametrize("prefix", ["WEB", "DB", "NGINX", "REDIS", "PROCESS", "BACKUP"])
def test_more_processors_than_there_are_is_refused(settings: Settings, prefix: str) -> None:
    """Red when the engine says it: it starts nothing then, with a word about a range."""
    limit = {f"{prefix.lower()}_cpus": 2.5}
    with pytest.raises(
        SlipwayError, match=rf"SLIP-179: {prefix}_CPUS \(default\) is more than the machine has: 2"
    ):
        processes.check(replace(settings, **limit))
    processes.check(replace(settings, **dict.fromkeys(limit, 2.0)))
