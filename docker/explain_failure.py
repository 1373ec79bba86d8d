"""Explain a known error that a project ended with, and how to fix it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from entrypoint import APP
from missing_variables import Found, explain, find_all, missing

REFUSED = re.compile(r"^[\w.]*Error: \[Errno (?P<errno>2|13|30)\] [^:\n]+: '(?P<path>/[^']+)'", re.MULTILINE)
_NOT_THERE = "2"
_SQLITE = re.compile(r"unable to open database file|attempt to write a readonly database")


def explain_failure(text: str) -> str:
    """Return the message for a project that ended with ``text``, a traceback; empty where none is known.

    To name all that is missing at once, ``manage.py`` of the working directory is run, with the environment
    of this process and throw-away values.
    """
    if names := missing(text, os.environ):
        found = find_all(_settings, os.environ)
        # Variables that other code reads, not the settings.
        return explain(Found(dict.fromkeys([*found.names, *names]), found.places, found.rest))
    if _SQLITE.search(text):
        return _refused(_sqlite_file())
    last = [match for match in REFUSED.finditer(text) if match["errno"] != _NOT_THERE]
    return _refused(last[-1]["path"]) if last else ""


def _refused(path: str) -> str:
    named = os.path.relpath(path, APP) if path.startswith(f"{APP}/") else path
    return (
        f"SLIP-139: the project writes to {path}, and in production nothing can be written there; "
        f"fix: DATA_PATHS={named} in .env keeps it in a volume (docs/environment.md)"
    )


def _sqlite_file() -> str:
    from django.conf import settings  # noqa: PLC0415 - where this is read, there is Django

    try:
        return str(Path(settings.DATABASES["default"]["NAME"]).absolute())
    except Exception:
        return f"{APP}/db.sqlite3"


def _settings(environment: Mapping[str, str]) -> str | None:
    result = subprocess.run(
        ["python", "manage.py", "diffsettings"],
        env=dict(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return result.stdout + result.stderr if result.returncode else None
