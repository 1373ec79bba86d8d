"""Waiting on observable state, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], what: str, timeout: float = 60.0, interval: float = 0.2) -> T:
    """Call ``check`` until it returns something true; returns that.

    An exception counts as "not yet" and is part of the message when ``timeout`` seconds have passed.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while time.monotonic() < deadline:
        try:
            found = check()
            if found:
                return found
            last = found
        except Exception as problem:
            last = problem
        time.sleep(interval)
    raise AssertionError(f"waited {timeout:g} s for: {what}; last: {last!r}")
