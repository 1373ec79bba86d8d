"""The output of ``invoke upgrade``: the fate of each file, the conflicts, the next commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.kit.merging import Plan
from slipway.kit.sources import Source
from slipway.project import files

__all__ = ["advice", "refuse_conflicts", "say", "show"]

_PINS = "requirements/tools.txt"
_VARIABLES = ".env.example"


def advice(before: files.Tree, after: files.Tree, newer: Source) -> list[str]:
    """Return lines about changed variables and pins between two states of the kit, and what to run next."""
    found = []
    with TemporaryDirectory() as folder:
        old = _variables(before, newer, Path(folder, "old"))
        new = _variables(after, newer, Path(folder, "new"))
    if old is not None and new is not None:
        found += [f"new variables, explained in {_VARIABLES}: {', '.join(new - old)}"] if new - old else []
        found += [f"variables that were removed: {', '.join(sorted(old - new))}"] if old - new else []
    if before.get(_PINS) != after.get(_PINS):
        found.append("the pins of the tools have changed: ./bootstrap installs them")
    return [*found, "then: ./bootstrap invoke up; for production: invoke deploy"]


def _variables(tree: files.Tree, newer: Source, target: Path) -> set[str] | None:
    file = tree.get(_VARIABLES)
    if not file or not newer.write(file, target):
        return None
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", target.read_text(encoding="utf-8"), re.MULTILINE))


def show(steps: Plan, newer: Source, lines: list[str], *, done: bool) -> None:
    """Print the fate of each file, then ``lines``, the next commands."""
    clean = [path for path in steps.merge if path not in steps.conflicts]
    note(
        f"{'the kit is now' if done else 'the kit would become'} that of {newer.place} {newer.revision[:12]}"
    )
    for title, paths in (
        ("from the newer kit", sorted(steps.take)),
        ("merged with your changes" if done else "changed here and in the kit", clean),
        ("removed from the kit", steps.remove),
        ("yours, not changed", steps.kept),
        ("deleted here, not restored", steps.stays_deleted),
    ):
        if paths:
            note(f"  {title} ({len(paths)}): {', '.join(paths[:12])}{', …' if len(paths) > 12 else ''}")
    for path, why in steps.conflicts.items():
        note(f"  conflict: {path}: {why}")
    say(lines)


def say(lines: list[str]) -> None:
    """Print the next commands, indented."""
    for line in lines:
        note(f"  {line}")


def refuse_conflicts(conflicts: Mapping[str, str]) -> None:
    """Raise ``SlipwayError`` SLIP-154 if there are conflicts: reasons by path."""
    if conflicts:
        raise SlipwayError(
            "SLIP-154",
            f"{len(conflicts)} of the kit's files have conflicts: {', '.join(conflicts)}",
            "resolve each (git diff shows them) and commit; the files from before are in git, and for a copy "
            "also in .slipway/before-upgrade",
        )
