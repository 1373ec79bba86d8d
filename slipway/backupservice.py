"""The containers that do the work: their image, their folder, and how they are asked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from slipway import engine, lifecycle
from slipway.errors import SlipwayError
from slipway.init import backup_user
from slipway.output import note
from slipway.session import Session
from slipway.settings import Settings, record_machine

__all__ = ["ask", "folder", "prepare", "require_database"]


def folder(settings: Settings) -> Path:
    """Where backups are, absolute."""
    return settings.path(settings.backup_dir)


def prepare(session: Session) -> None:
    """See to it that the folder is there and the image is built from what is checked out.

    The image is built when it is missing, or when its recipe or its base has changed, and at no other
    time: a backup must not wait for a package mirror. Raises ``SlipwayError`` SLIP-103 when the folder
    cannot be made, and what ``lifecycle.run_build`` raises.
    """
    settings, stack = session.settings, session.stack
    if session.runner.dry:
        return
    _make_folder(settings)
    lifecycle.ensure_bases(session)
    recipe = _recipe(settings)
    if engine.image_label(stack.backup_image, "slipway.recipe") != recipe:
        record_machine(settings.root, {"BACKUP_RECIPE": recipe})
        note("building the image that backups are made with")
        # Quietly: what Compose says of a build would stand in the task's answer.
        lifecycle.run_build(session, stack, ["backup"], progress="quiet")


def _make_folder(settings: Settings) -> None:
    path = folder(settings)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.getuid() == 0:
            os.chown(path, *backup_user())
    except OSError as problem:
        raise SlipwayError(
            "SLIP-103",
            f"the backups folder {path} cannot be made: {problem.strerror}",
            "set BACKUP_DIR to a folder that you may write",
        ) from None


def _recipe(settings: Settings) -> str:
    digest = hashlib.sha256(engine.image_id(settings.postgres_image).encode())
    docker = settings.root / "docker"
    for path in sorted([*(docker / "backup").glob("*"), docker / "install-packages"]):
        if path.is_file():
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


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
    done = session.runner.run(session.stack.one_off(service, command), check=False, stdin=stdin, answer=True)
    if done.returncode:
        raise Exit(code=1)
    return json.loads(done.stdout) if not session.runner.dry else None
