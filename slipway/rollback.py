"""Back to a kept release, the same way a deploy goes forward."""

from __future__ import annotations

from slipway import deploylock, engine, releases, switchover
from slipway.deploy import applied_migrations, require_running
from slipway.errors import SlipwayError
from slipway.session import Session
from slipway.switchover import Step, Switchover

__all__ = ["rollback"]


def rollback(session: Session, *, release: str, keep_schema: bool) -> None:
    """Switch back to a kept image, as a deploy does; the database stays as it is.

    Raises ``SlipwayError``: SLIP-082 when there is no such release or its image is gone, SLIP-083 when
    migrations lie between and nobody has said what to do about them.
    """
    settings = session.settings
    if session.runner.dry:
        switchover.plan(session, release or "RELEASE")
        return
    with deploylock.held(settings.root, "rollback"):
        require_running(session)
        entries = releases.read(settings.root)
        target = releases.newest_before(entries, settings.release, release)
        work = Switchover(session, target.id, "rollback")
        _require_images(work)
        between = releases.between(entries, target, applied_migrations(session))
        if between and not keep_schema:
            raise SlipwayError(
                "SLIP-083",
                f"migrations were applied after {target.id}: {', '.join(between)}",
                "if the old code runs on the new schema: --keep-schema; else undo them first "
                '(invoke migrate --prod --target "app number"), or deploy a corrected version',
            )
        # Its one-shots must be the ones that belong to it; `migrate` has nothing to apply.
        services = ("nginx-configuration", "migrate", "static")
        work.run([_one_shot_step(work, service) for service in services])


def _one_shot_step(work: Switchover, service: str) -> Step:
    return service, lambda: work.one_shot(service)


def _require_images(work: Switchover) -> None:
    for image in work.stack.images():
        if not engine.image_id(image):
            raise SlipwayError(
                "SLIP-082", f"the image {image} is gone", "check out that revision and invoke deploy it"
            )
