"""Check that the settings overlay takes effect in a project."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from entrypoint import OVERLAY
from project_static import StaticError

_SETS_IT = re.compile(r"""^\s*(?:os\.)?environ\[\s*["']DJANGO_SETTINGS_MODULE["']\s*\]\s*=""", re.MULTILINE)


def require_overlay(diffsettings: str, environment: Mapping[str, str]) -> None:
    """Raise StaticError when ``environment`` sets an overlay that the project's own files undo.

    ``diffsettings`` is the output of ``manage.py diffsettings --all``; the file of SERVER_TARGET is read too.
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
        f"SLIP-138: SETTINGS_OVERLAY has no effect: {file} sets DJANGO_SETTINGS_MODULE itself; fix: use "
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", ...) there, as Django\'s own template does; '
        "or remove SETTINGS_OVERLAY"
    )
