"""Changes which containers nginx sends requests to, without dropping a request.

``docker/nginx/front`` does the work in nginx's container; this module calls it and waits. It never relies on
a fixed pause: a change is complete when the workers report it or the preview shows it.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence

from slipway.core import values
from slipway.core.errors import SlipwayError
from slipway.orchestrators.session import Session

__all__ = [
    "certificate",
    "drain",
    "ensure_serving",
    "has_certificate",
    "live",
    "pin",
    "prepare",
    "rest",
    "switch",
    "wait_for_peers",
]

_PROGRAM = "/srv/nginx/live/bin/front"
_POLL_SECONDS = 0.3
# How long nginx may take to see what Docker's DNS already returns; it asks every second.
_LOOK_UP_SECONDS = 60.0
# nginx ends old workers itself after PROXY_TIMEOUT; this allows for those that end late.
_DRAIN_MARGIN_SECONDS = 60


def live(session: Session) -> str:
    """Return the release that nginx serves; `build` may have recorded a newer one.

    Raises ``SlipwayError`` SLIP-060 when nginx does not run.
    """
    return session.runner.capture(_question(session, "live"), check=True).stdout.strip()


def prepare(session: Session, release: str) -> None:
    """Make nginx look up ``release``'s containers, without changing what the public sees.

    Raises ``SlipwayError`` SLIP-078 when nginx does not accept the change; it then serves as before.
    """
    _change(session, "prepare", release)


def switch(session: Session, release: str) -> None:
    """Serve ``release`` with its nginx configuration; requests in flight finish where they are.

    Raises as ``prepare``.
    """
    _change(session, "switch", release)


def pin(session: Session, addresses: Sequence[str]) -> None:
    """Serve only from these replicas (IP addresses) until ``rest``. Raises as ``prepare``."""
    _change(session, "pin", *addresses)


def rest(session: Session) -> None:
    """Serve from every replica of the live release. Raises as ``prepare``."""
    _change(session, "rest")


def ensure_serving(session: Session, release: str) -> None:
    """Switch nginx to ``release`` as published unless it serves it: after `up`, or a killed deploy."""
    if session.runner.capture(_question(session, "at-rest", release)).returncode != 0:
        switch(session, release)


def certificate(session: Session) -> None:
    """Make nginx use the published certificate if it uses another.

    Raises ``SlipwayError`` SLIP-124 when nginx refuses it; nginx then keeps the earlier one.
    """
    if session.runner.run(_argv(session, "certificate"), check=False).returncode != 0:
        raise SlipwayError(
            "SLIP-124",
            "nginx does not take the new certificate; it keeps the earlier one",
            "its own message is above, or in: invoke logs --prod --services nginx",
        )


def has_certificate(session: Session) -> bool:
    """Whether a certificate is published for nginx."""
    argv = session.stack.command("exec", "-T", "nginx", "test", "-e", "/srv/tls/live/fullchain.pem")
    return session.runner.capture(argv).returncode == 0


def wait_for_peers(session: Session, addresses: Sequence[str]) -> None:
    """Wait until the preview reaches exactly these replicas (IP addresses) and each of them answers.

    Raises ``SlipwayError`` SLIP-079 when that takes more than a minute.
    """
    if session.runner.dry:
        return
    wanted = set(addresses)
    # Round robin over n replicas, shared with all other requests: several rounds reach each replica.
    count = str(5 * len(wanted) + 5)
    argv = _question(session, "peers", session.settings.ready_path, _host(session), count)
    seen = _poll(session, argv, wanted, _LOOK_UP_SECONDS)
    if seen != wanted:
        raise SlipwayError(
            "SLIP-079",
            f"nginx reaches {', '.join(sorted(seen))} instead of exactly {', '.join(sorted(wanted))}",
            "find the cause with invoke logs --prod --services nginx; then rerun the command",
        )


def drain(session: Session) -> None:
    """Wait until no worker from before the last reload has a request left.

    nginx itself ends them after PROXY_TIMEOUT. Raises ``SlipwayError`` SLIP-079 when some remain after that;
    the caller must then stop no container.
    """
    if session.runner.dry:
        return
    timeout = values.seconds(session.settings.proxy_timeout) + _DRAIN_MARGIN_SECONDS
    if _poll(session, _question(session, "old-workers"), {"0"}, timeout) != {"0"}:
        raise SlipwayError(
            "SLIP-079",
            f"nginx still has old workers after {timeout} s; nothing was stopped",
            "rerun the command: it continues where this one ended",
        )


def _poll(session: Session, argv: Sequence[str], wanted: set[str], timeout: float) -> set[str]:
    """Run ``argv`` until it prints the words ``wanted``, for ``timeout`` seconds; return the last words."""
    deadline = time.monotonic() + timeout
    while True:
        words = set(session.runner.capture(argv, check=True).stdout.split())
        if words == wanted or time.monotonic() > deadline:
            return words
        time.sleep(_POLL_SECONDS)


def _change(session: Session, verb: str, *arguments: str) -> None:
    done: subprocess.CompletedProcess[str] = session.runner.run(_argv(session, verb, *arguments), check=False)
    if done.returncode != 0:
        raise SlipwayError(
            "SLIP-078",
            f"nginx could not be changed ({verb} {' '.join(arguments)}); it serves as before",
            "its own message is above, or in: invoke logs --prod --services nginx",
        )


def _argv(session: Session, verb: str, *arguments: str) -> list[str]:
    return session.stack.command("exec", "-T", "nginx", _PROGRAM, verb, *arguments)


def _question(session: Session, verb: str, *arguments: str) -> list[str]:
    """The same for a query, which is not echoed: ``docker exec`` skips reading all the compose files."""
    return ["docker", "exec", f"{session.stack.project}-nginx-1", _PROGRAM, verb, *arguments]


def _host(session: Session) -> str:
    """Return an allowed Host: HEALTH_HOST, or the first name without wildcard, as in docker/probe.py."""
    name = session.settings.health_host or session.settings.server_names[0]
    first = name.removeprefix("*").removeprefix(".")
    return first if re.fullmatch(r"[\w.:\[\]-]+", first) else "localhost"
