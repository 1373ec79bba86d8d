"""The long forms of the sessions: what the gate leaves out, and the turns in which `.ci/run` takes it.

One turn is one file of tests. They are listed from the files there are, so that a new one has its turn by
itself. The noxfile asks here what the forms of its sessions are; `.ci/run` runs the turn of this commit:

    python -m tests.support.turns       its name and, on a second line, the name of the next commit's
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

TESTS = Path(__file__).parents[1]
SHORT: Mapping[str, tuple[str, ...]] = {
    "adopt": ("test_adopt_short.py", "test_refusals.py"),
    "backup": ("test_round_trip.py",),
    "chaos": (),
    "rollout": ("test_deploys.py",),
    "services": (),
    "tls": ("test_tls_files.py", "test_tls_local.py", "test_tls_scan.py"),
}
"""Folders whose long form is other files, each with those of the gate."""
MARKED = ("hardening", "images", "newest")
"""Folders whose long form is the tests marked ``long``."""
ASSETS = "images/test_image_assets.py"
"""A session of its own, because it needs a base image with Node.js."""


def short(folder: str) -> list[str]:
    """What pytest is told to run, of ``folder``, in the gate."""
    if folder in MARKED:
        return [f"tests/{folder}", f"--ignore=tests/{ASSETS}", "-m", "not long"]
    return [f"tests/{folder}/{name}" for name in SHORT[folder]]


def long(folder: str) -> list[str]:
    """What pytest is told to run of ``folder`` that the gate leaves out."""
    if folder in MARKED:
        return [f"tests/{folder}", f"--ignore=tests/{ASSETS}", "-m", "long"]
    return [f"tests/{folder}", *(f"--ignore=tests/{folder}/{name}" for name in SHORT[folder])]


def turns() -> dict[str, list[str]]:
    """Every turn by its name (``rollout/test_killed.py``), with what pytest is told to run."""
    found: dict[str, list[str]] = {}
    for folder in sorted({*SHORT, *MARKED}):
        for path in sorted((TESTS / folder).glob("test_*.py")):
            name = f"{folder}/{path.name}"
            if name == ASSETS or (folder in SHORT and path.name not in SHORT[folder]):
                found[name] = [f"tests/{name}"]
            elif folder in MARKED and "pytest.mark.long" in path.read_text():
                found[name] = [f"tests/{name}", "-m", "long"]
    return found


def turn_of(number: int) -> str:
    """The name of the turn with this number; after the last comes the first."""
    names = list(turns())
    return names[number % len(names)]


def number_now() -> int:
    """How many commits there are; the day where git does not know, or knows only the last ones."""
    try:
        if _git("rev-parse", "--is-shallow-repository") == "false":
            return int(_git("rev-list", "--count", "HEAD"))
    except (OSError, subprocess.CalledProcessError):
        pass
    return int(time.time() // 86_400)


def _git(*arguments: str) -> str:
    argv = ["git", "-C", str(TESTS), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    number = number_now()
    print(turn_of(number), turn_of(number + 1), sep="\n")
