"""Stops, starts and replaces the processes next to web while a release or the database changes."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.core.output import note
from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services import diagnosis
from slipway.services.replicas import grace

__all__ = ["ProcessSwitch", "containers", "stop", "wake"]


def containers(stack: Stack, *, running: bool = False) -> list[ContainerState]:
    """Return their containers, also those no longer in ``.env``; with ``running`` only the running ones."""
    found = [c for c in engine.containers(stack.project) if c.beside_web]
    return [c for c in found if c.state in {"running", "restarting"}] if running else found


def stop(session: Session) -> list[str]:
    """Stop the running ones gracefully; they stay stopped until started. Return their ids."""
    ids = [c.id for c in containers(session.stack, running=True)]
    if ids:
        session.runner.run(["docker", "stop", "-t", grace(session), *ids])
    return ids


def wake(session: Session, ids: Sequence[str]) -> None:
    """Start those of ``ids`` that still exist."""
    there = [c.id for c in containers(session.stack) if c.id in ids]
    if there:
        session.runner.run(["docker", "start", *there])


class ProcessSwitch:
    """Replaces the serving release's processes next to web during a switch-over, and can restore them."""

    def __init__(self, session: Session, previous: str) -> None:
        self._session = session
        self._old = session.stack.for_release(previous)
        self._there: list[ContainerState] | None = None

    def stop(self) -> None:
        """Let them finish and stop them; a second call does nothing more."""
        if self._there is None:
            self._there = containers(self._session.stack, running=True)
        stop(self._session)

    def replace(self, stack: Stack) -> None:
        """Start those of ``stack``'s release instead, and wait until they stay up.

        Raises the error of ``diagnosis.failure`` for those that do not.
        """
        self.stop()
        if not stack.processes:
            return
        self._session.runner.run(_up(stack, stack.processes))
        timeout = self._session.settings.wait_timeout
        states = engine.wait(stack.project, stack.processes, timeout, lambda _summaries: None)
        if broken := [state for state in states if not state.ready]:
            raise diagnosis.failure(self._session, broken)

    def restore(self) -> None:
        """Run the stopped ones again, on their former release."""
        if self._there is None:
            return
        note("the processes next to web run the former release again")
        here = {c.id for c in containers(self._session.stack)}
        known = self._old.processes
        gone = [c.service for c in self._there if c.id not in here and c.service in known]
        # Services that only the new release has.
        was = {c.service for c in self._there}
        new = [c.id for c in containers(self._session.stack) if c.service not in was]
        if new:
            self._session.runner.run(["docker", "rm", "--force", *new], check=False)
        if gone:
            self._session.runner.run(_up(self._old, gone), check=False)
        wake(self._session, [c.id for c in self._there])

    def remove_unknown(self) -> None:
        """Remove those whose line has left ``.env``."""
        known = self._session.stack.processes
        old = [c.id for c in containers(self._session.stack) if c.service not in known]
        if old:
            self._session.runner.run(["docker", "rm", "--force", *old], check=False)


def _up(stack: Stack, services: Sequence[str]) -> list[str]:
    return stack.command("up", "--detach", "--no-build", "--no-deps", *services)
