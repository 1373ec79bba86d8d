"""The lock that keeps two deploys apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.core.errors import SlipwayError
from slipway.state import deploylock

_HOLD = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from slipway.state import deploylock
with deploylock.held(Path({folder!r}), "deploy"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_what_who_and_since_when(tmp_path: Path) -> None:
    """Red when the lock is waited for, or not taken at all."""
    with (
        deploylock.held(tmp_path, "deploy"),
        pytest.raises(
            SlipwayError, match=rf"SLIP-077.*deploy by \S+@\S+, process {os.getpid()}, since 20\d\d-"
        ),
        deploylock.held(tmp_path, "rollback"),
    ):
        pass
    with deploylock.held(tmp_path, "again"):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    """Red when a file, and not the kernel, says that the lock is held."""
    root = str(Path(deploylock.__file__).parents[2])
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD.format(root=root, folder=str(tmp_path))],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(SlipwayError, match=f"process {holder.pid}"), deploylock.held(tmp_path, "mine"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=30)
    with deploylock.held(tmp_path, "mine"):
        pass
