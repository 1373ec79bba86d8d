"""Which release nginx sends requests to, and changing it without dropping one.

nginx's upstream holds one line of its own, ``conf.d/upstream.d/web.conf``. At rest it names the service
``web``, which is how the container renders it at every start. While two releases run side by side it
names one of them, by the network alias ``web-RELEASE`` that every web container bears.
"""

from __future__ import annotations

import time

from slipway.errors import SlipwayError
from slipway.session import Session

__all__ = ["AT_REST", "drain", "point_to", "settle"]

AT_REST = "web"
_LINE = "/etc/nginx/conf.d/upstream.d/web.conf"
# $1 is the host name. The line is put back when nginx refuses the result, so that a later restart or
# reload for another reason finds what works.
_SWITCH = f"""\
set -eu
cp {_LINE} /tmp/web.conf.before
sed -E "s/^server [^:]+:/server $1:/" /tmp/web.conf.before > {_LINE}
if nginx -t -q; then nginx -s reload; else cat /tmp/web.conf.before > {_LINE}; exit 1; fi
"""
# A worker that a reload has replaced says so in its title until its last request is answered. The
# bracket keeps the search from finding itself.
_OLD_WORKERS = "grep -l '[s]hutting down' /proc/[0-9]*/cmdline 2>/dev/null | wc -l"
_POLL_SECONDS = 0.3


def point_to(session: Session, name: str) -> None:
    """Send all new requests to the containers called ``name``; requests in flight stay where they are.

    Raises ``SlipwayError`` SLIP-078 when nginx refuses; it then serves as before.
    """
    argv = session.stack.command("exec", "-T", "nginx", "sh", "-c", _SWITCH, "switch", name)
    if session.runner.run(argv, check=False).returncode != 0:
        raise SlipwayError(
            "SLIP-078",
            f"nginx could not be pointed to {name}; it serves as before",
            "its own message is above; invoke logs --prod --services nginx has more",
        )


def settle(session: Session) -> None:
    """Have nginx name the service again where an interrupted deploy left it naming one release."""
    argv = session.stack.command("exec", "-T", "nginx", "grep", "-q", f"^server {AT_REST}:", _LINE)
    if session.runner.capture(argv).returncode == 1:
        point_to(session, AT_REST)


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
