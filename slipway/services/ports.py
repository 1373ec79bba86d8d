"""Host ports: whether they are free, what uses them, the next free one, and their published addresses."""

from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Collection
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine
from slipway.orchestrators.publishing import in_url
from slipway.orchestrators.session import Session

__all__ = ["check", "check_all", "warn_of_silence"]

_ANSWER_SECONDS = 5.0


def warn_of_silence(session: Session) -> None:
    """Warn on stderr (SLIP-182) of each silent IPv6 address of HTTP_ADDRESS; nginx must be healthy."""
    settings = session.settings
    for address in settings.http_addresses:
        if ":" in address and not _answers("::1" if address == "::" else address, settings.http_port):
            note(
                f"warning: SLIP-182: nginx is healthy, but nothing answers at {in_url(address)}:"
                f"{settings.http_port}, where HTTP_ADDRESS publishes it: the engine does not forward IPv6; "
                "fix: leave its userland-proxy on, or give the network IPv6 (docs/ports.md#ipv6)"
            )


def _answers(address: str, port: int) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=_ANSWER_SECONDS)
    try:
        # Any answer will do. A connection alone proves nothing: the engine's proxy accepts every one.
        connection.request("HEAD", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def check_all(session: Session) -> None:
    """Check that every port that the stack publishes is free or already its own. Raises as ``check``."""
    settings, project = session.settings, session.stack.project
    # Ports that other variables name are not free, even while nothing listens there.
    named = {settings.web_port, settings.db_port, settings.http_port, settings.https_port}
    if session.stack.prod:
        for address in settings.http_addresses:
            check("HTTP_PORT", address, settings.http_port, project, named)
            if settings.tls != "off":
                check("HTTPS_PORT", address, settings.https_port, project, named)
        return
    check("WEB_PORT", "127.0.0.1", settings.web_port, project, named)
    if settings.db_port and settings.database == "postgres":
        check("DB_PORT", "127.0.0.1", settings.db_port, project, named)


def check(variable: str, address: str, port: int, project: str, named: Collection[int | None] = ()) -> None:
    """Raise ``SlipwayError`` SLIP-063 when anything but ``project`` uses ``address:port``.

    The message names what uses it, and another port for ``variable`` that is not in ``named``. SLIP-181 when
    this machine has no such address.
    """
    refusal = _refusal(address, port)
    if refusal in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        raise SlipwayError(
            "SLIP-181",
            f"nothing can be published on {address} (HTTP_ADDRESS): this machine has no such address",
            "set one that `ip -brief address` lists; 0.0.0.0 is every IPv4 address and :: every IPv6 one",
        )
    if not refusal:
        return
    try:
        container, owner = engine.publisher(port) or ("", "")
    except SlipwayError:
        container, owner = "", ""  # no engine answers (`up --local` needs none), so no container holds it
    if owner and owner == project:
        return
    holder = f"the container {container}" if container else _process(port)
    others = (p for p in range(port + 1, min(port + 1000, 65_536)) if p not in named)
    free = next((p for p in others if _is_free(address, p)), None)
    raise SlipwayError(
        "SLIP-063",
        f"port {port} ({variable}) is taken by {holder}",
        f"stop it, or set {variable}={free or 'another port'} in .env",
    )


def _is_free(address: str, port: int) -> bool:
    return not _refusal(address, port)


def _refusal(address: str, port: int) -> int:
    """Return the system's error number for a listener there; 0 where one is possible."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            # As dockerd binds: a port in TIME_WAIT is not taken, and :: is IPv6 alone.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ":" in address:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as problem:
        # Ports below 1024 may be forbidden to this user, but not to the engine.
        if problem.errno == errno.EACCES and not _listeners(port):
            return 0
        return problem.errno or errno.EADDRINUSE
    return 0


def _listeners(port: int) -> list[Any]:
    import psutil  # noqa: PLC0415  (only needed when something is wrong)

    try:
        return [
            c
            for c in psutil.net_connections("tcp")
            if c.status == "LISTEN" and c.laddr and c.laddr.port == port
        ]
    except psutil.AccessDenied:
        return []


def _process(port: int) -> str:
    import psutil  # noqa: PLC0415  (only needed when something is wrong)

    for listener in _listeners(port):
        if listener.pid:
            return f"the process {psutil.Process(listener.pid).name()} ({listener.pid})"
    return "another process (run as root to see which)"
