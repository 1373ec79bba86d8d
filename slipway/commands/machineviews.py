"""The tasks about the machine itself: its facts and its base images."""

from __future__ import annotations

import dataclasses
import json

from slipway.core.output import human_size, rows
from slipway.host import machinereport
from slipway.images import bases as base_images
from slipway.images.build import ensure_bases
from slipway.orchestrators.session import Session

__all__ = ["bases", "machine"]


def bases(session: Session, *, force: bool, as_json: bool) -> None:
    """Get the base images and list them; ``force`` rebuilds stand-ins."""
    used = ensure_bases(session, force=force)
    if session.runner.dry:
        return
    data = [
        {**dataclasses.asdict(row), "size": row.size if as_json else human_size(row.size)}
        for row in base_images.describe(used)
    ]
    rows(data, ("variable", "reference", "origin", "present", "size"), as_json=as_json)


def machine(session: Session, *, as_json: bool) -> None:
    """Print the machine's engine, versions, processors, memory and disk."""
    facts = machinereport.report(session.runner)
    if as_json:
        print(json.dumps(facts, indent=2, default=str))
    else:
        rows([{"fact": k, "value": v} for k, v in facts.items()], ("fact", "value"), as_json=False)
