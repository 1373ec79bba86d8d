"""Facts from a PostgreSQL image's name, and differences between its major versions. Pure functions."""

from __future__ import annotations

import re

__all__ = ["major_in", "mount_target", "with_major"]

_TAGGED = re.compile(r"(?P<name>.+):(?P<major>[1-9]\d)(\.\d+|beta\d+|rc\d+)*(?P<flavour>(?![\w.])[^/:@]*)")


def mount_target(major: int) -> str:
    """Where the image of a major version expects its volume: 18 moved it one level up (docker-library)."""
    return "/var/lib/postgresql" if major >= 18 else "/var/lib/postgresql/data"


def major_in(reference: str) -> int | None:
    """The major version an image reference names (``postgres:17.5-trixie``); ``None`` when it names none."""
    found = _TAGGED.fullmatch(reference)
    return int(found["major"]) if found else None


def with_major(reference: str, major: int) -> str | None:
    """The newest image of another major version: ``postgres:17.5-trixie`` becomes ``postgres:18-trixie``.

    ``None`` if the tag does not begin with a version, or a digest pins the image.
    """
    found = _TAGGED.fullmatch(reference)
    return f"{found['name']}:{major}{found['flavour']}" if found else None
