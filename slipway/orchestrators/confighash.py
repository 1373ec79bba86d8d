"""Whether a container of production is still what Compose would make of `.env`, `app.env` and compose/.

Compose labels each with a digest of its configuration. Nobody can ask for that digest beforehand where a
service has an `env_file`: `docker compose config --hash` leaves those out. So it is written down which label
belongs to which configuration, as `docker compose config` prints it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from slipway.config.settings import write_if_changed
from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session

__all__ = ["is_current", "read", "remember"]

# By neither does Compose replace a container.
_NEVER_COUNTS = ("build", "pull_policy", "scale")

_read_before: dict[tuple[str, ...], dict[str, str]] = {}


def read(session: Session, stack: Stack) -> dict[str, str]:
    """A digest of each service's configuration, now. Raises ``SlipwayError`` SLIP-060.

    Compose needs a third of a second to read its files, which nobody changes while a task runs: asked once.
    """
    argv = stack.config(as_json=True)
    key = (str(session.settings.root), *argv)
    if key not in _read_before:
        services = json.loads(session.runner.capture(argv, check=True).stdout)["services"]
        _read_before[key] = {name: _digest(service) for name, service in services.items()}
    return _read_before[key]


def is_current(session: Session, stack: Stack, containers: Sequence[ContainerState]) -> bool:
    """Whether the ``containers`` have the configuration that ``stack`` has now; in doubt they have not."""
    now, known = read(session, stack), _known(session)
    unknown = [c for c in containers if c.config_hash not in known]
    if any(known[c.config_hash] != now.get(c.service) for c in containers if c not in unknown):
        return False
    # Of an installation from before this was written down.
    if any(c.service in stack.project_services() for c in unknown):
        return False
    return all(c.config_hash == _printed(session, stack, c.service) for c in unknown)


def remember(session: Session, stack: Stack) -> None:
    """Write down which configuration the containers have, which were made of ``stack`` in this task."""
    known, there = _known(session), engine.containers(stack.project)
    if all(container.config_hash in known for container in there):
        return
    now = read(session, stack)
    labels = {c.config_hash: known.get(c.config_hash) or now.get(c.service, "") for c in there}
    write_if_changed(_path(session), json.dumps(labels, indent=1) + "\n")


def _digest(service: dict[str, object]) -> str:
    kept = {name: value for name, value in service.items() if name not in _NEVER_COUNTS}
    if isinstance(deploy := kept.get("deploy"), dict):
        kept["deploy"] = {name: value for name, value in deploy.items() if name != "replicas"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _printed(session: Session, stack: Stack, service: str) -> str:
    answer = session.runner.capture(stack.command("config", "--hash", service), check=True)
    return answer.stdout.split()[-1]


def _path(session: Session) -> Path:
    return session.settings.root / ".slipway" / "config-hashes.json"


def _known(session: Session) -> dict[str, str]:
    try:
        known = json.loads(_path(session).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
