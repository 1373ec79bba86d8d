"""DATA_PATHS: replace paths that must last by links, and keep their content as the first content.

    data_paths.py ROOT PATH...

Each PATH is counted from ``/app`` or absolute. It becomes a link into ``/srv/data``, a volume in production,
under its own absolute path there; the project's content of that path is moved to ``FIRST``, and the
entrypoint copies it into a volume that does not have it yet. ROOT is the folder that stands for the image's
root. Runs while the image is built, as root.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from entrypoint import APP, DATA, FIRST


class DataPathError(Exception):
    """A problem and its fix, ready to print."""


def absolute(path: str) -> Path:
    """Return ``path`` of DATA_PATHS as an absolute one, without a slash at its end."""
    return Path(os.path.normpath(f"{APP}/{path}" if not path.startswith("/") else path))


def lay(path: str, root: Path = Path("/")) -> str:
    """Replace ``path`` below ``root`` by the link; return the entrypoint's line about it.

    It is a folder when the project has one there, or when it ends in / or has no extension. Raises
    DataPathError for a folder with code in it, or a path that the base image has.
    """
    named = absolute(path)
    place, first = (root / str(folder).lstrip("/") for folder in (named, f"{FIRST}{named}"))
    if place.exists() and not place.is_symlink():
        _refuse(path, named, place)
        first.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(place, first)
    if not place.is_symlink():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(f"{DATA}{named}")
    folder = first.is_dir() if first.exists() else path.endswith("/") or not named.suffix
    return f"{'data-folder' if folder else 'data-file'}\t{named}"


def _refuse(path: str, named: Path, place: Path) -> None:
    if not named.is_relative_to(APP):
        raise DataPathError(
            f"SLIP-139: DATA_PATHS names {path}, which is a part of the image; fix: name only paths "
            "that the project itself writes to"
        )
    if place.is_dir() and (code := next(place.rglob("*.py"), None)):
        raise DataPathError(
            f"SLIP-139: DATA_PATHS names {path}, and there is code in it ({code.relative_to(place)}): from a "
            "volume it would never change with a release; fix: name only paths that the project writes to"
        )


def main(root: Path, paths: list[str]) -> int:
    """Lay a link for each path inside the project; return the exit code."""
    try:
        for path in paths:
            if absolute(path).is_relative_to(APP):
                lay(path, root)
    except DataPathError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
