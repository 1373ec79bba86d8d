"""Whether a production container still matches `.env`, `app.env` and compose/.

Compose labels each container with a digest of its configuration. That digest cannot be read in advance for a
service with an `env_file`: `docker compose config --hash` leaves those out. So this module records which
label belongs to which configuration, as `docker compose config` prints it.
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

# Compose replaces no container when these change.
_NEVER_COUNTS = ("build", "pull_policy", "scale")

_read_before: dict[tuple[str, ...], dict[str, str]] = {}


def read(session: Session, stack: Stack) -> dict[str, str]:
    """Return a digest of each service's current configuration. Raises ``SlipwayError`` SLIP-060.

    Cached: Compose needs a third of a second to read its files, which do not change while a task runs.
    """
    argv = stack.config(as_json=True)
    key = (str(session.settings.root), *argv)
    if key not in _read_before:
        services = json.loads(session.runner.capture(argv, check=True).stdout)["services"]
        _read_before[key] = {name: _digest(service) for name, service in services.items()}
    return _read_before[key]


def is_current(session: Session, stack: Stack, containers: Sequence[ContainerState]) -> bool:
    """Whether the ``containers`` have the configuration that ``stack`` has now; False in doubt."""
    now, known = read(session, stack), _known(session)
    unknown = [c for c in containers if c.config_hash not in known]
    if any(known[c.config_hash] != now.get(c.service) for c in containers if c not in unknown):
        return False
    # Made before these digests were recorded.
    if any(c.service in stack.project_services() for c in unknown):
        return False
    return all(c.config_hash == _printed(session, stack, c.service) for c in unknown)


def remember(session: Session, stack: Stack) -> None:
    """Record the configuration of the containers, which this task made from ``stack``."""
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
