"""Three-way: what became of the kit's files here and in the newer kit, and where both changed one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from slipway.project.files import File, Tree, is_owned

__all__ = ["NEW_SUFFIX", "Plan", "plan"]

NEW_SUFFIX = ".slipway-new"
"""What the kit's version of a file is called where it is put beside the one that stays."""


@dataclass
class Plan:
    """What is to be done, by path. ``conflicts`` are those that need a person, with the reason."""

    take: dict[str, File] = field(default_factory=dict)
    """Write the newer kit's file; for content only, so that ``modes`` has the last word."""
    remove: list[str] = field(default_factory=list)
    merge: dict[str, tuple[File, File]] = field(default_factory=dict)
    """Both changed it: the kit's file before, and now."""
    beside: dict[str, File] = field(default_factory=dict)
    """Put the newer kit's file beside the present one, under its name with ``NEW_SUFFIX``."""
    modes: dict[str, str] = field(default_factory=dict)
    """The mode that a taken or merged file gets."""
    kept: list[str] = field(default_factory=list)
    """Changed here alone."""
    stays_deleted: list[str] = field(default_factory=list)
    """Deleted here, changed in the kit."""
    conflicts: dict[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.take or self.remove or self.merge or self.beside)


def plan(base: Tree, ours: Tree, theirs: Tree, apart: Iterable[str] = ()) -> Plan:
    """Decide for every file of the kit.

    ``base`` is the kit as it was taken over, ``ours`` what is here at the paths of both, ``theirs`` the newer
    kit. Nothing is lost: what was changed here is kept, merged, or left with the kit's version beside it.
    Paths ``apart``, the user's own, are not touched.
    """
    found = Plan()
    own = set(apart)
    for path in sorted({*base, *theirs}):
        before, here, now = base.get(path), ours.get(path), theirs.get(path)
        if is_owned(path) or here == now:
            continue
        if now == before:
            found.kept += [path] if here else []
        elif path in own:
            found.kept.append(path)
        elif here == before:
            _follow(found, path, now)
        elif now is None:
            found.conflicts[path] = (
                "changed here, and gone from the kit: it stays; delete it unless you need it"
            )
        elif here is None:
            found.stays_deleted.append(path)
        elif before is None:
            found.beside[path] = now
            found.conflicts[path] = f"yours, and new in the kit: the kit's is in {path}{NEW_SUFFIX}"
        else:
            _both(found, path, before, here, now)
    return found


def _follow(found: Plan, path: str, now: File | None) -> None:
    if now is None:
        found.remove.append(path)
    else:
        found.take[path] = now
        found.modes[path] = now.mode


def _both(found: Plan, path: str, before: File, here: File, now: File) -> None:
    if not all(file.mode.startswith("100") for file in (before, here, now)):
        found.beside[path] = now
        found.conflicts[path] = f"a link or folder on one side: the kit's is in {path}{NEW_SUFFIX}"
        return
    # Changed here wins over unchanged; changed on both sides to the same is the same.
    found.modes[path] = now.mode if here.mode == before.mode else here.mode
    if here.id == before.id:
        found.take[path] = now
    else:
        found.merge[path] = (before, now)
