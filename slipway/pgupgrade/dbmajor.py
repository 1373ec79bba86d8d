"""The major version of PostgreSQL in an image, and the one that wrote a stack's volume.

A server does not read the files of another major version, so nothing is started where the two differ.
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

# The mark shows an unfinished first start; the next one recreates the cluster (first-start.sh).
_READ = "[ -e /volume/.first-start ] || cat /volume/pgdata/PG_VERSION"


def of_image(reference: str) -> int | None:
    """Return the version in the image's environment, else in its name; ``None`` if neither has one."""
    return _from_environment(engine.image_environment(reference)) or postgres.major_in(reference)


def _from_environment(environment: Mapping[str, str]) -> int | None:
    """Return the major version in an image's or a container's PG_MAJOR, which PostgreSQL's images set."""
    major = environment.get("PG_MAJOR", "")
    return int(major) if major.isdigit() else None


def of_volume(session: Session, volume: str) -> int | None:
    """Return the major version that wrote ``volume``; ``None`` when there is no cluster in it.

    A server that runs on it gives the answer quickly: no other version could run. Else a container of any
    base image on the engine reads the file; without such an image the answer is ``None`` too.
    """
    for container in engine.containers(session.stack.project, "db"):
        if container.state != "running":
            continue
        major = _from_environment(engine.environment(container.id))
        if major and volume in engine.mounted_volumes(container.id):
            return major
    if volume not in engine.volumes(session.stack.project):
        return None
    image = next((i for i in _readers(session) if engine.image_id(i)), None)
    if image is None:
        return None
    # As root: only the server may read the data directory. volume-nocopy: an empty volume must stay empty.
    mount = f"type=volume,source={volume},target=/volume,readonly,volume-nocopy"
    argv = ["docker", "run", "--rm", "--network=none", "--user=0", "--entrypoint=sh", f"--mount={mount}"]
    text = session.runner.capture([*argv, image, "-c", _READ]).stdout.strip()
    return int(text) if text.isdigit() else None


def check(session: Session) -> None:
    """Revert an upgrade that was killed, then ``compare``, then ``record``.

    Raises as ``compare``, and ``SlipwayError`` SLIP-077 while an upgrade runs.
    """
    if session.settings.database != "postgres" or session.runner.dry:
        return
    upgradeundo.take_back_interrupted(session)
    compare(session)
    record(session)


def record(session: Session) -> None:
    """Record where the image expects its volume: not every image name shows it."""
    settings = session.settings
    if settings.database != "postgres" or session.runner.dry:
        return
    if major := of_image(settings.postgres_image):
        record_machine(settings.root, {"DB_VOLUME_TARGET": postgres.mount_target(major)})


def compare(session: Session) -> None:
    """Return if the database of the settings can be started, or is not the kit's.

    Raises ``SlipwayError`` SLIP-104 when another major version wrote the volume, SLIP-110 when
    DB_VOLUME_TARGET is that of another version.
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
    """As ``check``, for the existing container of ``db``, which `start` and `restart` start again."""
    if session.settings.database != "postgres" or session.runner.dry:
        return
    upgradeundo.take_back_interrupted(session)
    names = set(services)
    for container in engine.containers(session.stack.project, "db"):
        if container.state == "running" or (names and "db" not in names):
            continue
        major = _from_environment(engine.environment(container.id))
        for volume in engine.mounted_volumes(container.id):
            written = of_volume(session, volume)
            if major and written is not None and written != major:
                raise _mismatch(session, container.image, major, written)


def check_target(settings: Settings, major: int) -> None:
    """Raise ``SlipwayError`` SLIP-110 when ``.env`` has the path of another generation of images."""
    wanted = postgres.mount_target(major)
    other = {postgres.mount_target(17), postgres.mount_target(18)} - {wanted}
    origin = settings.origins["DB_VOLUME_TARGET"]
    fixed = origin == "environment" or settings.is_in_env_file("DB_VOLUME_TARGET")
    if fixed and settings.db_volume_target in other:
        raise SlipwayError(
            "SLIP-110",
            f"DB_VOLUME_TARGET={settings.db_volume_target} ({origin}) is not where PostgreSQL {major} keeps"
            f" its data, which is {wanted}",
            "remove that line: the kit takes the path from the image",
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
        f"{image} is PostgreSQL {major}, but the database of {stack.project} was written by {written};"
        " nothing was started",
        fix,
    )
