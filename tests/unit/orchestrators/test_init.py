"""The facts of a checkout that Compose is told, in .slipway/machine.env."""

from __future__ import annotations

from pathlib import Path

from slipway.config.settings import load, recorded
from slipway.orchestrators import init

_TIMES = ("PROXY_TIMEOUT", "STOP_GRACE_PERIOD")


def _told(checkout: Path, *lines: str, **environ: str) -> list[str | None]:
    """The times that machine.env has with these ``lines`` in .env."""
    (checkout / ".env").write_text("".join(f"{line}\n" for line in lines))
    init.record(load(checkout, environ=environ))
    return [recorded(checkout).get(name) for name in _TIMES]


def test_compose_is_told_of_the_times_that_follow(checkout: Path) -> None:
    """Red when Compose keeps its own defaults beside a WEB_TIMEOUT, or old times when it is gone."""
    assert _told(checkout) == [None, None]
    assert _told(checkout, "WEB_TIMEOUT=60s") == ["60s", "65s"]
    assert _told(checkout, WEB_TIMEOUT="90s") == ["90s", "95s"]
    assert _told(checkout, "WEB_TIMEOUT=30s") == [None, None]
    _told(checkout, "WEB_TIMEOUT=60s")
    assert _told(checkout) == [None, None]
    found = load(checkout, environ={})
    assert (found.proxy_timeout, found.stop_grace_period) == ("30s", "35s")


def test_a_time_set_by_hand_leaves_nothing_for_later(checkout: Path) -> None:
    """Red when a time that was recorded before wins once the variable, or WEB_TIMEOUT, is taken out."""
    _told(checkout, "WEB_TIMEOUT=60s")
    own = {"PROXY_TIMEOUT": "20s", "STOP_GRACE_PERIOD": "50s"}
    assert _told(checkout, **own) == [None, None]
    _told(checkout, "WEB_TIMEOUT=60s")
    assert _told(checkout, *(f"{name}={value}" for name, value in own.items())) == [None, None]
    # One call with another value is for that call: the next one, and Compose by hand, go by .env.
    assert _told(checkout, "WEB_TIMEOUT=40s", **own) == ["40s", "45s"]
    found = load(checkout, environ={})
    assert (found.proxy_timeout, found.stop_grace_period) == ("40s", "45s")
