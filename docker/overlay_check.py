"""Whether a project lets the settings overlay take the place of its settings."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from entrypoint import OVERLAY
from project_static import StaticError

_SETS_IT = re.compile(r"""^\s*(?:os\.)?environ\[\s*["']DJANGO_SETTINGS_MODULE["']\s*\]\s*=""", re.MULTILINE)


def require_overlay(diffsettings: str, environment: Mapping[str, str]) -> None:
    """Raise StaticError when ``environment`` asks for an overlay that the project's own files undo.

    ``diffsettings`` is the output of ``manage.py diffsettings --all``; besides, the file of SERVER_TARGET is
    read.
    """
    if environment.get("DJANGO_SETTINGS_MODULE") != OVERLAY:
        return
    if not re.search(r"^(?:### )?SLIPWAY_SETTINGS_MODULE = ", diffsettings, re.MULTILINE):
        raise _undone("manage.py")
    module = os.environ.get("SERVER_TARGET", "").split(":")[0].replace(".", "/")
    path = Path(f"{module}.py")
    if module and path.is_file() and _SETS_IT.search(path.read_text(encoding="utf-8", errors="replace")):
        raise _undone(str(path))


def _undone(file: str) -> StaticError:
    return StaticError(
        f"SLIP-138: SETTINGS_OVERLAY has no effect: {file} sets DJANGO_SETTINGS_MODULE itself; fix: let it "
        'say os.environ.setdefault("DJANGO_SETTINGS_MODULE", ...), as Django\'s own template does; '
        "or take SETTINGS_OVERLAY out"
    )
