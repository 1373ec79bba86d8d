"""Which major version of PostgreSQL an image is, and which one has written a stack's volume.

A server does not read the files of another major version; so nothing is started where the two differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.config import postgres
from slipway.config.settings import Settings, record_machine
from slipway.core.errors import SlipwayError
from slipway.engine import engine
from slipway.orchestrators.session import Session
from slipway.pgupgrade import upgradeundo

__all__ = ["check", "check_created", "compare", "of_image", "of_volume", "record"]

# The mark is of a first start that did not end; the next one makes that cluster anew (first-start.sh).
_READ = "[ -e /volume/.first-start ] || cat /volume/pgdata/PG_VERSION"


def of_image(reference: str) -> int | None:
    """What the image says of itself, else what its name says; ``None`` when neither tells."""
    return _said(engine.image_environment(reference)) or postgres.major_in(reference)


def _said(environment: Mapping[str, str]) -> int | None:
    """The major version in an image's or a container's environment, which PostgreSQL's images have there."""
    major = environment.get("PG_MAJOR", "")
    return int(major) if major.isdigit() else None


def of_volume(session: Session, volume: str) -> int | None:
    """Which major version has written ``volume``; ``None`` when there is no cluster in it.

    A server that runs on it is the quick answer: no other version could. Else the file is read by a
    container of whichever base image there is; without any the answer is ``None`` too.
    """
    for container in engine.containers(session.stack.project, "db"):
        if container.state != "running":
            continue
        major = _said(engine.environment(container.id))
        if major and volume in engine.mounted_volumes(container.id):
            return major
    if volume not in engine.volumes(session.stack.project):
        return None
    image = next((i for i in _readers(session) if engine.image_id(i)), None)
    if image is None:
        return None
    # As root: the data directory is the server's alone. Without copying, which would fill an empty volume.
    mount = f"type=volume,source={volume},target=/volume,readonly,volume-nocopy"
    argv = ["docker", "run", "--rm", "--network=none", "--user=0", "--entrypoint=sh", f"--mount={mount}"]
    text = session.runner.capture([*argv, image, "-c", _READ]).stdout.strip()
    return int(text) if text.isdigit() else None


def check(session: Session) -> None:
    """Take back an upgrade that was killed, then ``compare``, then ``record``.

    Raises as ``compare``, and ``SlipwayError`` SLIP-077 while an upgrade runs.
    """
    if session.settings.database != "postgres" or session.runner.dry:
        return
    upgradeundo.take_back_interrupted(session)
    compare(session)
    record(session)


def record(session: Session) -> None:
    """Record where the image wants its volume: not every name of one tells."""
    settings = session.settings
    if settings.database != "postgres" or session.runner.dry:
        return
    if major := of_image(settings.postgres_image):
        record_machine(settings.root, {"DB_VOLUME_TARGET": postgres.mount_target(major)})


def compare(session: Session) -> None:
    """Return when the database that the settings describe can be started, or is not the kit's.

    Raises ``SlipwayError`` SLIP-104 when the volume was written by another major version, SLIP-110 when
    DB_VOLUME_TARGET is the other one's.
    """
    settings, stack = session.settings, session.stack
    if settings.database != "postgres" or session.runner.dry:
        return
    major = of_image(settings.postgres_image)
    if major is None:
        return
    check_target(settings, major)
    written = of_volume(session, settings.db_volume(stack.prod))
    if written is not None and written != major:
        raise _mismatch(session, settings.postgres_image, major, written)


def check_created(session: Session, services: Iterable[str]) -> None:
    """As ``check``, for the container of ``db`` that there is, which `start` and `restart` begin again."""
    if session.settings.database != "postgres" or session.runner.dry:
        return
    upgradeundo.take_back_interrupted(session)
    names = set(services)
    for container in engine.containers(session.stack.project, "db"):
        if container.state == "running" or (names and "db" not in names):
            continue
        major = _said(engine.environment(container.id))
        for volume in engine.mounted_volumes(container.id):
            written = of_volume(session, volume)
            if major and written is not None and written != major:
                raise _mismatch(session, container.image, major, written)


def check_target(settings: Settings, major: int) -> None:
    """Raise ``SlipwayError`` SLIP-110 when ``.env`` names the place of another generation of images."""
    wanted = postgres.mount_target(major)
    other = {postgres.mount_target(17), postgres.mount_target(18)} - {wanted}
    origin = settings.origins["DB_VOLUME_TARGET"]
    fixed = origin == "environment" or settings.is_in_env_file("DB_VOLUME_TARGET")
    if fixed and settings.db_volume_target in other:
        raise SlipwayError(
            "SLIP-110",
            f"DB_VOLUME_TARGET={settings.db_volume_target} ({origin}) is not where PostgreSQL {major} keeps"
            f" its data, which is {wanted}",
            "remove that line: the place follows from the image",
        )


def _readers(session: Session) -> list[str]:
    images = session.settings.images()
    used = [c.image for c in engine.containers(session.stack.project, "db")]
    return [images["POSTGRES_IMAGE"], *used, *images.values()]


def _mismatch(session: Session, image: str, major: int, written: int) -> SlipwayError:
    stack = session.stack
    prod = " --prod" if stack.prod else ""
    if major > written:
        fix = f"invoke db.upgrade --to {major}{prod}"
    else:
        fix = f"set POSTGRES_IMAGE to one of PostgreSQL {written}: there is no way back to an older version"
    return SlipwayError(
        "SLIP-104",
        f"{image} is PostgreSQL {major}, and the database of {stack.project} was written by {written};"
        " nothing was started",
        fix,
    )
