"""From what is checked out to what serves, without dropping a request."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from slipway.checks import preflight
from slipway.config import place
from slipway.config.settings import load as settings_now
from slipway.config.settings import recorded, variables
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine
from slipway.engine.pull import pull
from slipway.images import backupimage, revision
from slipway.images.build import checked_out
from slipway.orchestrators.session import Session
from slipway.postgres import database
from slipway.release import lifecycle, switchover
from slipway.release.switchover import Step, Switchover, replacement
from slipway.services import diagnosis, front, migrations, replicas
from slipway.state import deploylock, releases
from slipway.state.releases import Release
from slipway.tls import tls

if TYPE_CHECKING:  # as in lifecycle
    from slipway.tls.certificates import Certificate

__all__ = ["back_up", "bring", "deploy", "migrate", "note_start", "require_running"]


def deploy(session: Session, *, release: str = "", image: str = "") -> None:
    """Build what is checked out, or take ``image``, and switch to it without dropping a request.

    ``release`` is the id, by default the git revision (with a digest of the changes when there are any),
    or the one that ``image`` bears. Raises ``SlipwayError``: SLIP-077 when another deploy runs, SLIP-081
    when nothing is up to deploy beside, SLIP-091 for an image that is wrong or cannot be had, and what
    ``Switchover.run`` raises.
    """
    settings = session.settings
    _check_name(release)
    facts = revision.describe(settings.path(settings.project_root), session.runner, place.own_paths(settings))
    if session.runner.dry:
        _plan(session, release or facts["RELEASE"], image)
        return
    certificate = tls.prepare(session)
    with deploylock.held(settings.root, "deploy"):
        require_running(session)
        preflight.walk(session, *preflight.BUILDING)
        if image:
            _fetch(image)
            facts["RELEASE"] = engine.image_release(image)
        live = front.live(session)
        name = _unused(live, release or facts["RELEASE"])
        work = Switchover(session, name, live, "deploy", source=facts["RELEASE"])
        # With the release that serves: it is taken up whether or not the new one will.
        tls.publish(session, certificate)
        work.run(_steps(session, work, facts["REVISION"], image))


def bring(session: Session, build: Callable[[], None] | None, certificate: Certificate | None) -> None:
    """What `up` does to production before it starts what is not there: it builds, by ``build`` (or not).

    Where a site is served, no container of web is replaced before its successor is ready: another release, or
    other settings of the same, is switched to as `deploy` does. The containers around it are replaced first,
    one by one. Raises ``SlipwayError`` SLIP-084, and what ``deploy`` raises.
    """
    settings, stack = session.settings, session.stack
    there = [c for c in engine.containers(stack.project) if c.state == "running"]
    serving = {c.image.rpartition(":")[2] for c in there if c.service == "web"}
    if not serving or not any(c.service == "nginx" for c in there):
        if build:
            build()
        return
    live = serving.pop() if len(serving) == 1 else front.live(session)
    fixed = settings.is_set_by_hand("RELEASE")
    facts = checked_out(session) if build else {}
    release = settings.release if fixed or not build else facts["RELEASE"]
    why = ""
    if release == live:
        if build:
            build()
        current = stack.for_release(live)
        why = replacement(
            session, "web", current.images()[0], stack=current, there=replicas.of_release(stack, live)
        )
    source = recorded(settings.root).get("SOURCE", live) if why else release
    if why:
        release = _unused(live, source if live.startswith(source) else live)
        # A page says which release it is of by its image: one that can be built is.
        _give_back(session, live, "" if fixed or build else release)
    if why and fixed:
        raise SlipwayError(
            "SLIP-084",
            f"RELEASE is fixed by {settings.origins['RELEASE']}, and web would be replaced while it serves: "
            f"{why}",
            "give RELEASE another value there, or remove it",
        )
    _renew_others(session, live)
    if release == live:
        return
    note(f"{live} serves until {release} is ready" + (f": {why}" if why else ""))
    work = Switchover(session, release, live, "up", source=source)
    tls.publish(session, certificate)
    _give_nginx_its_volume(session, live)
    steps = _steps(session, work, facts.get("REVISION", settings.revision), "")
    work.run(steps if build else steps[1:])


def _give_back(session: Session, live: str, release: str) -> None:
    """Give what a build has called ``live`` the name of ``release``, if any, and ``live`` its own images."""
    for repository, service in zip(session.stack.repositories, ("web", "nginx-configuration"), strict=True):
        used = [c.image_id for c in engine.containers(session.stack.project) if c.service == service]
        if release:
            session.runner.run(["docker", "tag", f"{repository}:{live}", f"{repository}:{release}"])
        if used and used[0] != engine.image_id(f"{repository}:{live}"):
            session.runner.run(["docker", "tag", used[0], f"{repository}:{live}"], check=False)


def _renew_others(session: Session, live: str) -> None:
    """Replace database and Redis where their image or settings are others; web stays meanwhile."""
    settings, stack = session.settings, session.stack.for_release(live)
    images = {"db": settings.postgres_image, "redis": settings.redis_image}
    for container in engine.containers(stack.project):
        service = container.service
        if service not in images or service not in stack.services():
            continue
        if why := replacement(session, service, images[service], stack=stack):
            note(f"{service} is replaced, and requests fail meanwhile: {why}")
            force = ["--force-recreate"] if container.is_moved else []
            session.runner.run(stack.command("up", "--detach", "--no-build", *force, service))
            _wait(session, service)


def _give_nginx_its_volume(session: Session, live: str) -> None:
    """Replace an nginx from before TLS was on: what is switched to has a certificate."""
    settings, stack = session.settings, session.stack.for_release(live)
    mounted = engine.mounted_volumes(f"{stack.project}-nginx-1")
    if settings.tls == "off" or f"{stack.project}_certificates" in mounted:
        return
    switchover.run_one_shot(session, stack, "nginx-configuration")
    # With what it depends on, web would be replaced.
    session.runner.run(stack.command("up", "--detach", "--no-build", "--no-deps", "nginx"))
    _wait(session, "nginx")


def _wait(session: Session, service: str) -> None:
    timeout = session.settings.wait_timeout
    states = engine.wait(session.stack.project, [service], timeout, lambda _summaries: None)
    if broken := [state for state in states if not state.ready]:
        raise diagnosis.failure(session, broken)


def _steps(session: Session, work: Switchover, revision_id: str, image: str) -> list[Step]:
    def build() -> None:
        services = ["web", "nginx-configuration"]
        if image:
            session.runner.run(["docker", "tag", image, work.stack.images()[0]])
            services.remove("web")
        lifecycle.build_release(session, work.stack, revision_id, services)

    return [
        ("build", build),
        ("check nginx configuration", lambda: work.one_shot("nginx-configuration")),
        ("back up", lambda: back_up(work)),
        ("migrate", lambda: migrate(work)),
        ("publish static files", lambda: work.one_shot("static")),
    ]


def back_up(work: Switchover) -> None:
    """Dump the stack's own database into ``backups/``; one that is managed elsewhere is not ours to dump."""
    settings = work.session.settings
    if settings.database != "postgres":
        return
    backupimage.make_folder(settings)
    folder = backupimage.folder(settings)
    # Another one writes none at this moment: the deploy lock is held.
    for interrupted in folder.glob("*.part"):
        interrupted.unlink()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = folder / f"{stamp}-before-{work.release}.dump"
    database.dump_all(work.session, target)
    work.backup = os.path.relpath(target, settings.root)


