"""WEB_EGRESS and the network that is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services import egress


@pytest.mark.parametrize(
    ("wanted", "internal", "refused"),
    [
        ("off", False, True),
        ("on", True, True),
        ("off", True, False),
        ("on", False, False),
        ("off", None, False),
    ],
)
def test_a_network_that_is_otherwise_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, wanted: str, internal: bool | None, refused: bool
) -> None:
    """Red when one of the two directions is let through, or a first `up` is refused."""
    asked: list[str] = []

    def answer(name: str) -> bool | None:
        asked.append(name)
        return internal

    monkeypatch.setattr("slipway.engine.engine.network_is_internal", answer)
    session = Session(Stack(replace(settings, web_egress=wanted), prod=True), Runner())
    if refused:
        with pytest.raises(SlipwayError, match=f"SLIP-126: WEB_EGRESS={wanted}"):
            egress.check(session)
    else:
        egress.check(session)
    assert asked == ["shop-prod_edge"]
