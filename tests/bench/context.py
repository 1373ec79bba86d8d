"""How much of a checkout is sent to the engine: of one that somebody has worked in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.bench.pairs import Pairs
from tests.bench.results import Result
from tests.bench.setups import Setup, ours, usual, uv
from tests.bench.workshop import Workshop

__all__ = ["MEASURES", "transferred"]

_UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_TRANSFER = re.compile(r"^(#\d+) transferring \S+ ([\d.]+)([kMG]?B)\b", re.MULTILINE)


def context(place: Workshop, runs: int) -> Result:
    """Megabytes of all contexts, named ones among them. One sample: bytes do not vary."""
    place.note("a checkout with a history, an environment, packages of Node.js, uploads and caches")
    sides = [ours(place), usual(place, "single-pip")]
    sent = []
    for setup in sides:
        _work_in(setup.project)
        sent.append(_sent(setup))
    return Result("context", "MB", Pairs([sent[0]], [sent[1]]), "bytes do not vary: measured once")


def _sent(setup: Setup) -> float:
    # What an earlier build sent would be compared with the folder, and only differences sent.
    setup.engine.docker("builder", "prune", "--all", "--force", "--filter=type=source.local")
    return transferred(setup.output()) / 1000**2


def transferred(output: str) -> float:
    """The bytes that a build's plain progress says it sent; each step repeats its sum as it grows."""
    steps = {step: float(number) * _UNITS[unit] for step, number, unit in _TRANSFER.findall(output)}
    return sum(steps.values())


def _work_in(project: Path) -> None:
    """Leave in ``project`` what weeks of work leave there."""
    _history(project)
    _environment(project)
    for number in range(3000):
        _write(project / "node_modules" / f"package-{number % 300}" / f"part-{number}.js", 4_000)
    for number in range(20):
        _write(project / "media" / "uploads" / f"{number}.jpg", 1_000_000)
    _write(project / "debug.log", 2_000_000)
    _write(project / "db.sqlite3", 2_000_000)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "config", "guestbook"], cwd=project, check=True)


def _history(project: Path) -> None:
    """Forty commits, each with a picture that replaces the one before."""
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "--quiet"], cwd=project, check=True)
    for number in range(40):
        _write(project / "docs" / "screenshot.png", 100_000)
        subprocess.run([*git, "add", "."], cwd=project, check=True)
        subprocess.run([*git, "commit", "--quiet", f"--message=change {number}"], cwd=project, check=True)


def _environment(project: Path) -> None:
    """The packages of development, where most projects have them."""
    files = ("requirements.txt", "requirements-dev.txt")
    # Named, because uv would rather install into the environment of the Python that calls it, which is ours.
    target = f"--python={project / '.venv' / 'bin' / 'python'}"
    uv(project, "venv", "--quiet", ".venv")
    uv(project, "pip", "install", "--quiet", target, *(f"--requirement={file}" for file in files))


def _write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))


MEASURES = {"context": context}
