"""Services next to web from the project's image: Celery's worker and beat, PROCESS_NAME and CRON_NAME lines.

``compose/process-*.yaml`` hold their common part; the services are generated, because ``.env`` sets their
number and names.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from slipway.core import values
from slipway.core.envfile import Entry
from slipway.core.errors import SlipwayError

__all__ = [
    "CRON_PREFIX", "PREFIX", "TAKEN", "celery", "cron_volumes", "overlay", "read", "read_scheduled",
]  # fmt: skip

PREFIX = "PROCESS_"
CRON_PREFIX = "CRON_"

_SCHEDULED = ("python", "/opt/slipway/scheduled.py")

TAKEN = frozenset({
    "acme", "backup", "databases", "db", "migrate", "nginx", "nginx-configuration", "redis", "restore-media",
    "static", "verify", "web",
})  # fmt: skip
"""The names of the services that the compose files have."""

# A number, optionally with a unit: a misspelt PROCESS_MEMORY rather than a command.
_LIMIT = re.compile(r"[0-9.]+[A-Za-z]?")
# A field of a schedule may begin so, a command does not.
_FIELD = re.compile(r"[0-9*,/-]+\s")


def read(entries: Mapping[str, Entry], known: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """The commands of the ``PROCESS_NAME`` lines among ``entries``, by service name, split as a shell would.

    ``known`` are the kit's own variables (``PROCESS_MEMORY``, …), which are skipped, as empty lines are.
    Raises ``SlipwayError`` SLIP-140 for a name or a command that cannot be used.
    """
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries.values():
        if not entry.name.startswith(PREFIX) or entry.name in known or not entry.value.strip():
            continue
        service = _service(entry, PREFIX, found, "PROCESS_MAILER=...")
        if _LIMIT.fullmatch(entry.value.strip()):
            raise _refused(
                entry,
                f"would be a process whose command is {entry.value.strip()!r}",
                f"limits of all processes are {', '.join(n for n in known if n.startswith(PREFIX))}",
            )
        found[service] = words(entry.value, f"{entry.name} ({entry.where})")
    return found


def read_scheduled(
    entries: Mapping[str, Entry], others: Mapping[str, object], seconds: int
) -> dict[str, tuple[str, ...]]:
    """The commands of the ``CRON_NAME`` lines among ``entries``, by service name, under docker/scheduled.py.

    ``others`` are the services of other lines; ``seconds`` is how long a run has to end. An empty line is
    skipped. Raises ``SlipwayError`` SLIP-140 for a name or a command that cannot be used, SLIP-195 for a
    schedule.
    """
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries.values():
        if not entry.name.startswith(CRON_PREFIX) or not entry.value.strip():
            continue
        service = _service(entry, CRON_PREFIX, {**others, **found}, "CRON_CLEANUP=...")
        try:
            fields = values.words(entry.value)[:5]
            values.schedule(" ".join(fields))
        except ValueError as wrong:
            raise _unscheduled(entry, f"does not begin with a schedule: it is {wrong}") from None
        command = entry.value.split(maxsplit=5)[5:]
        if not command:
            raise _unscheduled(entry, "has a schedule and no command")
        if _FIELD.match(command[0]):
            raise _unscheduled(entry, "has six fields; a schedule has five, and no seconds")
        argv = words(command[0], f"{entry.name} ({entry.where})")
        found[service] = (*_SCHEDULED, service, str(seconds), " ".join(fields), *argv)
    return found


def cron_volumes(services: Iterable[str]) -> str:
    """A compose file with the volume in which scheduled commands record their runs."""
    described = {name: {"volumes": ["cron:/srv/cron"]} for name in services}
    # JSON is YAML.
    file = {"services": described, "volumes": {"cron": {}}}
    return f"# Written by Slipway from .env.\n{json.dumps(file, indent=2)}\n"


def celery(app: str, options: str, *, beat: bool, beat_options: str) -> dict[str, tuple[str, ...]]:
    """The commands of Celery's worker and, with ``beat``, its beat, by service name.

    Raises ``SlipwayError`` SLIP-140 when options cannot be split.
    """
    program = ("celery", "--app", app)
    found = {"worker": (*program, "worker", *words(options, "CELERY_OPTIONS"))}
    if beat:
        # By default beat writes to the working directory, which is read-only in production.
        files = ("--schedule=/srv/beat/schedule", "--pidfile=")
        found["beat"] = (*program, "beat", *files, *words(beat_options, "CELERY_BEAT_OPTIONS"))
    return found


def words(command: str, where: str) -> tuple[str, ...]:
    """``command`` split as a shell would. Raises ``SlipwayError`` SLIP-140, which names ``where`` it is."""
    try:
        return tuple(shlex.split(command))
    except ValueError as bad:
        raise SlipwayError(
            "SLIP-140",
            f"{where} cannot be split into words: {bad}: {command!r}",
            "close the quote; shell syntax needs a shell: sh -c '...'",
        ) from None


def overlay(template: Path, commands: Mapping[str, Sequence[str]], depends_on: Mapping[str, str]) -> str:
    """A compose file with a service for each of ``commands``, based on ``template``.

    ``depends_on`` maps each service that they wait for to the condition.
    """
    lines = ["# Written by Slipway from .env: the services at the end.", template.read_text(encoding="utf-8")]
    waiting = {name: {"condition": condition} for name, condition in depends_on.items()}
    lines += ["services:"]
    for name, command in commands.items():
        # JSON is YAML. A doubled dollar reaches the process as one; Compose does not expand it.
        argv = json.dumps(list(command)).replace("$", "$$")
        lines += [f"  {name}:", "    <<: *process", f"    command: {argv}"]
        lines += [f"    depends_on: {json.dumps(waiting)}"]
    return "\n".join(lines) + "\n"


def _service(entry: Entry, prefix: str, others: Mapping[str, object], example: str) -> str:
    """The service name of a line. Raises ``SlipwayError`` SLIP-140."""
    service = entry.name.removeprefix(prefix).lower().replace("_", "-")
    if not re.fullmatch(r"(?=.{1,40}\Z)[a-z][a-z0-9]*(-[a-z0-9]+)*", service):
        why = f"gives no service name of at most 40 letters, digits and single dashes ({service!r})"
        raise _refused(entry, why, f"{example}, for example")
    if service in TAKEN or service in others:
        raise _refused(entry, f"would be a second service {service!r}", "give it another name")
    return service


def _unscheduled(entry: Entry, why: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-195",
        f"{entry.where}: {entry.name} {why}: {entry.value.strip()!r}",
        f"five fields in UTC, then the command: {entry.name}=15 3 * * * python manage.py clearsessions",
    )


def _refused(entry: Entry, why: str, fix: str) -> SlipwayError:
    return SlipwayError("SLIP-140", f"{entry.where}: {entry.name} {why}", fix)
