"""Lists applied migrations, tells how they reverse, and reverses them, by commands in the project's image."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session

__all__ = ["MIGRATE", "Reversal", "applied", "how_they_reverse", "migrate_back", "planned"]

MIGRATE = ("python", "/opt/slipway/migrate.py")
_REFUSED = 2
_TRIES = 3


@dataclass(frozen=True)
class Reversal:
    """How one migration reverses."""

    name: str
    """``app.name``."""
    verdict: str
    """One of

    - ``clean``: no stored data is lost;
    - ``unjudged``: reversed by code or a conversion that may lose data (RunPython, RunSQL, an operation that
      is not Django's, another type of column);
    - ``loses``: tables or columns are dropped with the data stored since, or come back empty;
    - ``irreversible``: an operation has no reverse;
    - ``unknown``: the image has no such migration that could be reversed alone.
    """
    detail: str
    """The parts that are lost, or that cannot be judged or reversed; empty when ``clean``."""

    @property
    def possible(self) -> bool:
        """Whether ``migrate_back`` accepts it."""
        return self.verdict in {"clean", "unjudged", "loses"}


def applied(session: Session, stack: Stack) -> set[str]:
    """Return the migrations the database has recorded, as ``app.name``, also those ``stack``'s image lacks.

    Raises ``SlipwayError`` SLIP-060 when the image or its database does not answer.
    """
    return set(_ask(session, stack, "applied"))


def planned(session: Session, stack: Stack) -> dict[str, bool]:
    """Return the migrations in ``stack``'s code, as ``app.name``, each with whether it is applied.

    Raises ``SlipwayError`` SLIP-060 when the image or its database does not answer.
    """
    command = ["python", "manage.py", "showmigrations", "--plan", "--no-color"]
    # Django writes "(no migrations)" where there are none.
    lines = _answer(session, stack, command, re.compile(r"\[([ X])\]  (\S+\.\S+)|\(no migrations\)"))
    return {match[2]: match[1] == "X" for match in lines if match[2]}


def how_they_reverse(session: Session, stack: Stack, names: Sequence[str]) -> list[Reversal]:
    """Return how each of ``names`` (``app.name``) reverses, in their order, according to ``stack``'s image.

    It must be the newer image: only that one has the migrations. Raises ``SlipwayError`` SLIP-060.
    """
    if not names:
        return []
    return [Reversal(**one) for one in _ask(session, stack, "reversal", names)]


def migrate_back(session: Session, stack: Stack, names: Sequence[str]) -> None:
    """Unapply exactly ``names``, in one run under the migration lock, with ``stack``'s image (the newer).

    Migrations that are already unapplied are skipped. Raises ``SlipwayError`` SLIP-088 when one cannot be
    reversed or an unnamed one depends on it: then none was reversed. SLIP-060 when the run failed: each
    migration is then as before or reversed, as the database records, and the call can be repeated.
    """
    if not names:
        return
    argv = stack.one_off("migrate", [*MIGRATE, "--back", *names])
    code = session.runner.run(argv, check=False).returncode
    if code == _REFUSED:
        raise SlipwayError(
            "SLIP-088",
            "these migrations cannot be taken back, and none was; the reason is above",
            "keep the schema, or restore a backup",
        )
    if code:
        raise SlipwayError(
            "SLIP-060",
            f"taking migrations back ended with exit code {code}; those already unapplied stay unapplied",
            "the last lines above say why; rerun the command to continue with the rest",
            exit_code=code if code < 126 else 1,
        )


def _ask(session: Session, stack: Stack, question: str, names: Sequence[str] = ()) -> Any:
    command = [*MIGRATE, f"--{question}", *names]
    return json.loads(_answer(session, stack, command, re.compile(f'{{"{question}".*'))[-1][0])[question]


def _answer(
    session: Session, stack: Stack, command: Sequence[str], wanted: re.Pattern[str]
) -> list[re.Match[str]]:
    """Return the lines that match ``wanted``; the project's own modules may print others around them.

    An engine can lose all output of a short command, without an error: github.com/containerd/containerd,
    issue 5741. Without a matching line the command runs again.
    """
    argv = stack.one_off("migrate", command)
    for _ in range(_TRIES):
        lines = session.runner.capture(argv, check=True).stdout.splitlines()
        if found := [match for line in lines if (match := wanted.match(line))]:
            return found
    raise SlipwayError(
        "SLIP-060",
        f"{shlex.join(command)} in a container of migrate succeeded {_TRIES} times without an answer",
        "rerun the command; the engine's own log says why the output was lost",
    )
