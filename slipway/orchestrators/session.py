"""The start of every task: the checkout's settings, one of its stacks, and the runner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from invoke.context import Context

from slipway.core.checkout import ROOT

if TYPE_CHECKING:  # `invoke --list` imports this module, and runs nothing
    from slipway.config import settings
    from slipway.core.run import Runner
    from slipway.orchestrators.compose import Stack

__all__ = ["Session", "begin", "runner_of"]


@dataclass(frozen=True)
class Session:
    """One task call: ``stack`` builds the commands, ``runner`` runs them."""

    stack: Stack
    runner: Runner

    @property
    def settings(self) -> settings.Settings:
        """The checkout's settings."""
        return self.stack.settings

    def check_services(self, names: Sequence[str]) -> list[str]:
        """Return the service names as given. Raises ``SlipwayError`` SLIP-067 for one that does not exist."""
        known = self.stack.services()
        for name in names:
            if name not in known and not self.settings.overlays:
                import difflib

                from slipway.core.errors import SlipwayError

                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise SlipwayError(
                    "SLIP-067",
                    f"{self.stack.project} has no service {name!r}",
                    f"{hint}there are: {', '.join(known)}",
                )
        return list(names)


def begin(c: Context, prod: bool, *, create: bool = False, looks: bool = False) -> Session:
    """Read the settings and return the session; with ``create`` create missing files first.

    A task ends here when the stack belongs to another folder. A task that only ``looks``, and runs and builds
    nothing of the stack, prints a warning instead. A dry run (Invoke's ``--dry``) creates and writes nothing
    and uses defaults for what is missing.
    Raises the ``SlipwayError`` of ``settings.load``, ``ownership.check`` and ``init``.
    """
    from slipway.config import settings
    from slipway.orchestrators import init, ownership
    from slipway.orchestrators.compose import Stack

    runner = runner_of(c)
    if create and not runner.dry:
        init.create_env_file(ROOT)
    found = settings.load(ROOT, required=not runner.dry)
    if runner.dry:
        return Session(Stack(found, prod), runner)
    found = ownership.named(found)
    stack = Stack(found, prod)
    if not looks:
        ownership.check(stack)
    elif not create:
        ownership.tell(stack)
    if create:
        init.create_rest(found)
    init.record(found)
    if not looks:
        ownership.claim(stack, runner, creates=create)
    return Session(stack, runner)


def runner_of(c: Context) -> Runner:
    """Return the runner of one task call; with Invoke's ``--dry`` it runs nothing."""
    from slipway.core.run import Runner

    return Runner(dry=bool(c.config.run.dry))
