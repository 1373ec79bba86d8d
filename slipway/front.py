"""Which containers nginx sends requests to, and changing that without dropping a request.

nginx's upstream holds one file of its own, ``conf.d/upstream.d/web.conf``. At rest it names the service
``web``, which nginx looks up again and again; every start of the container renders it so. While two
releases run side by side it holds the addresses of one of them. Not a name: a worker that a reload has
just started knows no address of a new name until the first answer, and has only 502 for who asks then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from slipway.errors import SlipwayError
from slipway.session import Session

__all__ = ["come_to_rest", "drain", "point_to", "settle"]

_FILE = "/etc/nginx/conf.d/upstream.d/web.conf"
_PARAMETERS = "max_fails=3 fail_timeout=1s"
_AT_REST = f"server web:8000 resolve {_PARAMETERS};"
# $1 is the new content. The old one is put back when nginx refuses the result, so that a later restart
# or reload for another reason finds what works.
_SWITCH = f"""\
set -eu
cp {_FILE} /tmp/web.conf.before
printf '%s\\n' "$1" > {_FILE}
if nginx -t -q; then nginx -s reload; else cat /tmp/web.conf.before > {_FILE}; exit 1; fi
"""
# A worker that a reload has replaced says so in its title until its last request is answered. The
# bracket keeps the search from finding itself.
_OLD_WORKERS = "grep -l '[s]hutting down' /proc/[0-9]*/cmdline 2>/dev/null | wc -l"
_POLL_SECONDS = 0.3
# nginx tells nobody when it has looked a name up; its resolver has a second of validity to do it in.
_LOOK_UP_SECONDS = 3.0


def point_to(session: Session, addresses: Sequence[str]) -> None:
    """Send new requests to ``addresses`` (IP addresses); those in flight stay where they are.

    Raises ``SlipwayError`` SLIP-078 when nginx refuses; it then serves as before.
    """
    _write(session, _servers(addresses))


def come_to_rest(session: Session, addresses: Sequence[str]) -> None:
    """Have nginx name the service again, once it has looked the name up beside ``addresses``.

    A reload keeps what was found for a name that stays. Raises ``SlipwayError`` SLIP-078, SLIP-079.
    """
    _write(session, f"{_servers(addresses)}\n{_AT_REST}")
    if not session.runner.dry:
        time.sleep(_LOOK_UP_SECONDS)
    _write(session, _AT_REST)


def _servers(addresses: Sequence[str]) -> str:
    return "\n".join(f"server {address}:8000 {_PARAMETERS};" for address in addresses)


def _write(session: Session, content: str) -> None:
    argv = session.stack.command("exec", "-T", "nginx", "sh", "-c", _SWITCH, "switch", content)
    if session.runner.run(argv, check=False).returncode != 0:
        raise SlipwayError(
            "SLIP-078",
            "nginx could not be pointed to other containers; it serves as before",
            "its own message is above; invoke logs --prod --services nginx has more",
        )


def settle(session: Session) -> None:
    """Have nginx name the service again where an interrupted deploy left it naming one release."""
    argv = session.stack.command("exec", "-T", "nginx", "grep", "-q", "^server web:", _FILE)
    if session.runner.capture(argv).returncode == 1:
        _write(session, _AT_REST)


def drain(session: Session, timeout: float) -> None:
    """Wait until no worker from before the last reload has a request left, at most ``timeout`` seconds.

    nginx itself ends them after ``worker_shutdown_timeout``. Raises ``SlipwayError`` SLIP-079.
    """
    if session.runner.dry:
        return
    deadline = time.monotonic() + timeout
    argv = session.stack.command("exec", "-T", "nginx", "sh", "-c", _OLD_WORKERS)
    while session.runner.capture(argv, check=True).stdout.strip() != "0":
        if time.monotonic() > deadline:
            raise SlipwayError(
                "SLIP-079",
                f"nginx still has old workers after {timeout:.0f} s; nothing was stopped",
                "run the same command again: it takes up where this one ended",
            )
        time.sleep(_POLL_SECONDS)
