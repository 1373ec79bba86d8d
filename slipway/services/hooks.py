"""The project's own executables in ``hooks/``, run around a deploy or a rollback."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.orchestrators.session import Session

__all__ = ["run"]

_FOLDER = Path("hooks")


def run(session: Session, name: str, facts: Mapping[str, str]) -> None:
    """Run ``hooks/NAME`` in the kit's folder, if it exists.

    Each of ``facts`` is in its environment as ``SLIPWAY_<NAME>``. Not under the plain name: every `invoke`
    that the hook calls would take RELEASE as the user's own setting. Raises ``SlipwayError`` SLIP-090 when
    the hook cannot be executed or fails.
    """
    path = session.settings.root / _FOLDER / name
    if not path.exists():
        return
    shown = str(_FOLDER / name)
    if not os.access(path, os.X_OK) or path.is_dir():
        raise SlipwayError("SLIP-090", f"{shown} cannot be executed", f"chmod +x {shown}, or remove it")
    environment = {f"SLIPWAY_{fact.upper()}": value for fact, value in facts.items()}
    runner = dataclasses.replace(session.runner, env={**session.runner.env, **environment})
    root = str(session.settings.root)
    try:
        code = runner.run([str(path.resolve())], check=False, cwd=root).returncode
    except OSError as failed:
        raise SlipwayError(
            "SLIP-090",
            f"{shown} could not be started: {failed.strerror}",
            "check that its first line names a shell",
        ) from None
    if code != 0:
        raise SlipwayError("SLIP-090", f"{shown} ended with exit code {code}", "its own output is above")
