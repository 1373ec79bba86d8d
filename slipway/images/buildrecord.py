"""Whether a stack's images are up to date, so that `up` need not start a build.

One digest covers everything a build reads: the contents of a few files, and for the trees the facts that
git's index keeps of each file (size, mode, inode, mtime and ctime to the nanosecond). Programs cannot set the
ctime, so an edit that keeps size and mtime is noticed too. In doubt nothing is recorded, and `up` builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.config import place
from slipway.config.settings import load, variables, write_if_changed
from slipway.engine import engine
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session

__all__ = ["Inputs", "built", "forget", "inputs", "is_current", "record"]

_FORMAT = 1
# As in git ("racy git"): two changes within one tick of a file system's clock get the same time.
_RACY_NS = 2_000_000_000
# Scanning more files takes as long as the build.
_MOST_FILES = 50_000
# Never in a build's context, regardless of patterns, and changed even by read-only commands.
_NEVER_READ = frozenset({".git", "__pycache__"})
# Variables that Compose, buildx and the engine's command line read, next to those in the compose files.
_TOOLS = re.compile(r"(COMPOSE|DOCKER|BUILDX|BUILDKIT)_|SOURCE_DATE_EPOCH$")
_NAMED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True)
class Inputs:
    """A snapshot of everything that a build of a stack reads."""

    digest: str
    racy: bool
    """Whether a file changed so recently that the next change might look the same."""


def is_current(session: Session, now: Inputs | None) -> bool:
    """Whether the stack's images exist and were built from the inputs ``now``."""
    known = _read(_path(session.stack))
    return now is not None and known.get("inputs") == now.digest and known.get("images") == _ids(session)


def record(session: Session, before: Inputs | None) -> None:
    """Record that the existing images were built from ``before``: the inputs when the build began."""
    if before is None or before.racy:
        forget(session)
        return
    facts = {"inputs": before.digest, "images": _ids(session)}
    write_if_changed(_path(session.stack), json.dumps(facts, indent=1) + "\n")


def forget(session: Session) -> None:
    """Make the next `up` build."""
    _path(session.stack).unlink(missing_ok=True)


def inputs(session: Session) -> Inputs | None:
    """Return everything that a build of the stack reads; ``None`` if that is uncertain or takes too long.

    It is uncertain with COMPOSE_OVERLAYS: they may build from anywhere.
    """
    settings, stack = session.settings, session.stack
    if settings.overlays:
        return None
    began = time.time_ns()
    root, project = settings.root, settings.path(settings.project_root)
    apart = {project / path for path in place.own_paths(settings)}
    trees = {"project": project, "docker": root / "docker", "nginx": root / "nginx", "kit": root / "slipway"}
    digest = hashlib.sha256(f"{_FORMAT}\0".encode())
    newest = 0
    try:
        for part in _texts(stack):
            digest.update(part)
        for name, tree in trees.items():
            for path, found in _walk(tree, apart):
                digest.update(f"{name}/{path}\0{_facts(found)}\0".encode("utf-8", "surrogateescape"))
                if not stat.S_ISDIR(found.st_mode):
                    newest = max(newest, found.st_ctime_ns, found.st_mtime_ns)
    except (OSError, _TooManyError):
        return None
    return Inputs(digest.hexdigest(), racy=newest > began - _RACY_NS)


def _texts(stack: Stack) -> Iterator[bytes]:
    """Yield the contents of the small inputs, and the environment, base images and build command."""
    settings = stack.settings
    root = settings.root
    own = [root / name for name in ("Dockerfile", "Dockerfile.dockerignore", ".slipway/machine.env")]
    own += [root / settings.env_file, *(settings.path(n) for n in (settings.app_env, settings.app_prod_env))]
    composed = [root / name for name in stack.files()]
    secrets = sorted((root / ".slipway" / "build").iterdir())
    named = set(variables())
    for path in (*own, *composed, *secrets):
        content = path.read_bytes() if path.exists() else b"-"
        yield f"{path}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content
        if path in composed:
            named |= {match[1] for match in _NAMED.finditer(content.decode("utf-8", "replace"))}
    environ = {name: value for name, value in os.environ.items() if name in named or _TOOLS.match(name)}
    bases = {reference: engine.image_id(reference) for reference in settings.images().values()}
    yield json.dumps([sorted(environ.items()), sorted(bases.items()), stack.build()]).encode()


class _TooManyError(Exception):
    pass


def _walk(tree: Path, apart: Iterable[Path]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file and folder below ``tree`` in a fixed order, except unread ones and ``apart``."""
    skipped = {os.fspath(path) for path in apart}
    top = os.fspath(tree)
    waiting, count = [top], 0
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.name in _NEVER_READ or entry.path in skipped:
                continue
            count += 1
            if count > _MOST_FILES:
                raise _TooManyError
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                waiting.append(entry.path)
            yield entry.path[len(top) + 1 :], facts


def _facts(found: os.stat_result) -> str:
    # A folder's times and size change with files that no build reads; its contents are listed anyway.
    if stat.S_ISDIR(found.st_mode):
        return f"{found.st_mode}"
    return (
        f"{found.st_mode} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} "
        f"{found.st_dev} {found.st_ino} {found.st_uid} {found.st_gid}"
    )


def built(session: Session) -> list[str]:
    """Return the names of the images that a build of the stack makes, with the current release."""
    settings, stack = session.settings, session.stack
    current = stack.for_release(load(settings.root).release) if stack.prod else stack
    acme = [stack.acme_image] if stack.prod and settings.tls == "acme" else []
    return [*current.images(), *acme, *([stack.backup_image] if stack.scheduled else [])]


def _ids(session: Session) -> dict[str, str]:
    found = {name: engine.image_id(name) for name in built(session)}
    # A missing image counts like a missing record.
    return found if all(found.values()) else {"": ""}


def _path(stack: Stack) -> Path:
    return stack.settings.root / ".slipway" / f"built-{'prod' if stack.prod else 'dev'}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
