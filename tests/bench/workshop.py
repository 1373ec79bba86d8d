"""Where measures work: a scratch folder, copies of the kit, and the removal of all they made."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support.world import World

__all__ = ["Workshop", "workshop"]

T = TypeVar("T")


class Workshop:
    """What the measures of one module share; all of it is removed when the module is done or has failed."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._made: dict[Callable[[Workshop], Any], Any] = {}

    def enter(self, manager: AbstractContextManager[T]) -> T:
        """Enter ``manager``; it is left at the end."""
        return self._stack.enter_context(manager)

    def at_end(self, undo: Callable[[], object]) -> None:
        """Call ``undo`` at the end; what was made last is removed first."""
        self._stack.callback(undo)

    def once(self, make: Callable[[Workshop], T]) -> T:
        """``make(self)``, made by the first measure that asks and kept for the others."""
        if make not in self._made:
            self._made[make] = make(self)
        found: T = self._made[make]
        return found

    def world(self, *, prod: bool, **settings: str) -> World:
        """A copy of the kit with the example, under a name and ports of its own; nothing is started."""
        folder = Path(tempfile.mkdtemp(prefix="world-", dir=self.folder))
        made = World(folder, prod=prod, **settings)
        self.at_end(made.remove)
        return made

    def note(self, text: str) -> None:
        """Tell the person who waits what goes on."""
        print(f"    {text}", file=sys.stderr, flush=True)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A ``Workshop`` in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder, ExitStack() as stack:
        yield Workshop(Path(folder), stack)
