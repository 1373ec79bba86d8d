"""Run commands in the containers that do the work, and read their answers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine
from slipway.images import bases
from slipway.images.backupimage import folder, make_folder, record_recipe
from slipway.images.build import ensure_bases, run_build
from slipway.orchestrators.session import Session

__all__ = ["SERVICES", "ask", "folder", "follow", "prepare", "require_database"]

SERVICES = ("backup", "restore-media", "verify")
"""The services of compose/backup.yaml."""

# Time for an interrupted container to remove its unfinished files.
_STOP_SECONDS = "20"


def prepare(session: Session) -> None:
    """Make the backup folder, build the image from the checkout, and remove containers of killed tasks.

    The image is built only when it is missing, or when its recipe or its base has changed: a backup must
    not wait for a package mirror. Raises ``SlipwayError`` SLIP-103 when the folder cannot be made, and what
    ``run_build`` raises.
    """
    settings, stack = session.settings, session.stack
    if session.runner.dry:
        return
    make_folder(settings)
    if left := engine.finished_one_offs(stack.project, SERVICES):
        session.runner.run(["docker", "rm", *left], check=False)
    ensure_bases(session)
    if engine.image_label(stack.backup_image, bases.LABEL) != record_recipe(settings):
        note("building the image that backups are made with")
        # Quietly: Compose's build output would end up in the task's answer.
        run_build(session, stack, ["backup"], progress="quiet")


def follow(session: Session) -> None:
    """Recreate a running backup schedule with the client programs of the present database.

    Programs of an older version refuse a newer server. Raises what ``prepare`` raises.
    """
    stack = session.stack
    if stack.scheduled and engine.running(stack.project, "backup"):
        prepare(session)
        session.runner.run(stack.command("up", "--detach", "--no-deps", "--no-build", "backup"))


def require_database(session: Session) -> None:
    """Raise ``SlipwayError`` SLIP-103 when the stack's own database does not run."""
    stack = session.stack
    if session.runner.dry or session.settings.database != "postgres" or engine.running(stack.project, "db"):
        return
    prod = " --prod" if stack.prod else ""
    raise SlipwayError(
        "SLIP-103", f"the database of {stack.project} does not run", f"invoke up{prod}, then rerun this"
    )


def ask(session: Session, service: str, command: Sequence[str], *, stdin: Path | None = None) -> Any:
    """Run ``command`` in a container of ``service`` and return its answer; its messages go to the terminal.

    The container reads the file ``stdin``, if given. Raises ``Exit`` when it failed: it has said why.
    """
    runner, stack = session.runner, session.stack
    name = "" if runner.dry else f"{stack.project}-{service}-run-{secrets.token_hex(6)}"
    try:
        argv = stack.one_off(service, command, name=name)
        done = runner.run(argv, check=False, stdin=stdin, answer=True)
    except BaseException:
        # An interrupted Compose ends before its container does, which would go on working.
        runner.capture(["docker", "stop", "-t", _STOP_SECONDS, name])
        raise
    if done.returncode:
        raise Exit(code=1)
    return json.loads(done.stdout.splitlines()[-1]) if not runner.dry else None
