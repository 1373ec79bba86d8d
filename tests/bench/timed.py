"""How long a command takes, as the person who typed it would see it."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["timed"]


def timed(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 600
) -> float:
    """Run ``argv`` without a terminal and return the seconds it took.

    Raises ``AssertionError`` with the end of its output when it fails: what failed has no time.
    """
    started = time.perf_counter()
    done = subprocess.run(
        list(argv), cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", check=False, timeout=timeout,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise AssertionError(f"{shlex.join(argv)} ended with {done.returncode}:\n{tail}")
    return seconds
