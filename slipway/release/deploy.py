"""Release the checkout without dropping a request."""

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
    """Build the checkout, or use ``image``, and switch to it without dropping a request.

    ``release`` is the id, by default the git revision (with a digest of uncommitted changes, if any), or
    the one in the label of ``image``. Raises ``SlipwayError``: SLIP-077 while another deploy runs, SLIP-081
    when no release is running, SLIP-091 for an image that is wrong or cannot be pulled, and what
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
        # Before the switch: nginx gets the certificate even if the new release fails.
        tls.publish(session, certificate)
        work.run(_steps(session, work, facts["REVISION"], image))


def bring(session: Session, build: Callable[[], None] | None, certificate: Certificate | None) -> None:
    """Build with ``build``, if given, and switch a running site to the result, for `up` of production.

    While a site serves, no container of web is replaced before its successor is ready: `up` switches to
    another release, or to changed settings of the same one, as `deploy` does. Database, Redis and an nginx
    without the certificate volume are replaced first, one by one. Raises ``SlipwayError`` SLIP-084, and
    what ``deploy`` raises.
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
        # A page names its release by its image, so build one with the new name where possible.
        _give_back(session, live, "" if fixed or build else release)
    if why and fixed:
        raise SlipwayError(
            "SLIP-084",
            f"RELEASE is fixed by {settings.origins['RELEASE']}, so web would be replaced while it serves: "
            f"{why}",
            "give RELEASE another value there, or remove it",
        )
    _recreate_others(session, live)
    if release == live:
        return
    note(f"{live} serves until {release} is ready" + (f": {why}" if why else ""))
    work = Switchover(session, release, live, "up", source=source)
    tls.publish(session, certificate)
    _give_nginx_its_volume(session, live)
    steps = _steps(session, work, facts.get("REVISION", settings.revision), "")
    work.run(steps if build else steps[1:])


def _give_back(session: Session, live: str, release: str) -> None:
    """Tag a build named ``live`` as ``release``, if given, and tag the serving images ``live`` again."""
    for repository, service in zip(session.stack.repositories, ("web", "nginx-configuration"), strict=True):
        used = [c.image_id for c in engine.containers(session.stack.project) if c.service == service]
        if release:
            session.runner.run(["docker", "tag", f"{repository}:{live}", f"{repository}:{release}"])
        if used and used[0] != engine.image_id(f"{repository}:{live}"):
            session.runner.run(["docker", "tag", used[0], f"{repository}:{live}"], check=False)


def _recreate_others(session: Session, live: str) -> None:
    """Recreate database and Redis where their image or settings have changed; web keeps running."""
    settings, stack = session.settings, session.stack.for_release(live)
    images = {"db": settings.postgres_image, "redis": settings.redis_image}
    for container in engine.containers(stack.project):
        service = container.service
        if service not in images or service not in stack.services():
            continue
        if why := replacement(session, service, images[service], stack=stack):
            note(f"replacing {service}; requests fail in the meantime: {why}")
            force = ["--force-recreate"] if container.is_moved else []
            session.runner.run(stack.command("up", "--detach", "--no-build", *force, service))
            _wait(session, service)


def _give_nginx_its_volume(session: Session, live: str) -> None:
    """Recreate an nginx from before TLS was switched on: the new release needs the certificate volume."""
    settings, stack = session.settings, session.stack.for_release(live)
    mounted = engine.mounted_volumes(f"{stack.project}-nginx-1")
    if settings.tls == "off" or f"{stack.project}_certificates" in mounted:
        return
    switchover.run_one_shot(session, stack, "nginx-configuration")
    # Without --no-deps, Compose would replace web too.
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
    """Dump the stack's own database into the backup folder; a database managed elsewhere is not dumped."""
    settings = work.session.settings
    if settings.database != "postgres":
        return
    backupimage.make_folder(settings)
    folder = backupimage.folder(settings)
    # No other deploy is writing one: the deploy lock is held.
    for interrupted in folder.glob("*.part"):
        interrupted.unlink()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = folder / f"{stamp}-before-{work.release}.dump"
    database.dump_all(work.session, target)
    work.backup = os.path.relpath(target, settings.root)


def migrate(work: Switchover) -> None:
    """Apply the migrations of the new release, and remember which ones were applied."""
    before = migrations.applied(work.session, work.stack)
    try:
        work.one_shot("migrate")
    finally:
        after = migrations.applied(work.session, work.stack)
        work.schema = tuple(sorted(after))
        work.migrations = tuple(sorted(after - before))


def note_start(session: Session) -> None:
    """Enter a release that ``up`` started into the ledger, unless it was the last one there."""
    settings, stack = session.settings, session.stack
    release = settings_now(settings.root).release
    last = releases.live(releases.read(settings.root))
    if last and last.id == release:
        return
    schema = tuple(sorted(migrations.applied(session, stack)))
    image = engine.image_id(f"{stack.web_repository}:{release}")
    releases.append(settings.root, Release(id=release, image=image, result="live", kind="up", schema=schema))


def require_running(session: Session) -> None:
    """Raise ``SlipwayError`` SLIP-084 when RELEASE is fixed elsewhere, SLIP-081 when nothing serves."""
    origin = session.settings.origins["RELEASE"]
    if origin not in {"default", "machine.env"} and not origin.startswith("machine.env:"):
        raise SlipwayError(
            "SLIP-084",
            f"RELEASE is fixed by {origin}, so a deploy could not record the new one",
            "remove it there; to name one release: invoke deploy --release NAME",
        )
    running = {c.service for c in engine.containers(session.stack.project) if c.state == "running"}
    if not {"web", "nginx"} <= running:
        raise SlipwayError(
            "SLIP-081",
            f"{session.stack.project} is not up, so there is nothing to switch from",
            "start it first: invoke up --prod",
        )


def _fetch(image: str) -> None:
    if not engine.image_id(image) and (reason := pull(image).reason):
        raise SlipwayError(
            "SLIP-091",
            f"{image} is not on this machine, and cannot be pulled: {reason}",
            "correct the name or the tag; if its registry needs an account: docker login",
        )
    if not engine.image_release(image):
        raise SlipwayError(
            "SLIP-091",
            f"{image} lacks the label {engine.RELEASE_LABEL}, which the production images of this kit have",
            "rebuild it if it was built before the kit set that label: invoke build --prod, then tag "
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
    """Return ``release``, numbered if it is the live one: the two must have different names."""
    number = 2
    wanted = release
    while wanted == live:
        wanted = f"{release}-{number}"
        number += 1
    return wanted


def _plan(session: Session, release: str, image: str) -> None:
    """Print the commands under the names of their steps."""
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
