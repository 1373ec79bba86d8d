"""`invoke doctor`: problems that would stop or spoil `up`, and problems of the running stack."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from invoke.exceptions import Exit

from slipway.checks.examination import examine
from slipway.core.output import counted
from slipway.core.run import Runner

__all__ = ["doctor"]


def doctor(root: Path, runner: Runner, prod: bool, *, as_json: bool) -> None:
    """Print what ``examine`` finds in the checkout at ``root``.

    Raises ``Exit`` with code 1 when a finding is more than a warning.
    """
    result = examine(root, runner, prod)
    if as_json:
        print(
            json.dumps(
                {
                    "findings": [dataclasses.asdict(finding) for finding in result.found],
                    "not_looked_at": result.skipped,
                },
                indent=2,
            )
        )
    else:
        for finding in result.found:
            print(finding)
        for why in dict.fromkeys(result.skipped.values()):
            subjects = [subject for subject, reason in result.skipped.items() if reason == why]
            print(f"not checked, {why}: {', '.join(subjects)}")
        warnings = len(result.found) - len(result.errors)
        print(f"{counted(len(result.errors), 'finding')}, {counted(warnings, 'warning')}")
    if result.errors:
        raise Exit(code=1)
