"""The lock that allows one deploy, rollback or change of replicas at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.state.releases import who

__all__ = ["check", "held"]

_FOLDER = Path(".slipway")


@contextmanager
def held(root: Path, what: str, name: str = "deploy", *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of the checkout at ``root`` while doing ``what``; with ``wait``, wait until it is free.

    ``name`` selects another lock, for tasks that a deploy need not wait for.

    The kernel frees the lock when the process ends, so there are no stale locks. Without ``wait`` raises
    ``SlipwayError`` SLIP-077 with its holder, since when and for what.
    """
    path = root / _FOLDER / f"{name}.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise _taken(path) from None
        lock.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        lock.write(json.dumps({"what": what, "who": who(), "pid": os.getpid(), "since": since}))
        lock.flush()
        yield
        lock.truncate(0)


def check(root: Path) -> None:
    """Return when no process holds the lock of deploys. Raises ``SlipwayError`` SLIP-077 as ``held``.

    A holder writes to the file, so an empty one is free; it is not locked here, which could block a deploy.
    """
    path = root / _FOLDER / "deploy.lock"
    if not path.exists() or not path.stat().st_size:
        return
    with path.open(encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(path) from None


def _taken(path: Path) -> SlipwayError:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        by = f"{holder['what']} by {holder['who']}, process {holder['pid']}, since {holder['since']}"
    except (ValueError, KeyError):
        by = "it has just started"
    return SlipwayError("SLIP-077", f"another one runs: {by}", "wait for it to end")
