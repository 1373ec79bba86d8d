"""The processes beside web, from the project's own image: Celery's worker and beat, and PROCESS_NAME lines.

``compose/process-*.yaml`` say what they have in common; the services are generated, as their number and
names are in ``.env``.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from slipway.envfile import Entry
from slipway.errors import SlipwayError

__all__ = ["PREFIX", "TAKEN", "celery", "overlay", "read"]

PREFIX = "PROCESS_"

TAKEN = frozenset({
    "acme", "backup", "databases", "db", "migrate", "nginx", "nginx-configuration", "redis", "restore-media",
    "static", "verify", "web",
})  # fmt: skip
"""The names of the services that the compose files have."""

# A number, perhaps with a unit: a misspelt PROCESS_MEMORY rather than a command.
_LIMIT = re.compile(r"[0-9.]+[A-Za-z]?")


def read(entries: Mapping[str, Entry], known: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """The commands of the ``PROCESS_NAME`` lines among ``entries``, by service name, split as a shell would.

    ``known`` are the kit's own variables (``PROCESS_MEMORY``, …), which are none. An empty one is not set.
    Raises ``SlipwayError`` SLIP-140 for a name or a command that cannot be used.
    """
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries.values():
        if not entry.name.startswith(PREFIX) or entry.name in known or not entry.value.strip():
            continue
        service = entry.name.removeprefix(PREFIX).lower().replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", service):
            raise _refused(entry, f"gives no service name ({service!r})", "PROCESS_MAILER=..., for example")
        if service in TAKEN or service in found:
            raise _refused(entry, f"would be a second service {service!r}", "give it another name")
        if _LIMIT.fullmatch(entry.value.strip()):
            raise _refused(
                entry,
                f"would be a process whose command is {entry.value.strip()!r}",
                f"limits of all processes are {', '.join(n for n in known if n.startswith(PREFIX))}",
            )
        found[service] = words(entry.value, f"{entry.name} ({entry.where})")
    return found


def celery(app: str, options: str, *, beat: bool, beat_options: str) -> dict[str, tuple[str, ...]]:
    """The commands of Celery's worker and, with ``beat``, its beat, by service name.

    Raises ``SlipwayError`` SLIP-140 when options cannot be split.
    """
    program = ("celery", "--app", app)
    found = {"worker": (*program, "worker", *words(options, "CELERY_OPTIONS"))}
    if beat:
        # Its own defaults are files in the working directory, which is read-only in production.
        files = ("--schedule=/srv/beat/schedule", "--pidfile=")
        found["beat"] = (*program, "beat", *files, *words(beat_options, "CELERY_BEAT_OPTIONS"))
    return found


def words(command: str, where: str) -> tuple[str, ...]:
    """``command`` split as a shell would. Raises ``SlipwayError`` SLIP-140, naming ``where`` it stands."""
    try:
        return tuple(shlex.split(command))
    except ValueError as bad:
        raise SlipwayError(
            "SLIP-140",
            f"{where} cannot be split into words: {bad}: {command!r}",
            "close the quote; a shell's own syntax needs a shell: sh -c '...'",
        ) from None


def overlay(template: Path, commands: Mapping[str, tuple[str, ...]], depends_on: Mapping[str, str]) -> str:
    """A compose file with a service for each of ``commands``, made from what is in ``template``.

    ``depends_on`` are the services they wait for, each with the condition.
    """
    lines = ["# Written by Slipway from .env: the services at the end.", template.read_text(encoding="utf-8")]
    waiting = {name: {"condition": condition} for name, condition in depends_on.items()}
    lines += ["services:"]
    for name, command in commands.items():
        # JSON is YAML; a dollar is the process's own, not Compose's.
        argv = json.dumps(command).replace("$", "$$")
        lines += [f"  {name}:", "    <<: *process", f"    command: {argv}"]
        lines += [f"    depends_on: {json.dumps(waiting)}"]
    return "\n".join(lines) + "\n"


def _refused(entry: Entry, why: str, fix: str) -> SlipwayError:
    return SlipwayError("SLIP-140", f"{entry.where}: {entry.name} {why}", fix)
