"""The journal of a PostgreSQL upgrade, written before each change, and reverting the upgrade with it.

The upgrade reverts itself when a step fails; ``upgradeguard`` reverts it when it is killed, and after a
power cut the next command that would start the database.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slipway.config.settings import Settings, change, write_if_changed
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine
from slipway.orchestrators.session import Session
from slipway.services import extracontainers, front, maintenance, replicas
from slipway.state import deploylock

__all__ = [
    "Journal",
    "is_ready",
    "read",
    "restart_web",
    "stop",
    "stop_and_remove",
    "take_back",
    "take_back_interrupted",
    "wait_for_web",
]

_POLL_SECONDS = 0.5
_STOP_SECONDS = "60"  # as stop_grace_period in compose/db.yaml
_WEB_SECONDS = 60


@dataclass(frozen=True)
class Journal:
    """The state before the upgrade, and its progress; kept in ``.slipway`` until the upgrade has ended."""

    root: Path
    project: str
    old: Mapping[str, str]
    """The variables with which Compose starts the old server."""
    settings: Mapping[str, str]
    """The variables that change at the end, with the values to restore."""
    new_volume: str
    web: Sequence[str] = ()
    """The containers of ``web`` that were ready."""
    processes: Sequence[str] = ()
    """The containers of workers and other processes that were running."""
    was_running: bool = True
    touched: bool = False
    """Whether the container of ``db`` has been changed."""
    closed: bool = False
    """Whether the upgrade closed the site."""
    done: bool = False
    """Whether the new volume stays in use even if a later step fails."""
    folder: Path = field(init=False)
    """The folder for the dumps; only its owner may read it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.root / ".slipway" / f"{self.project}-upgrade")

    @property
    def new_container(self) -> str:
        """The name of the container in which the new server runs until it replaces the old one."""
        return f"{self.project}-db-upgrade"

    def write(self) -> None:
        """Write the journal to disk."""
        facts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        write_if_changed(_path(self.root, self.project), json.dumps({**facts, "root": ""}) + "\n")

    def updated(self, **changes: object) -> Journal:
        """Return a copy with ``changes``, after writing it to disk."""
        changed = dataclasses.replace(self, **changes)  # type: ignore[arg-type]
        changed.write()
        return changed

    def close(self) -> None:
        """Delete the journal and the dumps."""
        shutil.rmtree(self.folder, ignore_errors=True)
        _path(self.root, self.project).unlink(missing_ok=True)


def read(settings: Settings, prod: bool) -> Journal | None:
    """Return the journal of a running or interrupted upgrade; ``None`` when there is none."""
    project = settings.project(prod)
    path = _path(settings.root, project)
    if not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    return Journal(**{**facts, "root": settings.root})


def take_back_interrupted(session: Session) -> None:
    """Revert an upgrade that was killed. Raises ``SlipwayError`` SLIP-077 while it still runs."""
    if read(session.settings, session.stack.prod) is None:
        return
    with deploylock.held(session.settings.root, "taking back an interrupted upgrade"):
        # Again: the upgrade that held the lock may have finished since.
        if journal := read(session.settings, session.stack.prod):
            note("an upgrade of the database was interrupted")
            take_back(session, journal)


def take_back(session: Session, journal: Journal) -> None:
    """Revert the upgrade, or complete one whose new volume is in use already.

    The caller holds the deploy lock. It can be repeated after any interruption. Raises ``SlipwayError`` when
    the old server does not start; its data has not been changed.
    """
    runner = session.runner
    if engine.container(journal.new_container):
        runner.run(["docker", "rm", "--force", "--volumes", journal.new_container])
    if not journal.done:
        change(session.settings, journal.settings)
        if journal.touched:
            _start_old(session, journal)
        if journal.new_volume in engine.volumes(session.stack.project):
            runner.run(["docker", "volume", "rm", journal.new_volume])
    if journal.closed:
        wait = restart_web if journal.touched and not journal.done else wait_for_web
        try:
            wait(session, journal.web, _WEB_SECONDS)
        except SlipwayError as unwell:
            note(unwell.problem)
        maintenance.reopen(session)
    extracontainers.wake(session, journal.processes)
    journal.close()


def wait_for_web(session: Session, containers: Sequence[str], timeout: float) -> list[str]:
    """Wait until these containers of ``web`` are ready, database included, at most ``timeout`` seconds.

    Returns those that are not. Removed ones do not count. It runs the probe itself: waiting for the engine's
    health checks, every ten seconds, would keep a closed site closed longer.
    """
    deadline = time.monotonic() + timeout
    waiting = list(containers)
    while True:
        waiting = [c for c in waiting if engine.container(c) and not is_ready(session, c)]
        if not waiting or time.monotonic() > deadline:
            return waiting
        time.sleep(_POLL_SECONDS)


def restart_web(session: Session, containers: Sequence[str], timeout: float) -> list[str]:
    """Restart these containers of ``web`` and wait until each is ready and the running nginx reaches it.

    Returns those that are not ready. Raises what ``front.wait_for_peers`` does.
    """
    replicas.restart(session, [c for c in containers if engine.container(c)])
    unready = wait_for_web(session, containers, timeout)
    web = [c for c in engine.containers(session.stack.project) if c.id in containers]
    if web and not unready:
        front.wait_for_peers(session, replicas.addresses(session.stack, web))
    return unready


def is_ready(session: Session, container: str) -> bool:
    """Return whether a container of ``web`` answers its readiness probe now."""
    argv = ["docker", "exec", container, "python", "/opt/slipway/probe.py"]
    return session.runner.capture(argv, timeout=30).returncode == 0


def stop(session: Session, containers: Sequence[str]) -> None:
    """Shut servers down cleanly, so that their files need no recovery."""
    session.runner.run(["docker", "stop", "-t", _STOP_SECONDS, *containers])


def stop_and_remove(session: Session, containers: Sequence[str]) -> None:
    """Shut servers down and remove their containers."""
    if containers:
        stop(session, containers)
        session.runner.run(["docker", "rm", "--volumes", *containers])


def _start_old(session: Session, journal: Journal) -> None:
    stack = session.stack.with_variables(journal.old)
    # Recreate it: it has lost its networks, or is the new one already, or a kill has left two.
    present = [c.id for c in engine.containers(stack.project) if c.service == "db"]
    stop_and_remove(session, present)
    if not journal.was_running:
        session.runner.run(stack.command("create", "--no-build", "db"))
        return
    session.runner.run(stack.command("up", "--detach", "--no-deps", "--no-build", "db"))
    states = engine.wait(stack.project, ["db"], session.settings.wait_timeout, lambda _summaries: None)
    if not all(state.ready for state in states):
        raise SlipwayError(
            "SLIP-107",
            "the old database server does not become ready again; its volume has not changed",
            f"invoke logs{' --prod' if stack.prod else ''} --services db says why; then invoke up"
            f"{' --prod' if stack.prod else ''}, which continues to revert the upgrade",
        )


def _path(root: Path, project: str) -> Path:
    return root / ".slipway" / f"{project}-upgrade.json"
