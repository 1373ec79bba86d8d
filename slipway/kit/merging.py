"""Three-way comparison of the kit's files: as taken over, here, and in the newer kit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from slipway.project.files import File, Tree, is_owned

__all__ = ["NEW_SUFFIX", "Plan", "plan"]

NEW_SUFFIX = ".slipway-new"
"""The suffix of the kit's version of a file, written next to the one that is kept."""


@dataclass
class Plan:
    """The actions, by path. ``conflicts`` has the reason why a person must resolve one."""

    take: dict[str, File] = field(default_factory=dict)
    """Write the content of the newer kit's file; ``modes`` decides its mode."""
    remove: list[str] = field(default_factory=list)
    merge: dict[str, tuple[File, File]] = field(default_factory=dict)
    """Changed here and in the kit: the kit's file before, and now."""
    as_new: dict[str, File] = field(default_factory=dict)
    """Write the newer kit's file next to the present one, with ``NEW_SUFFIX``."""
    modes: dict[str, str] = field(default_factory=dict)
    """The mode of a taken or merged file."""
    kept: list[str] = field(default_factory=list)
    """Changed only here."""
    stays_deleted: list[str] = field(default_factory=list)
    """Deleted here, changed in the kit."""
    conflicts: dict[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.take or self.remove or self.merge or self.as_new)


def plan(base: Tree, ours: Tree, theirs: Tree, apart: Iterable[str] = ()) -> Plan:
    """Decide for every file of the kit.

    ``base`` is the kit as it was taken over, ``ours`` the files here at the paths of both, ``theirs`` the
    newer kit. Nothing is lost: a file changed here is kept, merged, or kept with the kit's version next to
    it. Paths in ``apart``, the user's own, are not changed.
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
                "changed here, removed from the kit: it is kept; delete it if you do not need it"
            )
        elif here is None:
            found.stays_deleted.append(path)
        elif before is None:
            found.as_new[path] = now
            found.conflicts[path] = f"yours, but also new in the kit: the kit's is in {path}{NEW_SUFFIX}"
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
        found.as_new[path] = now
        found.conflicts[path] = f"a link or folder on one side: the kit's is in {path}{NEW_SUFFIX}"
        return
    # A mode changed here wins over an unchanged one.
    found.modes[path] = now.mode if here.mode == before.mode else here.mode
    if here.id == before.id:
        found.take[path] = now
    else:
        found.merge[path] = (before, now)
