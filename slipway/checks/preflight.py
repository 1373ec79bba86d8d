"""Tables of the checks before a stack is built and started.

`up` stops at the first problem, `doctor` runs them all. No check changes anything.
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
    """One check."""

    subject: str
    """The name of what is checked, for people."""
    look: Callable[[Session, int], object]
    """Takes the session and the wanted number of web replicas; raises ``SlipwayError`` for a problem."""
    asks_engine: bool = False
    production: bool = False
    """Whether it applies to production only."""


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
    """Warn on stderr of a list of networks that includes every address."""
    for name, networks, consequence in (
        (
            "TRUSTED_PROXY",
            settings.trusted_proxies,
            "every client can forge its address and scheme",
        ),
        ("MAINTENANCE_ALLOW", settings.maintenance_allow, "a closed site stays open for everyone"),
    ):
        if whole := values.everything(networks):
            note(
                f"warning: SLIP-180: {name} ({settings.origins[name]}) adds up to {whole}: {consequence}; "
                f"fix: name only the networks that you mean, as in {name}=10.0.0.0/8"
            )


def walk(session: Session, *checks: Check, replicas: int = 1) -> None:
    """Run each check in turn, in a dry run none. Raises the ``SlipwayError`` of the first problem."""
    for check in checks:
        if not session.runner.dry and (session.stack.prod or not check.production):
            check.look(session, replicas)
