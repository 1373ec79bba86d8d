"""Start, change and remove a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from slipway.checks import preflight
from slipway.config.settings import change as change_settings
from slipway.config.settings import load, record_machine
from slipway.core import values
from slipway.core.consent import require_consent
from slipway.core.errors import SlipwayError
from slipway.core.output import note, rows
from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.images import backupimage, buildrecord
from slipway.images.build import checked_out, ensure_bases, run_build
from slipway.orchestrators import confighash, ownership
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.pgupgrade import dbmajor, upgradeundo
from slipway.release.switchover import replacement, run_one_shot
from slipway.services import diagnosis, front, replicas
from slipway.services.scale import resize
from slipway.services.views import service_rows, url
from slipway.state import deploylock
from slipway.tls import tls

if TYPE_CHECKING:  # it needs a library that only few tasks need
    from slipway.tls.certificates import Certificate

__all__ = [
    "build",
    "build_release",
    "change",
    "down",
    "up",
]


def build(session: Session, services: Sequence[str] = (), *, no_cache: bool = False) -> None:
    """Build the stack's images, from base images that are present, pulled or built.

    Raises ``SlipwayError`` SLIP-050 with the failing line when the build fails, and what
    ``machine``, ``bases`` and ``init.check`` raise.
    """
    session.check_services(services)
    preflight.walk(session, *preflight.BUILDING)
    if not session.runner.dry:
        _record_release(session)
    _build(session, services, no_cache=no_cache)


def _build(session: Session, services: Sequence[str] = (), *, no_cache: bool = False) -> None:
    if session.runner.dry:
        run_build(session, session.stack, services, no_cache=no_cache)
        return
    buildrecord.forget(session)
    _prepare(session)
    before = buildrecord.inputs(session)
    run_build(session, session.stack, services, no_cache=no_cache)
    # A build of some images proves nothing about the others.
    if not services:
        buildrecord.record(session, before)


def _build_what_changed(session: Session) -> None:
    """Build, unless the images exist and no input of the build has changed since."""
    if not session.runner.dry:
        _record_release(session)
        if buildrecord.is_current(session, buildrecord.inputs(session)):
            note("nothing to build: no input of the images has changed (invoke build builds anyway)")
            return
    _build(session)
    # Again: the version of an image that was missing can be read only now.
    dbmajor.check(session)


def build_release(session: Session, stack: Stack, revision_id: str, services: Sequence[str]) -> None:
    """Build ``services`` of ``stack`` under its release id, without recording that release."""
    preflight.walk(session, preflight.DISK)
    ensure_bases(session)
    record_machine(session.settings.root, {"REVISION": revision_id})
    run_build(session, stack, services)


Bring = Callable[[Session, Callable[[], None] | None, "Certificate | None"], None]
"""Builds and switches a running production site before `up` starts the rest; ``deploy.bring`` is one."""


def up(session: Session, *, scale: str, no_build: bool, as_json: bool, bring: Bring | None = None) -> None:
    """Build, create, start, wait until healthy, and print services, health and URLs.

    ``scale`` is the number of web replicas as typed, empty for WEB_REPLICAS. In production, ``bring`` builds
    (unless ``no_build``) and switches a running site.
    Raises ``SlipwayError`` SLIP-063 (port), SLIP-064 (a service failed), SLIP-065 (the database volume
    has another password), SLIP-066 (not ready in time), SLIP-085 (too many replicas for the database),
    SLIP-125 (more processes than the limits allow), SLIP-126 (the network does not match WEB_EGRESS),
    and what ``build`` and ``dbmajor.check`` raise.
    """
    stack, runner, settings = session.stack, session.runner, session.settings
    count = _replicas(scale) if scale else None
    preflight.walk(session, *preflight.BUILDING)
    if settings.database == "postgres" and not runner.dry:
        upgradeundo.take_back_interrupted(session)
    preflight.walk(session, *preflight.STARTING, replicas=count or settings.web_replicas)
    dbmajor.record(session)
    certificate = None
    if not runner.dry:
        certificate = tls.certificate(session)
        if stack.scheduled:
            backupimage.make_folder(settings)
    # Only one command at a time may change production's containers.
    with deploylock.held(settings.root, "up") if stack.prod and not runner.dry else nullcontext():
        build = None if no_build else lambda: _build_what_changed(session)
        if not runner.dry:
            _remove_moved(session)
        if bring and stack.prod and not runner.dry:
            bring(session, build, certificate)
        elif build:
            build()
        tls.publish(session, certificate)
        states = _start(session, count)
    if runner.dry:
        return
    rows(service_rows(states), ("service", "container", "state", "ports"), as_json=as_json)
    if not as_json:
        print(f"\n{settings.name} is up: {url(session)}")


def _remove_moved(session: Session) -> None:
    """Remove the containers of a folder that was moved; while ``web`` serves, only those that have ended.

    The running ones are replaced later.
    """
    there = engine.containers(session.stack.project)
    serves = session.stack.prod and any(c.service == "web" and c.state == "running" for c in there)
    moved = [c for c in there if c.is_moved and not (serves and c.state == "running")]
    replicas.remove(session, moved)


def _start(session: Session, count: int | None) -> list[ContainerState]:
    stack, runner, settings = session.stack, session.runner, session.settings
    release = settings.release if runner.dry else load(settings.root).release
    if stack.prod and not runner.dry and engine.running(stack.project, "nginx"):
        serving = replicas.of_release(stack, release)
        if not serving and (live := front.live(session)) != release:
            note(f"{release} replaces {live}; requests fail in the meantime, unlike with invoke deploy")
        resize(session, release, count or settings.web_replicas)
        current = stack.for_release(release)
        for service in ("databases", *stack.one_shots(), "nginx-configuration"):
            there = [c for c in engine.containers(stack.project) if c.service == service]
            image = current.images()[1] if service == "nginx-configuration" else current.images()[0]
            image = settings.postgres_image if service == "databases" else image
            if there and replacement(session, service, image, stack=current, there=there):
                # Alone: Compose would also recreate the dependents, web and nginx included.
                run_one_shot(session, current, service)
    _end_schedule(session)
    if runner.dry:
        runner.run(stack.up(scale=count))
        return []
    deaths = engine.Deaths(stack.project)
    started = _compose_up(session, count, deaths)
    timeout = settings.wait_timeout if started else 0
    states = engine.wait(stack.project, stack.serving(), timeout, _progress(), deaths=deaths)
    broken = [state for state in states if not state.ready]
    if broken or not started:
        raise diagnosis.failure(session, broken)
    if stack.prod:
        diagnosis.pass_on_warnings(stack.project, "static")
        front.ensure_serving(session, release)
        tls.apply(session)
        confighash.remember(session, stack.for_release(release))
    return [*states, *_backup_states(stack)]


def _compose_up(session: Session, count: int | None, deaths: engine.Deaths) -> bool:
    """Have Compose start everything in order; return whether it did.

    Compose waits forever for a dependency that keeps ending, or gives up at once if it sees one just ended.
    So the endless wait is interrupted, and the early failure repeated once the services are ready.
    """
    stack = session.stack
    serving = stack.serving()

    def starts() -> bool:
        done = session.runner.run(stack.up(scale=count), check=False, unless=lambda: deaths.too_many(serving))
        return done.returncode == 0

    if starts():
        return True
    states = [state for state in engine.containers(stack.project) if state.service in serving]
    again = {state.service for state in states if state.restarts and not state.ready}
    if not again or any(deaths.hopeless(deaths.counted(state)) for state in states):
        return False
    states = engine.wait(stack.project, again, session.settings.wait_timeout, _progress(), deaths=deaths)
    return all(state.ready for state in states) and starts()


def _backup_states(stack: Stack) -> list[ContainerState]:
    """Return the state of the backup service: reported but not waited for, as it serves no traffic."""
    states = [s for s in engine.containers(stack.project) if s.service == "backup" and stack.scheduled]
    for state in states:
        if state.failed:
            why = state.health_output or "invoke logs --services backup --prod"
            note(f"{state.name} is {state.summary}: {why}")
    return states


def _end_schedule(session: Session) -> None:
    """Remove the backup service when there is no schedule: Compose does not treat it as an orphan."""
    stack, runner = session.stack, session.runner
    if not stack.prod or stack.scheduled or runner.dry:
        return
    if any(state.service == "backup" for state in engine.containers(stack.project)):
        runner.run(stack.command("rm", "--stop", "--force", "backup"))


def down(session: Session, *, volumes: bool, yes: bool) -> None:
    """Remove containers and networks; with ``volumes`` also data and images, after asking.

    Raises ``SlipwayError`` SLIP-069 without consent.
    """
    stack, runner = session.stack, session.runner
    if volumes and not runner.dry:
        upgradeundo.take_back_interrupted(session)
        names = engine.volumes(stack.project)
        note(f"to be deleted: volumes {', '.join(names) or 'none'}; images {', '.join(stack.images())}")
        require_consent(f"Delete all data of {stack.project}?", yes)
    _end_schedule(session)
    runner.run(stack.down(volumes=volumes))
    if volumes:
        _forget_volumes(session)
        present = stack.images() if runner.dry else _built(stack)
        if present:
            runner.run(["docker", "image", "rm", *present])
        project_filter = f"label={engine.PROJECT_LABEL}={stack.project}"
        runner.run(["docker", "image", "prune", "--force", "--filter", project_filter])


def _forget_volumes(session: Session) -> None:
    """Delete volumes that Compose does not know: of upgrades, and of TLS that was switched off.

    The next database gets the first volume name again.
    """
    stack, settings = session.stack, session.settings
    if session.runner.dry:
        return
    if old := engine.volumes(stack.project):
        session.runner.run(["docker", "volume", "rm", *old])
    ownership.forget(stack, session.runner)
    change_settings(settings, {f"DB_VOLUME_SUFFIX_{'PROD' if stack.prod else 'DEV'}": ""})


def _built(stack: Stack) -> list[str]:
    """Return the existing images of this stack, of every release."""
    names = (*stack.repositories, stack.backup_image, stack.acme_image)
    return [tag for name in names for tag in engine.tags(name)]


def change(session: Session, verb: str, services: Sequence[str]) -> None:
    """``start``, ``stop`` or ``restart`` the named services; all of them if none is named.

    Raises what ``ownership.check_moved`` and ``dbmajor.check_created`` raise.
    """
    names = session.check_services(services)
    if verb != "stop" and not session.runner.dry:
        dbmajor.check_created(session, names)
        ownership.check_moved(session.stack, names, running=verb == "restart")
    session.runner.run(session.stack.lifecycle(verb, names))


def _prepare(session: Session) -> None:
    preflight.walk(session, preflight.DISK)
    ensure_bases(session)
    if session.stack.scheduled:
        backupimage.record_recipe(session.settings)


def _record_release(session: Session) -> None:
    # Development has no releases: a dev build must not rename the release that production serves.
    if session.stack.prod:
        record_machine(session.settings.root, checked_out(session))


def _replicas(text: str) -> int:
    try:
        return values.count(text)
    except ValueError as wrong:
        raise SlipwayError(
            "SLIP-068", f"--scale is {wrong}: {text!r}", "use --scale 3, for example"
        ) from None


class _progress:  # noqa: N801  (used as a function that remembers)
    """Print each change of state once, as a line: the same on a terminal and in a CI log."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def __call__(self, summaries: Mapping[str, str]) -> None:
        for name, summary in summaries.items():
            if self._seen.get(name) != summary:
                note(f"  {name}: {summary}")
        self._seen = dict(summaries)
