"""Results of earlier builds, in a cache mount: found by what they are made from."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

_KEPT_SECONDS = 30 * 24 * 3600


class BuildCache:
    """A folder of results, by ``key``. ``prune`` deletes results that were not used for a month."""

    def __init__(self, folder: Path) -> None:
        """Create ``folder`` if it does not exist."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def key(*parts: bytes) -> str:
        """Return the key of a result that depends on ``parts`` alone."""
        digest = hashlib.sha256()
        for part in parts:
            digest.update(b"%d:" % len(part))
            digest.update(part)
        return digest.hexdigest()

    def get(self, key: str) -> bytes | None:
        """Return the result, or None."""
        try:
            with open(self._place(key), "rb") as file:  # noqa: PTH123 - a thousand times in a build
                content = file.read()
                os.utime(file.fileno())
        except OSError:
            return None
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep a result: whole or not at all, because another build may be reading it."""
        place = self._place(key)
        unfinished = f"{place}.{os.getpid()}.{time.monotonic_ns()}"
        Path(unfinished).write_bytes(content)
        os.replace(unfinished, place)  # noqa: PTH105

    def prune(self) -> None:
        """Delete results that were not used for a month."""
        oldest = time.time() - _KEPT_SECONDS
        with os.scandir(self._folder) as entries:
            for entry in entries:
                # Another build may have deleted it already.
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime < oldest:
                        os.unlink(entry.path)  # noqa: PTH108

    def _place(self, key: str) -> str:
        return f"{self._folder}/{key}"
