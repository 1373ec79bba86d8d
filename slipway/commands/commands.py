"""Runs commands in a stack's containers: in a running one, else in a one-off."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Sequence

from slipway.core import values
from slipway.core.errors import SlipwayError
from slipway.core.lifeline import CALL, Lifeline
from slipway.core.output import note
from slipway.engine import engine
from slipway.orchestrators.session import Session
from slipway.pgupgrade import dbmajor
from slipway.services.migrations import MIGRATE

__all__ = [
    "collectstatic", "createsuperuser", "execute", "makemigrations", "manage", "migrate", "shell", "test",
]  # fmt: skip

_MANAGE = ("python", "manage.py")


def words(text: str, remainder: str) -> list[str]:
    """Return the words of a task's argument and those after ``--`` on Invoke's command line.

    ``remainder`` is Invoke's: the words joined by spaces, without their quotes. So the words come from this
    process's arguments if Invoke made ``remainder`` from them.
    Raises ``SlipwayError`` SLIP-071 for an unfinished quote.
    """
    after = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    try:
        return shlex.split(text) + (after if " ".join(after) == remainder else shlex.split(remainder))
    except ValueError as bad:
        raise SlipwayError(
            "SLIP-071", f"the command cannot be split into words: {bad}", "close the quote"
        ) from None


def execute(
    session: Session,
    service: str,
    command: Sequence[str],
    *,
    env: Sequence[str] = (),
) -> None:
    """Run ``command`` in ``service`` and end with its exit code.

    ``env`` names variables of this process to pass; their values are not echoed.
    Raises ``SlipwayError`` SLIP-067 for an unknown service, SLIP-072 for an empty command.
    """
    session.check_services([service])
    if not command:
        raise SlipwayError("SLIP-072", "no command given", "for example: invoke exec web -- python --version")
    _attend(session, service, _running(session, service), command, env=env)


def _running(session: Session, service: str) -> str | None:
    """Return the id of the container to run a command in, empty in a dry run; None if it needs a one-off.

    In that case ``_prepare_one_off`` has run. Raises what that raises.
    """
    if session.runner.dry:
        return ""
    if container := engine.first_running(session.stack.project, service):
        return container
    _prepare_one_off(session)
    return None


def _prepare_one_off(session: Session) -> None:
    """Build the missing images for a command's one-off container, for example in a fresh clone.

    Compose itself builds only the service that it runs, and none without ``build:``.
    Raises what ``lifecycle.build`` and ``dbmajor.check`` raise.
    """
    if session.runner.dry:
        return
    if missing := [image for image in session.stack.images() if not engine.image_id(image)]:
        # Imported here: most commands run in an existing container and do not need it.
        from slipway.release import lifecycle  # noqa: PLC0415

        note(f"{', '.join(missing)}: not built yet, building first")
        lifecycle.build(session)
    # A one-off starts the services that its service waits for, also the database.
    dbmajor.check(session)


def _attend(
    session: Session, service: str, container: str | None, command: Sequence[str], *, env: Sequence[str] = ()
) -> None:
    """Run ``command``, with ``container`` from ``_running``; pass on this task's signals and its end."""
    stack = session.stack
    name = f"{stack.project}-{service}-run-{secrets.token_hex(6)}" if container is None else ""
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    argv = stack.execute(
        service, command, running=container is not None, tty=tty, env=(*env, CALL), name=name
    )

    def place() -> str:
        return container if container is not None else name if engine.is_running(name) else ""

    seconds = values.seconds(session.settings.stop_grace_period)
    session.runner.replace(argv, lifeline=Lifeline(place, seconds, terminal=tty))


def shell(session: Session, service: str, *, django: bool) -> None:
    """Open bash in a service, psql in ``db``, or with ``django`` the Django shell."""
    if django:
        manage(session, ["shell"])
        return
    psql = ("psql", "--username", session.settings.db_user, "--dbname", session.settings.db_name)
    execute(session, service, psql if service == "db" else ("bash",))


def manage(session: Session, arguments: Sequence[str], *, env: Sequence[str] = ()) -> None:
    """Run ``manage.py`` with ``arguments`` in ``web``."""
    execute(session, "web", [*_MANAGE, *arguments], env=env)


def migrate(session: Session, arguments: Sequence[str], *, plan: bool = False, check: bool = False) -> None:
    """Apply migrations under the migration lock.

    With ``plan`` only list them; with ``check`` only exit with code 1 if there are any.
    """
    flags = [*(["--plan"] if plan else []), *(["--check"] if check else [])]
    # A one-off of `web` would first start the services that web waits for, including the migrations.
    container = _running(session, "web")
    service = "migrate" if container is None else "web"
    _attend(session, service, container, [*MIGRATE, *flags, *arguments])


def makemigrations(session: Session, arguments: Sequence[str]) -> None:
    """Write migrations; in production only check that none is missing: its code is read-only."""
    check = ["--check", "--dry-run"] if session.stack.prod else []
    manage(session, ["makemigrations", *check, *arguments])


def collectstatic(session: Session) -> None:
    """Collect static files; in production publish those of the image into the volume nginx serves."""
    if session.stack.prod:
        _prepare_one_off(session)
        _attend(session, "static", None, [])
    else:
        manage(session, ["collectstatic", "--noinput"])


def createsuperuser(session: Session, *, username: str, email: str) -> None:
    """Create an admin account; ask nothing when DJANGO_SUPERUSER_PASSWORD is set."""
    arguments = ["createsuperuser"]
    arguments += ["--username", username] if username else []
    arguments += ["--email", email] if email else []
    passed = [name for name in os.environ if name.startswith("DJANGO_SUPERUSER_")]
    arguments += ["--noinput"] if "DJANGO_SUPERUSER_PASSWORD" in passed else []
    manage(session, arguments, env=passed)


def test(session: Session, arguments: Sequence[str]) -> None:
    """Run the project's tests; in production, where the image has none, Django's deployment check."""
    if session.stack.prod:
        manage(session, ["check", "--deploy", *arguments])
    else:
        execute(session, "web", [*session.settings.test_command, *arguments])