def migrate(work: Switchover) -> None:
    """Apply the migrations of the new release, and remember which those were."""
    before = migrations.applied(work.session, work.stack)
    try:
        work.one_shot("migrate")
    finally:
        after = migrations.applied(work.session, work.stack)
        work.schema = tuple(sorted(after))
        work.migrations = tuple(sorted(after - before))


def note_start(session: Session) -> None:
    """Enter into the ledger that ``up`` has brought another release than the last one that served."""
    settings, stack = session.settings, session.stack
    release = settings_now(settings.root).release
    last = releases.live(releases.read(settings.root))
    if last and last.id == release:
        return
    schema = tuple(sorted(migrations.applied(session, stack)))
    image = engine.image_id(f"{stack.web_repository}:{release}")
    releases.append(settings.root, Release(id=release, image=image, result="live", kind="up", schema=schema))


def require_running(session: Session) -> None:
    """Raise ``SlipwayError`` SLIP-084 when RELEASE is not ours to change, SLIP-081 when nothing serves."""
    origin = session.settings.origins["RELEASE"]
    if origin not in {"default", "machine.env"} and not origin.startswith("machine.env:"):
        raise SlipwayError(
            "SLIP-084",
            f"RELEASE is fixed by {origin}, so a deploy could not record the new one",
            "remove it there; invoke deploy --release NAME names one release",
        )
    running = {c.service for c in engine.containers(session.stack.project) if c.state == "running"}
    if not {"web", "nginx"} <= running:
        raise SlipwayError(
            "SLIP-081",
            f"{session.stack.project} is not up, so there is nothing to switch from",
            "the first start is: invoke up --prod",
        )


def _fetch(image: str) -> None:
    if not engine.image_id(image) and (reason := pull(image).reason):
        raise SlipwayError(
            "SLIP-091",
            f"{image} is not on this machine, and cannot be pulled: {reason}",
            "correct the name or the tag; where its registry wants an account: docker login",
        )
    if not engine.image_release(image):
        raise SlipwayError(
            "SLIP-091",
            f"{image} lacks the label {engine.RELEASE_LABEL}, which the production images of this kit have",
            "build it again if it was built before the kit set that label: invoke build --prod, then tag "
            "and push the image of web (invoke images --prod names it), and deploy that tag",
        )


def _check_name(release: str) -> None:
    variable = variables()["RELEASE"]
    try:
        variable.convert(release or variable.default)
    except ValueError as wrong:
        raise SlipwayError(
            "SLIP-006", f"--release is {wrong}: {release!r}", "for example: --release 2026-03-02.1"
        ) from None


def _unused(live: str, release: str) -> str:
    """``release``, numbered when it is the one that serves: the two must have different names."""
    number = 2
    wanted = release
    while wanted == live:
        wanted = f"{release}-{number}"
        number += 1
    return wanted


def _plan(session: Session, release: str, image: str) -> None:
    """Print the commands, under the names of their steps."""
    settings, stack = session.settings, session.stack.for_release(release)
    note("== build")
    if image:
        session.runner.run(["docker", "tag", image, stack.images()[0]])
    session.runner.run(stack.build(["nginx-configuration"] if image else ["web", "nginx-configuration"]))
    note("== check nginx configuration")
    session.runner.run(stack.up_only("nginx-configuration"))
    if settings.database == "postgres":
        note("== back up")
        database.dump_all(session, settings.path(settings.backup_dir) / f"TIME-before-{release}.dump")
    note("== migrate")
    session.runner.run(stack.up_only("migrate"))
    note("== publish static files")
    session.runner.run(stack.up_only("static"))
    switchover.plan(session, release)
