"""Making backups and listing them; the work is done in a container, by docker/backup."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from invoke.exceptions import Exit

from slipway import engine
from slipway.backupimage import prepare
from slipway.errors import SlipwayError
from slipway.output import human_size, note, rows
from slipway.session import Session

__all__ = ["ask", "listed", "make", "require_database", "show"]


def make(session: Session, label: str, *, as_json: bool = False) -> None:
    """Write an archive of the database and the media, and print its name.

    Raises ``SlipwayError`` SLIP-006 for a label that cannot be in a file's name, SLIP-103 when the database
    does not run; ``Exit`` when it could not be made, with the container's own message above.
    """
    if label and not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", label):
        raise SlipwayError(
            "SLIP-006",
            f"--label is not letters, digits, - and _, at most 40: {label!r}",
            "for example: --label before-import",
        )
    require_database(session)
    prepare(session)
    made = ask(session, "backup", ["make", *([label] if label else [])])
    if session.runner.dry:
        return
    if as_json:
        print(json.dumps(made, indent=2))
    else:
        print(made["name"])


def show(session: Session, *, as_json: bool) -> None:
    """Print what archives and dumps there are, newest first."""
    prepare(session)
    found = listed(session)
    if session.runner.dry:
        return
    if not as_json:
        for entry in found:
            if entry["problem"]:
                note(f"{entry['name']}: {entry['problem']}")
            entry["size"] = human_size(entry["size"])
            entry["encrypted"] = "yes" if entry["encrypted"] else ""
    rows(found, ("name", "time", "size", "release", "kind", "encrypted", "verified"), as_json=as_json)


def listed(session: Session) -> list[dict[str, Any]]:
    """What ``show`` prints, with ``stack``, ``project`` and ``problem`` of each."""
    found: list[dict[str, Any]] = ask(session, "backup", ["list"])
    return found


def require_database(session: Session) -> None:
    """Raises ``SlipwayError`` SLIP-103 when the stack's own database does not run."""
    stack = session.stack
    if session.runner.dry or session.settings.database != "postgres" or engine.running(stack.project, "db"):
        return
    prod = " --prod" if stack.prod else ""
    raise SlipwayError(
        "SLIP-103", f"the database of {stack.project} does not run", f"invoke up{prod}, then again"
    )


def ask(session: Session, service: str, command: Sequence[str]) -> Any:
    """Run ``command`` in a container of ``service`` and return its answer; it tells the rest itself.

    Raises ``Exit`` when it ended with an error, which it has explained.
    """
    done = session.runner.run(session.stack.one_off(service, command), check=False, answer=True)
    if done.returncode:
        raise Exit(code=1)
    return json.loads(done.stdout) if not session.runner.dry else None
