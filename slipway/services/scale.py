"""Changes the number of replicas while the site is in use."""

from __future__ import annotations

from slipway.core.output import note
from slipway.engine import engine
from slipway.orchestrators.session import Session
from slipway.services import front, replicas

__all__ = ["resize"]


def resize(session: Session, release: str, count: int) -> None:
    """Change the serving ``release`` to ``count`` replicas without dropping a request.

    Does nothing where it does not serve: Compose alone is enough then. nginx sends no requests to containers
    that are not ready yet or are about to stop. If a new replica does not become ready, the earlier ones
    keep serving. Raises what ``replicas.wait_ready`` and ``front`` raise.
    """
    stack = session.stack
    there = replicas.of_release(stack, release)
    if not there or not engine.running(stack.project, "nginx"):
        return
    strangers = replicas.besides(stack, there)
    if not strangers and len(there) == count:
        return
    front.ensure_serving(session, release)
    # Leftovers of a killed deploy, or ended replicas: Compose might keep one and stop one that serves.
    replicas.remove(session, strangers, force=True)
    if len(there) < count:
        _grow(session, there, count - len(there))
    elif len(there) > count:
        _shrink(session, there[:count], there[count:])


def _grow(session: Session, there: list[engine.ContainerState], more: int) -> None:
    note(f"adding {more} replicas; nginx sends them requests when they are ready")
    stack = session.stack
    front.pin(session, replicas.addresses(stack, there))
    try:
        started = replicas.start(session, stack, more)
        replicas.wait_ready(session, started)
        front.wait_for_peers(session, replicas.addresses(stack, [*there, *started]))
    except BaseException:
        replicas.remove(session, replicas.besides(stack, there), force=True)
        front.wait_for_peers(session, replicas.addresses(stack, there))
        raise
    finally:
        front.rest(session)


def _shrink(
    session: Session, kept: list[engine.ContainerState], leaving: list[engine.ContainerState]
) -> None:
    note(f"removing {len(leaving)} replicas; nginx stops sending them requests before they stop")
    stack = session.stack
    front.pin(session, replicas.addresses(stack, kept))
    front.drain(session)
    replicas.remove(session, leaving)
    front.wait_for_peers(session, replicas.addresses(stack, kept))
    front.rest(session)
