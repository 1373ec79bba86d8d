"""A guard process that reverts an upgrade of PostgreSQL when the upgrading process is killed.

Without it, a closed site would stay closed after a broken ssh connection or an OOM kill. The guard runs in
its own session and reads a pipe, which is closed when the upgrading process ends.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from slipway.config import settings
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.pgupgrade import upgradeundo
from slipway.state import deploylock

__all__ = ["guarded"]

_LOG = Path(".slipway/upgrade-guard.log")
_COMMANDS_SECONDS = 60
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'"


@contextmanager
def guarded(session: Session) -> Iterator[Session]:
    """Yield the session for work that is reverted if this process is killed before the block ends."""
    alive_read, alive = os.pipe()
    busy_read, busy = os.pipe()
    root = session.settings.root
    mode = "prod" if session.stack.prod else "dev"
    with (root / _LOG).open("ab") as log:
        guard = subprocess.Popen(
            [sys.executable, "-m", __name__, str(root), mode, str(alive_read), str(busy_read)],
            cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=(alive_read, busy_read), start_new_session=True,
        )  # fmt: skip
    for end in (alive_read, busy_read):
        os.close(end)
    try:
        yield replace(session, runner=replace(session.runner, pass_fds=(busy,)))
    finally:
        os.write(alive, b".")
        guard.wait()
        os.close(alive)
        os.close(busy)


def watch(session: Session, alive: int, busy: int) -> None:
    """Wait for the end of the upgrading process; revert its work if it was killed.

    ``alive`` closes with that process, ``busy`` with it and all its commands. Commands of a killed process
    go on: the guard ends the long ones and waits for the others.
    """
    if os.read(alive, 1):
        return
    with deploylock.held(session.settings.root, "taking back an interrupted upgrade", wait=True):
        journal = upgradeundo.read(session.settings, session.stack.prod)
        if journal is None:
            return
        run = session.runner.run
        run(["docker", "rm", "--force", journal.new_container], check=False)
        end = ["psql", "-X", "--username", session.settings.db_user, "--dbname", "template1", "-c", _END]
        run(["docker", "exec", f"{session.stack.project}-db-1", *end], check=False)
        select.select([busy], [], [], _COMMANDS_SECONDS)
        upgradeundo.take_back(session, journal)


if __name__ == "__main__":
    found = settings.load(Path(sys.argv[1]))
    watch(Session(Stack(found, sys.argv[2] == "prod"), Runner()), int(sys.argv[3]), int(sys.argv[4]))
