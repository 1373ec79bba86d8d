"""The folder and the image for the containers that work on backups; the image is built from the checkout."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from slipway.config.settings import Settings, record_machine
from slipway.core.errors import SlipwayError
from slipway.engine import engine
from slipway.orchestrators.init import backup_user

__all__ = ["folder", "make_folder", "record_recipe"]


def folder(settings: Settings) -> Path:
    """Return the absolute path of the backups."""
    return settings.path(settings.backup_dir)


def make_folder(settings: Settings) -> None:
    """Create the folder for the containers' user. Raises ``SlipwayError`` SLIP-103 when that fails."""
    path = folder(settings)
    try:
        # The second holds temporary parts: of a container, or of a task that prepares an import.
        for each in (path, path / ".work"):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.getuid() == 0:
                os.chown(each, *backup_user())
    except OSError as problem:
        raise SlipwayError(
            "SLIP-103",
            f"the backups folder {path} cannot be created: {problem.strerror}",
            "set BACKUP_DIR to a folder that you may write to",
        ) from None


def record_recipe(settings: Settings) -> str:
    """Record and return the digest of all inputs of the image; a build puts it into the image's label."""
    digest = hashlib.sha256(engine.image_id(settings.postgres_image).encode())
    docker = settings.root / "docker"
    for path in sorted([*(docker / "backup").glob("*"), docker / "cron.py", docker / "install-packages"]):
        if path.is_file():
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    # compose/backup.yaml: the image has the store's client only if a store is configured.
    digest.update(b"store" if settings.backup_s3_bucket else b"")
    recipe = digest.hexdigest()[:12]
    record_machine(settings.root, {"BACKUP_RECIPE": recipe})
    return recipe
