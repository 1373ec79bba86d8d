"""The second part of ``./bootstrap``, which runs in the tool environment.

    python -m slipway.commands.bootstrap CMD...

CMD does not run here: its words only decide whether an engine is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from invoke.exceptions import Exit

from slipway.core.checkout import ROOT
from slipway.core.run import Runner
from slipway.host import machine
from slipway.images.build import ensure_bases
from slipway.orchestrators import init
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session

__all__ = ["main", "needs_engine"]

_NO_ENGINE = frozenset({"--local", "--dry", "--list", "-l", "--help", "-h", "--version", "-V"})


def needs_engine(command: Sequence[str]) -> bool:
    """Whether the machine must have an engine before ``command`` runs.

    The rule: none of ``--local --dry --list -l --help -h --version -V`` before a ``--``. No command
    at all means "make everything ready".
    """
    own = command[: command.index("--")] if "--" in command else command
    return _NO_ENGINE.isdisjoint(own)


def make_ready(root: Path, runner: Runner) -> None:
    """Get an engine, env files and secrets, and base images; leave existing ones unchanged.

    Raises the ``SlipwayError`` of ``machine``, ``init``, ``settings`` and ``bases``.
    """
    machine.ensure(runner)
    settings = init.create_missing(root)
    init.record(settings)
    ensure_bases(Session(Stack(settings, prod=False), runner))


def main(command: Sequence[str]) -> int:
    """Make this machine ready for ``command``; return the exit code, 3 when that fails."""
    if not needs_engine(command):
        return 0
    try:
        make_ready(ROOT, Runner())
    except Exit as refused:
        print(refused.message, file=sys.stderr)
        return refused.code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
