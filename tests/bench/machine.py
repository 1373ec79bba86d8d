"""The machine that figures were taken on: what they depend on, and nothing that names it."""

from __future__ import annotations

import datetime
import os
import platform
import sys

import psutil

from tests.bench.results import Record
from tests.support.world import base_images, docker

__all__ = ["check_same", "describe"]


def describe() -> dict[str, str]:
    """Processors, memory, versions and base images, as shown on docs/performance.md."""
    images = base_images()
    return {
        "processors": f"{os.cpu_count()} ({platform.machine()})",
        "memory": f"{psutil.virtual_memory().total / 1024**3:.0f} GiB",
        "kernel": platform.release().split("-")[0],
        "Docker Engine": docker("version", "--format", "{{.Server.Version}}").strip(),
        "Docker Compose": docker("compose", "version", "--short").strip(),
        "Python of the tasks": platform.python_version(),
        "base images": ", ".join(images[name] for name in sorted(images) if images[name]),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    }


def check_same(recorded: Record) -> None:
    """End the program where ``recorded`` is of a machine of another make, so that figures do not mix.

    A record that is made anew starts without the file.
    """
    now = describe()
    for fact in ("processors", "memory"):
        then = recorded.machine.get(fact, now[fact])
        if then != now[fact]:
            sys.exit(
                f"recorded.json is of a machine with {fact} {then}, this one has {now[fact]}: "
                "remove tests/bench/recorded.json and record every bar"
            )
