"""What backups need before they can be made: their image and their folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from slipway import engine, lifecycle
from slipway.errors import SlipwayError
from slipway.init import backup_user
from slipway.session import Session
from slipway.settings import Settings, record_machine

__all__ = ["folder", "prepare"]


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
        lifecycle.run_build(session, stack, ["backup"])


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
