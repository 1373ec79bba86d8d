"""Host ports: free or not, who holds one, which is the next."""

from __future__ import annotations

import socket

from slipway import engine
from slipway.errors import SlipwayError
from slipway.session import Session

__all__ = ["check", "check_all"]


def check_all(session: Session) -> None:
    """Return when every port that the stack publishes is free, or its own. Raises as ``check``."""
    settings, project = session.settings, session.stack.project
    if session.stack.prod:
        check("HTTP_PORT", settings.http_address, settings.http_port, project)
        if settings.tls != "off":
            check("HTTPS_PORT", settings.http_address, settings.https_port, project)
        return
    check("WEB_PORT", "127.0.0.1", settings.web_port, project)
    if settings.db_port and settings.database == "postgres":
        check("DB_PORT", "127.0.0.1", settings.db_port, project)


def check(variable: str, address: str, port: int, project: str) -> None:
    """Raise ``SlipwayError`` SLIP-063 when ``address:port`` is taken by anyone but ``project``.

    The message says who holds it and which port ``variable`` could name instead.
    """
    if _is_free(address, port):
        return
    try:
        container, owner = engine.publisher(port) or ("", "")
    except SlipwayError:
        container, owner = "", ""  # none answers (`up --local` needs none), so none of its containers has it
    if owner and owner == project:
        return
    holder = f"the container {container}" if container else _process(port)
    free = next((p for p in range(port + 1, min(port + 1000, 65_536)) if _is_free(address, p)), None)
    raise SlipwayError(
        "SLIP-063",
        f"port {port} ({variable}) is taken by {holder}",
        f"stop it, or set {variable}={free or 'another port'} in .env",
    )


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        # As dockerd binds: a port in TIME_WAIT is not taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _process(port: int) -> str:
    import psutil  # noqa: PLC0415  (only needed when something is wrong)

    try:
        listeners = [
            c
            for c in psutil.net_connections("tcp")
            if c.status == "LISTEN" and c.laddr and c.laddr.port == port
        ]
    except psutil.AccessDenied:
        listeners = []
    for listener in listeners:
        if listener.pid:
            return f"the process {psutil.Process(listener.pid).name()} ({listener.pid})"
    return "another process (run as root to see which)"
