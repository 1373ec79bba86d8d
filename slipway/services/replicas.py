"""The containers of `web`: finding those of a release and their addresses, starting and stopping them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services import diagnosis

__all__ = ["addresses", "besides", "grace", "of_release", "remove", "restart", "start", "stop", "wait_ready"]

_POLL_SECONDS = 0.5


def of_release(stack: Stack, release: str) -> list[ContainerState]:
    """Return the running replicas of ``release``, oldest first."""
    image = f"{stack.web_repository}:{release}"
    return [c for c in _all(stack) if c.image == image and c.state == "running"]


def besides(stack: Stack, kept: Sequence[ContainerState]) -> list[ContainerState]:
    """Return every container of `web` that is not among ``kept``, in any state."""
    ids = {state.id for state in kept}
    return [c for c in _all(stack) if c.id not in ids]


def addresses(stack: Stack, states: Sequence[ContainerState]) -> list[str]:
    """Return the IP addresses at which nginx reaches them now, read again: a restart may change them."""
    ids = {state.id for state in states}
    network = f"{stack.project}_edge"
    return sorted(c.addresses[network] for c in _all(stack) if c.id in ids and c.addresses.get(network))


def start(session: Session, stack: Stack, count: int) -> list[ContainerState]:
    """Start ``count`` more replicas of ``stack``'s release; return the new ones."""
    before = {c.id for c in _all(stack)}
    flags = ["--detach", "--no-recreate", "--no-build", "--scale", f"web={len(before) + count}"]
    session.runner.run(stack.command("up", *flags, "web"))
    return [c for c in _all(stack) if c.id not in before]


def wait_ready(session: Session, started: Sequence[ContainerState]) -> None:
    """Wait until each of ``started`` is healthy. Raises the error of ``diagnosis.failure`` for the others."""
    ids = {state.id for state in started}
    deadline = time.monotonic() + session.settings.wait_timeout
    deaths = engine.Deaths(session.stack.project)
    while True:
        states = [deaths.counted(c) for c in _all(session.stack) if c.id in ids]
        if len(states) == len(ids) and all(state.ready for state in states):
            return
        failed = [state for state in states if deaths.hopeless(state)]
        if failed or time.monotonic() > deadline:
            raise diagnosis.failure(session, failed or [state for state in states if not state.ready])
        time.sleep(_POLL_SECONDS)


def restart(session: Session, ids: Sequence[str]) -> None:
    """Restart these containers because their database has been replaced.

    A connection pool whose sessions were ended retries at growing intervals, and requests fail in between.
    The processes may also have cached data of the former database.
    """
    if ids:
        session.runner.run(["docker", "restart", "-t", grace(session), *ids])


def stop(session: Session, ids: Sequence[str]) -> None:
    """Stop these containers after they finish their requests; they stay stopped until started."""
    if ids:
        session.runner.run(["docker", "stop", "-t", grace(session), *ids])


def remove(session: Session, states: Sequence[ContainerState], *, force: bool = False) -> None:
    """Stop containers gracefully and remove them; with ``force`` at once, for those that serve nothing."""
    ids = [state.id for state in states]
    if not ids:
        return
    if force:
        session.runner.run(["docker", "rm", "--force", *ids], check=False)
        return
    stop(session, ids)
    session.runner.run(["docker", "rm", *ids])


def grace(session: Session) -> str:
    """Return the seconds a project container has to end, in the format of ``docker stop -t``."""
    return session.settings.stop_grace_period.rstrip("s")


def _all(stack: Stack) -> list[ContainerState]:
    found = [c for c in engine.containers(stack.project) if c.service == "web"]
    return sorted(found, key=lambda c: c.created)
