"""``.slipway-kit.json``: the origin of a copy of the kit, or of a project made from it. Tracked by git."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from slipway.config.settings import record_machine, recorded, write_if_changed
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.project.files import File, Tree

__all__ = ["NAME", "Record", "as_text", "default_source", "read", "remember_folder", "remote", "write"]

NAME = ".slipway-kit.json"
_FOLDER = "KIT_SOURCE"


@dataclass(frozen=True)
class Record:
    """``files`` are the kit's as taken over; ``source``, a URL, and ``revision``, a commit, may be empty.

    ``left_out`` names the kit's files that are not here, ``moved`` maps names in the kit to names here.
    """

    files: Tree
    source: str = ""
    revision: str = ""
    left_out: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)


def read(root: Path) -> Record | None:
    """Return the record of the kit in ``root``; None without one, as in a clone.

    Raises ``SlipwayError`` SLIP-155 if it cannot be read.
    """
    path = root / NAME
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
        files = {name: File(*value.split()) for name, value in found["files"].items()}
        return Record(
            files, found["source"], found["revision"], tuple(found["left_out"]), dict(found["moved"])
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise SlipwayError(
            "SLIP-155",
            f"{path} cannot be read: {problem or type(problem).__name__}",
            f"it is tracked: restore it with git checkout -- {NAME}",
        ) from None


def write(root: Path, record: Record) -> None:
    """Write the record, atomically."""
    write_if_changed(root / NAME, as_text(record))


def as_text(record: Record) -> str:
    """Return the text that ``read`` reads, with a line for each file so that git can merge it."""
    facts = {
        "about": "Written by Slipway: what the kit's files here came from, for invoke upgrade. Do not edit.",
        "source": record.source,
        "revision": record.revision,
        "left_out": list(record.left_out),
        "moved": dict(record.moved),
        "files": {name: f"{file.mode} {file.id}" for name, file in sorted(record.files.items())},
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def remote(root: Path, runner: Runner) -> str:
    """Return the URL of ``upstream``, else of ``origin``, without user and password; empty without one."""
    for name in ("upstream", "origin"):
        answer = runner.capture(["git", "-C", str(root), "remote", "get-url", name])
        if answer.returncode == 0:
            return _without_credentials(answer.stdout.strip())
    return ""


def remember_folder(root: Path, source: Path) -> None:
    """Record, on this machine only, that the kit in ``root`` is a copy of the one in ``source``."""
    record_machine(root, {_FOLDER: str(source)})


def default_source(root: Path, record: Record | None, runner: Runner) -> str:
    """Return the default source of a newer kit, a URL or a folder; empty if it is not known."""
    if record is None:
        return remote(root, runner)
    folder = recorded(root).get(_FOLDER, "")
    return record.source or (folder if folder and Path(folder).is_dir() else "")


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme.startswith("http") or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
