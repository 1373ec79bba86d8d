"""Checks that production's network `edge` matches WEB_EGRESS: with or without a route out."""

from __future__ import annotations

from slipway.core.errors import SlipwayError
from slipway.engine import engine
from slipway.orchestrators.session import Session

__all__ = ["check"]


def check(session: Session) -> None:
    """Check that the network matches WEB_EGRESS, or does not exist yet.

    Compose never changes an existing network: without this check, `off` would silently have no effect.
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
        "run `invoke down --prod`, then `invoke up --prod`; data is kept, the site is down in between",
    )
