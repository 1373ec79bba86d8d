"""The git revision of the project that is built, for labels and for ``data-release``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from slipway.core.run import Runner

__all__ = ["describe"]

_NOT_SOURCE = {".git", ".venv", "venv", "node_modules", "__pycache__", "media", "staticfiles"}


def describe(folder: Path, runner: Runner, apart: Collection[str] = ()) -> dict[str, str]:
    """Return ``REVISION`` (full git hash or ``unknown``) and ``RELEASE``, an id for exactly this content.

    ``folder`` is the project's. The id is the short hash, with ``-dirty-`` and a digest of the files if the
    work tree differs from it; without git it is ``files-`` and a digest of all files except ``apart``.
    """
    git = ["git", "-C", str(folder)]
    head = runner.capture([*git, "rev-parse", "HEAD"])
    if head.returncode != 0:
        return {"REVISION": "unknown", "RELEASE": f"files-{_digest(_walk(folder, apart))}"}
    revision = head.stdout.strip()
    changed = runner.capture([*git, "status", "--porcelain", "--", "."]).stdout.strip()
    if not changed:
        return {"REVISION": revision, "RELEASE": revision[:12]}
    listing = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."]
    files = [folder / name for name in runner.capture(listing).stdout.split("\0") if name]
    return {"REVISION": revision, "RELEASE": f"{revision[:12]}-dirty-{_digest(files)}"}


def _walk(folder: Path, apart: Collection[str]) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if name not in _NOT_SOURCE and Path(parent, name).relative_to(folder).as_posix() not in apart
        ]
        found += [Path(parent, name) for name in names]
    return found


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.is_file():
            digest.update(f"{path}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:8]
