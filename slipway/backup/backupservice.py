"""The containers that do the work, and how they are asked."""

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

# In which an interrupted container removes what it has begun.
_STOP_SECONDS = "20"


def prepare(session: Session) -> None:
    """See to it that the folder is there and the image is built from what is checked out.

    Containers that a killed task has left are removed.

    The image is built when it is missing, or when its recipe or its base has changed, and at no other
    time: a backup must not wait for a package mirror. Raises ``SlipwayError`` SLIP-103 when the folder
    cannot be made, and what ``run_build`` raises.
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
        # Quietly: what Compose says of a build would stand in the task's answer.
        run_build(session, stack, ["backup"], progress="quiet")


def follow(session: Session) -> None:
    """Give the service that makes backups by a schedule, where it runs, the programs of the present database.

    Those of an older version refuse a newer server. Raises what ``prepare`` raises.
    """
    stack = session.stack
    if stack.scheduled and engine.running(stack.project, "backup"):
        prepare(session)
        session.runner.run(stack.command("up", "--detach", "--no-deps", "--no-build", "backup"))


def require_database(session: Session) -> None:
    """Raises ``SlipwayError`` SLIP-103 when the stack's own database does not run."""
    stack = session.stack
    if session.runner.dry or session.settings.database != "postgres" or engine.running(stack.project, "db"):
        return
    prod = " --prod" if stack.prod else ""
    raise SlipwayError(
        "SLIP-103", f"the database of {stack.project} does not run", f"invoke up{prod}, then again"
    )


def ask(session: Session, service: str, command: Sequence[str], *, stdin: Path | None = None) -> Any:
    """Run ``command`` in a container of ``service`` and return its answer; it tells the rest itself.

    With ``stdin`` it reads that file. Raises ``Exit`` when it ended with an error, which it has explained.
    """
    runner, stack = session.runner, session.stack
    name = "" if runner.dry else f"{stack.project}-{service}-run-{secrets.token_hex(6)}"
    try:
        argv = stack.one_off(service, command, name=name)
        done = runner.run(argv, check=False, stdin=stdin, answer=True)
    except BaseException:
        # Compose, when it is interrupted, ends before its container does, which is still at work then.
        runner.capture(["docker", "stop", "-t", _STOP_SECONDS, name])
        raise
    if done.returncode:
        raise Exit(code=1)
    return json.loads(done.stdout.splitlines()[-1]) if not runner.dry else None
