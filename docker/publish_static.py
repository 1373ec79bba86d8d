"""Publish this release's static files into the volume nginx serves: ``/srv/static``.

Nothing is deleted: pages of earlier releases that are still open in a browser request their old hashed
names. A file appears whole or not at all (written under another name, then renamed). A file with unchanged
content is left alone and keeps its modification time, so browsers' copies stay valid.

With COLLECTSTATIC=start the files are collected first, into the project's STATIC_ROOT, which must
be writable: /srv/static itself will do. With COLLECTSTATIC=skip nothing is collected or changed: files
committed in STATIC_ROOT are published as they are.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

from project_static import Project, StaticError, precompress, static_root
from served_paths import differences

VOLUME = Path("/srv/static")
NOTE = Path("/opt/slipway/static-root")
WARNINGS = Path("/opt/slipway/static-warnings")
VARIABLES = Path("/opt/slipway/static.json")
UNFINISHED = ".slipway-publishing"


def publish(source: Path, volume: Path) -> Counter[str]:
    """Copy new and changed files of ``source`` into ``volume``; return the number of files by outcome."""
    for leftover in volume.rglob(f"*{UNFINISHED}"):
        leftover.unlink(missing_ok=True)
    counts: Counter[str] = Counter(new=0, updated=0, unchanged=0)
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        target = volume / path.relative_to(source)
        if not target.exists():
            outcome = "new"
        elif filecmp.cmp(path, target, shallow=False):
            outcome = "unchanged"
        else:
            outcome = "updated"
        counts[outcome] += 1
        if outcome != "unchanged":
            _replace(path, target)
            _drop_stale_compressed(path, target)
    return counts


def _replace(path: Path, target: Path) -> None:
    """Copy atomically, with the modification time. nginx refuses dotfiles, so no half copy is served.

    The mode is fixed, whatever FILE_UPLOAD_PERMISSIONS is: nginx reads the files as another user.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
    shutil.copy2(path, unfinished)
    unfinished.chmod(0o644)
    unfinished.replace(target)


def _drop_stale_compressed(path: Path, target: Path) -> None:
    """Remove the old .gz of a changed file that no longer has one: nginx would go on serving it."""
    if not path.with_name(path.name + ".gz").exists():
        target.with_name(target.name + ".gz").unlink(missing_ok=True)


def collect_now(project: Project, root: Path, after: str) -> None:
    """Run collectstatic with this container's environment, into ``root``."""
    if not os.access(root, os.W_OK):
        raise StaticError(
            f"SLIP-057: COLLECTSTATIC=start, but STATIC_ROOT ({root}) is not writable for uid {os.getuid()};"
            f" fix: set STATIC_ROOT to {VOLUME}, the volume nginx serves; or COLLECTSTATIC=build"
        )
    if not project.collect(root):
        raise StaticError("SLIP-057: django.contrib.staticfiles is not installed; fix: COLLECTSTATIC=skip")
    project.finish(after)
    precompress(root)


def not_collected_in_the_build(mode: str) -> Path | None:
    """Return STATIC_ROOT, filled now with COLLECTSTATIC=start; None with ``skip`` and nothing in it."""
    project = Project()
    settings = project.settings()
    kit = json.loads(VARIABLES.read_text(encoding="utf-8"))
    for warning in differences(settings, kit):
        print(f"warning: {warning}", file=sys.stderr)
    if mode == "start":
        root = static_root(settings)
        collect_now(project, root, kit["AFTER_COLLECTSTATIC"])
        return root
    root = static_root(settings) if settings["STATIC_ROOT"] else None
    return root if root and root.is_dir() and any(root.iterdir()) else None


def source_for(mode: str) -> Path | None:
    """Return the folder to publish for COLLECTSTATIC=``mode``; None when there is none."""
    if WARNINGS.is_file():
        print(WARNINGS.read_text(encoding="utf-8"), end="", file=sys.stderr)
    if mode != "build":
        return not_collected_in_the_build(mode)
    return Path(NOTE.read_text(encoding="utf-8").strip()) if NOTE.is_file() else None


def main() -> int:
    """Publish according to COLLECTSTATIC; return the exit code."""
    mode = os.environ.get("COLLECTSTATIC", "build")
    try:
        source = source_for(mode)
    except StaticError as error:
        print(error, file=sys.stderr)
        # With skip, nothing had to be made here; programs that need the settings report such an error.
        return 0 if mode == "skip" else 1
    if source is None:
        print(f"COLLECTSTATIC={mode}: nothing to publish")
        return 0
    if source == VOLUME:
        print(f"collected into {VOLUME}")
        return 0
    counts = publish(source, VOLUME)
    print(f"published to {VOLUME}: " + ", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
