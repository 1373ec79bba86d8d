"""An upgrade file by file: staged, journaled, moved into place; a killed one can be finished."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from slipway.config import settings as kit_settings
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import Runner
from slipway.kit import record
from slipway.kit.advice import advice, refuse_conflicts, show
from slipway.kit.merging import NEW_SUFFIX, Plan, plan
from slipway.kit.record import Record
from slipway.kit.sources import Source
from slipway.project import files

__all__ = ["BEFORE", "finish", "guess", "replace"]

BEFORE = Path(".slipway/before-upgrade")
"""The folder for the files that the last upgrade replaced."""

_WORK = Path(".slipway/upgrade")


def replace(root: Path, found: Record, newer: Source, runner: Runner) -> None:
    """Replace the kit's files in ``root``, whose origin is ``found``, with those of ``newer``.

    Raises ``SlipwayError`` SLIP-154 for conflicts, after everything else is done.
    """
    theirs = {
        found.moved.get(path, path): file
        for path, file in files.without(newer.tree, found.left_out).items()
    }  # fmt: skip
    ours = {path: file for path in {*found.files, *theirs} if (file := files.look(root / path))}
    steps = plan(found.files, ours, theirs, apart=_overlays(root))
    after = dataclasses.replace(
        found,
        files=theirs,
        revision=newer.revision,
        source=found.source or ("" if Path(newer.place).is_dir() else newer.place),
    )
    if not steps.changes and not steps.conflicts:
        note("the kit is up to date" + (f" with {newer.revision[:12]}" if newer.revision else ""))
        if not runner.dry:
            record.write(root, after)
        return
    lines = advice(found.files, theirs, newer)
    if runner.dry:
        show(steps, newer, lines, done=False)
        return
    work = root / _WORK
    shutil.rmtree(work, ignore_errors=True)
    _stage(root, work / "new", steps, newer, runner)
    _keep_before(root, steps)
    journal = {
        "write": [*steps.take, *steps.merge, *(f"{path}{NEW_SUFFIX}" for path in steps.as_new)],
        "remove": steps.remove,
        "record": record.as_text(after),
        "conflicts": steps.conflicts,
    }
    # From here on a kill does no harm: the next call finishes by the journal.
    kit_settings.write_if_changed(work / "journal.json", json.dumps(journal))
    if Path(newer.place).is_dir():
        record.remember_folder(root, Path(newer.place))
    _apply(root, journal)
    show(steps, newer, lines, done=True)
    refuse_conflicts(steps.conflicts)


def finish(root: Path) -> bool:
    """Finish an interrupted upgrade. Returns whether there was one."""
    path = root / _WORK / "journal.json"
    if not path.is_file():
        return False
    journal = json.loads(path.read_text(encoding="utf-8"))
    _apply(root, journal)
    note("an interrupted upgrade is now complete; see it with: git diff")
    refuse_conflicts(journal["conflicts"])
    return True


def _stage(root: Path, staged: Path, steps: Plan, newer: Source, runner: Runner) -> None:
    for path, file in steps.take.items():
        _fetch(newer, file, staged / path)
    for path, file in steps.as_new.items():
        _fetch(newer, file, staged / f"{path}{NEW_SUFFIX}")
    for path, (before, now) in steps.merge.items():
        _merge_file(root / path, staged / path, before, now, (newer, steps, path), runner)
    for path, mode in steps.modes.items():
        if not (staged / path).is_symlink() and (staged / path).exists():
            (staged / path).chmod(0o755 if mode == "100755" else 0o644)


def _fetch(newer: Source, file: files.File, target: Path) -> None:
    if not newer.write(file, target):
        raise SlipwayError("SLIP-152", f"{newer.place} lacks one of its own files", "try a fresh clone of it")


def _merge_file(
    ours: Path,
    staged: Path,
    before: files.File,
    now: files.File,
    to: tuple[Source, Plan, str],
    runner: Runner,
) -> None:
    newer, steps, path = to
    staged.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ours, staged)
    with TemporaryDirectory() as folder:
        base, theirs = Path(folder, "base"), Path(folder, "theirs")
        _fetch(newer, now, theirs)
        if not newer.write(before, base):
            # Without the base, every difference becomes a conflict: no line is lost.
            base.touch()
        labels = ("here", "the kit before", "the newer kit")
        flags = [word for label in labels for word in ("-L", label)]
        argv = ["git", "merge-file", "--quiet", *flags, str(staged), str(base), str(theirs)]
        code = runner.capture(argv).returncode
    # git-merge-file(1): the number of conflicts, at most 127; above that an error, as for binary files.
    if code > 127:
        steps.as_new[path] = now
        _fetch(newer, now, staged.with_name(staged.name + NEW_SUFFIX))
        steps.conflicts[path] = f"cannot be merged line by line: the kit's is in {path}{NEW_SUFFIX}"
    elif code:
        steps.conflicts[path] = "changed here and in the kit: look for <<<<<<<"


def _keep_before(root: Path, steps: Plan) -> None:
    shutil.rmtree(root / BEFORE, ignore_errors=True)
    for path in [*steps.take, *steps.merge, *steps.remove]:
        if os.path.lexists(root / path):
            (root / BEFORE / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / path, root / BEFORE / path, follow_symlinks=False)


def _apply(root: Path, journal: Mapping[str, Any]) -> None:
    """Move the staged files into place. Steps that were done before are skipped."""
    staged = root / _WORK / "new"
    for path in journal["write"]:
        if os.path.lexists(staged / path):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (staged / path).replace(root / path)
    for path in journal["remove"]:
        (root / path).unlink(missing_ok=True)
        for parent in (root / path).parents:
            if parent == root or any(parent.iterdir()):
                break
            parent.rmdir()
    kit_settings.write_if_changed(root / record.NAME, journal["record"])
    shutil.rmtree(root / _WORK)


def guess(root: Path, newer: Source, runner: Runner) -> Record:
    """Guess the origin of a kit without record or shared history: the state in ``newer`` most like it."""
    names = files.of_folder(root, runner)
    base = newer.nearest(names)
    if not base:
        raise SlipwayError(
            "SLIP-155",
            f"the origin of this kit is not in {newer.place}",
            f"name a clone with its history (--from); or restore {record.NAME}, if there was one",
        )
    gone = tuple(name for name in files.LEFT_OUT if not (root / name).exists())
    return Record(files.without(base, gone), left_out=gone)


def _overlays(root: Path) -> tuple[str, ...]:
    """Return the user's own compose files, which are stored among the kit's."""
    try:
        return kit_settings.load(root, required=False).overlays
    except SlipwayError:
        return ()
