"""Whether production's network `edge` is what WEB_EGRESS says: with a route out, or without."""

from __future__ import annotations

from slipway.core.errors import SlipwayError
from slipway.engine import engine
from slipway.orchestrators.session import Session

__all__ = ["check"]


def check(session: Session) -> None:
    """Return when the network is as wanted, or not there yet.

    Compose leaves a network that exists as it is: without this, `off` would change nothing and say nothing.
    Raises ``SlipwayError`` SLIP-126.
    """
    wanted = session.settings.web_egress == "off"
    internal = engine.network_is_internal(f"{session.stack.project}_edge")
    if internal is None or internal == wanted:
        return
    raise SlipwayError(
        "SLIP-126",
        f"WEB_EGRESS={session.settings.web_egress}, but the stack's network was made "
        f"{'without' if internal else 'with'} a route out, and a network cannot be changed",
        "make it anew: `invoke down --prod`, then `invoke up --prod`; data stay, the site is away meanwhile",
    )
