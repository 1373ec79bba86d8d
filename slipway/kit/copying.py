"""The kit's files in one folder of their own inside a project, for ``invoke adopt PATH --copy``."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import Runner
from slipway.kit import record
from slipway.project import files

__all__ = ["DEFAULT_NAME", "check", "copy"]

DEFAULT_NAME = "slipway"
# These characters need no quoting in Dockerfile.dockerignore and in a Compose file.
_FOLDER_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")


def check(kit: Path, project: Path, into: str = DEFAULT_NAME) -> Path:
    """Return the folder that ``copy`` would create, or has created before. Nothing is written.

    Raises ``SlipwayError`` SLIP-150 if something else is there, or the name is not possible.
    """
    kit, project = kit.resolve(), project.resolve()
    target = project / into
    if not _FOLDER_NAME.fullmatch(into) or into in {".", "..", ".git"}:
        raise SlipwayError(
            "SLIP-150", f"{into!r} cannot be the name of the kit's folder",
            "use letters, digits, _ . and -: --into slipway",
        )  # fmt: skip
    if target == kit:
        return target
    if project == kit or project.is_relative_to(kit):
        raise SlipwayError(
            "SLIP-150", f"the kit cannot be copied into itself: {project} is in {kit}",
            "name a project outside of the kit's folder, or leave out --copy",
        )  # fmt: skip
    if os.path.lexists(target) and (target.is_symlink() or not (target / record.NAME).is_file()):
        raise SlipwayError(
            "SLIP-150", f"{target} exists, but is not the kit's",
            "give the kit's folder another name with --into NAME; nothing of the project is overwritten",
        )  # fmt: skip
    return target


def copy(kit: Path, project: Path, into: str = DEFAULT_NAME, runner: Runner | None = None) -> Path:
    """Copy the kit's files into ``project``/``into`` and return that folder; an existing copy is kept.

    The folder appears complete or not at all. Nothing else in the project changes, not even git's index.
    Raises ``SlipwayError`` as ``check``, and SLIP-152 if files of the kit are missing.
    """
    runner = runner or Runner()
    kit, target = kit.resolve(), check(kit, project, into)
    if os.path.lexists(target):
        note(f"the kit is in {target} already; run invoke upgrade there to update it")
        return target
    origin = record.read(kit)
    tree = files.without(origin.files if origin else files.of_folder(kit, runner), files.LEFT_OUT)
    missing = [path for path in tree if not os.path.lexists(kit / path)]
    if missing or not files.is_kit(tree):
        raise SlipwayError(
            "SLIP-152",
            f"{kit} is not a complete kit: it lacks {', '.join(missing[:5]) or 'files every kit has'}",
            "restore the missing files (git checkout -- FILE), or use a fresh clone",
        )
    draft = target.with_name(f".{target.name}.copying")
    try:
        if (draft / record.NAME).is_file():
            shutil.rmtree(draft)  # of a copy that was interrupted
        draft.mkdir()
        record.write(draft, _record(kit, tree, origin, runner))
        for path in tree:
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(kit / path, draft / path, follow_symlinks=False)
        draft.rename(target)
    except OSError as problem:
        raise SlipwayError(
            "SLIP-150", f"the kit cannot be copied to {target}: {problem.strerror}: {problem.filename}",
            "check permissions there and the free disk space; then rerun the command",
        ) from None  # fmt: skip
    record.remember_folder(target, kit)
    note(f"copied the kit into {target}")
    _warn_ignored(target, tree, runner)
    return target


def _record(kit: Path, tree: files.Tree, origin: record.Record | None, runner: Runner) -> record.Record:
    if origin:
        return record.Record(
            tree, origin.source, origin.revision, (*origin.left_out, *files.LEFT_OUT), origin.moved
        )
    is_clone = files.toplevel(kit, runner) == kit
    return record.Record(
        tree,
        record.remote(kit, runner) if is_clone else "",
        files.head(kit, runner) if is_clone else "",
        files.LEFT_OUT,
    )


def _warn_ignored(target: Path, tree: files.Tree, runner: Runner) -> None:
    """Warn if the project's .gitignore ignores the whole folder, which the kit's own cannot undo."""
    answer = runner.capture(["git", "-C", str(target), "check-ignore", *(sorted(tree)), record.NAME])
    ignored = answer.stdout.split()
    if ignored:
        note(
            f"warning: the project's .gitignore ignores {len(ignored)} of the kit's files "
            f"({', '.join(ignored[:3])}, …): add a line !/{target.name}/ at its end"
        )
