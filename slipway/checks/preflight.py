"""What must be right before a stack is built and started, as tables.

`up` walks them to the first problem, `doctor` to the end. Nothing in them changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.config import lineends
from slipway.config.settings import Settings
from slipway.core import values
from slipway.core.output import note
from slipway.engine import engine
from slipway.host import enginecheck, machinereport
from slipway.images import debugmode, pythonversion
from slipway.orchestrators import init
from slipway.orchestrators.session import Session
from slipway.pgupgrade import dbmajor
from slipway.services import connections, egress, ports, processes
from slipway.tls import tls

__all__ = ["BUILDING", "DISK", "ENGINE", "STARTING", "Check", "walk"]

_NEEDED_DISK = 2 * 1000**3  # a build of the example writes about half of this


@dataclass(frozen=True)
class Check:
    """One thing to look at."""

    subject: str
    """For people: what is looked at."""
    look: Callable[[Session, int], object]
    """Raises ``SlipwayError`` when it is not right; takes the number of web replicas that are wanted."""
    asks_engine: bool = False
    production: bool = False
    """Whether development has no such thing."""


ENGINE = Check("engine", lambda session, _: enginecheck.check_versions(session.runner))

BUILDING = (
    ENGINE,
    Check("env files and secrets", lambda session, _: init.check(session.settings, session.stack.prod)),
    Check("line ends", lambda session, _: lineends.check(session.settings)),
    Check("DEBUG", lambda session, _: debugmode.check(session.settings), production=True),
    Check("Python version", lambda session, _: pythonversion.check(session.settings)),
    Check("trusted networks", lambda session, _: _warn_of_trust(session.settings), production=True),
)

DISK = Check("disk space", lambda *_: machinereport.check_disk(_NEEDED_DISK), asks_engine=True)

STARTING = (
    Check(
        "limits of the engine",
        lambda session, _: enginecheck.check_limits(session.settings, engine.facts()),
        asks_engine=True,
        production=True,
    ),
    Check(
        "database connections",
        lambda session, replicas: connections.check(session.settings, replicas),
        asks_engine=True,
        production=True,
    ),
    Check(
        "process limits",
        lambda session, _: processes.check(session.settings),
        asks_engine=True,
        production=True,
    ),
    Check("database version", lambda session, _: dbmajor.compare(session), asks_engine=True),
    Check("ports", lambda session, _: ports.check_all(session)),
    Check("TLS", lambda session, _: tls.check(session), production=True),
    Check("network", lambda session, _: egress.check(session), asks_engine=True, production=True),
)


def _warn_of_trust(settings: Settings) -> None:
    """Say on stderr where a list of networks names everybody."""
    for name, networks, consequence in (
        (
            "TRUSTED_PROXY",
            settings.trusted_proxies,
            "every client chooses the address and the scheme it comes with",
        ),
        ("MAINTENANCE_ALLOW", settings.maintenance_allow, "a closed site is closed for nobody"),
    ):
        if whole := values.everything(networks):
            note(
                f"warning: SLIP-180: {name} ({settings.origins[name]}) adds up to {whole}: {consequence}; "
                f"fix: name the networks that are meant, as in {name}=10.0.0.0/8"
            )


def walk(session: Session, *checks: Check, replicas: int = 1) -> None:
    """Look at each in turn; a dry run asks nobody. Raises the ``SlipwayError`` of the first not right."""
    for check in checks:
        if not session.runner.dry and (session.stack.prod or not check.production):
            check.look(session, replicas)
