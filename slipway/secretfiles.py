"""Generated secrets: one file each in the secrets folder, mounted into containers as they are."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway import envfile
from slipway.errors import SlipwayError

__all__ = ["GENERATED", "check", "create_missing", "fill_in", "overlay"]

GENERATED = ("postgres_password", "secret_key")

_REFERENCE = re.compile(r"\{\{\s*secret:([A-Za-z0-9_.-]+)\s*\}\}")
_MOUNTED = re.compile(r"^/run/secrets/([A-Za-z0-9_.-]+)$")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_SECRET_NAME = re.compile(r"(^|_)(SECRET|PASSWORD|PASSWD|TOKEN|SECRET_KEY|API_KEY)$")
_NEVER_EMPTY = {"SECRET_KEY", "DJANGO_SECRET_KEY", "POSTGRES_PASSWORD"}
_PLACEHOLDERS = {
    "changeme", "change-me", "change_me", "changethis", "change-this", "secret", "password", "passw0rd",
    "postgres", "admin", "test", "todo", "xxx", "xxxx", "example", "placeholder", "replace-me", "replaceme",
}  # fmt: skip
_UNSAFE_KEY_PREFIX = "django-insecure-"  # what startproject writes, django.core.management


def create_missing(folder: Path) -> list[Path]:
    """Write the generated secrets that do not exist yet; returns the new files.

    The folder is 0700, which is what keeps other users of the host out. The files are 0444, because
    Compose mounts them with their own mode and the containers' users are not the host's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    created = []
    for name in GENERATED:
        path = folder / name
        if path.exists():
            continue
        # URL-safe: no quote, $ or backslash, so the value survives every env file and URL.
        text = secrets.token_urlsafe(48)
        draft = folder / f".{name}.{os.getpid()}"
        draft.write_text(text, encoding="ascii")
        draft.chmod(0o444)
        draft.replace(path)
        created.append(path)
    return created


def overlay(folder: Path, variable: str, services: Sequence[str], owners: Sequence[str] = ()) -> str:
    """A compose file that mounts every file of ``folder`` into ``services``, as /run/secrets/NAME.

    Files in its subfolders are not for them: each such folder is the service's whose name it has. Those of
    ``owners`` are mounted into that service alone, as /run/secrets/SERVICE_NAME.
    ``variable`` is the Compose expression for the folder. Files, not environment variables:
    ``docker inspect`` shows a path and nothing more.
    """
    names = _names(folder)
    lines = ["# Written by Slipway: every file of the secrets folder, for the project's containers."]
    lines += ["services:"]
    for service in services:
        lines += [f"  {service}:", f"    secrets: [{', '.join(names)}]"]
    paths = {name: name for name in names}
    for owner in owners:
        own = {f"{owner}_{name}": f"{owner}/{name}" for name in _names(folder / owner)}
        if own:
            lines += [f"  {owner}:", f"    secrets: [{', '.join(own)}]"]
            paths |= own
    lines += ["secrets:"]
    for name, path in paths.items():
        lines += [f"  {name}:", f"    file: {variable}/{path}"]
    return "\n".join(lines) + "\n"


def check(folder: Path, entries: Mapping[str, envfile.Entry]) -> None:
    """Refuse secrets that cannot work or protect nothing.

    ``entries`` are the project's variables. Raises ``SlipwayError``: SLIP-009 for an empty or
    placeholder value, SLIP-010 for a reference to a secret that does not exist.
    """
    for path in _files(folder):
        _check_strength(path.read_text(encoding="utf-8", errors="replace").strip(), str(path))
    for entry in entries.values():
        for name in _references(entry.value):
            if not (folder / name).is_file():
                raise SlipwayError(
                    "SLIP-010",
                    f"{entry.where}: {entry.name} refers to the secret {name!r}, which does not exist",
                    f"write it to {folder / name}, or let invoke init generate the standard ones: "
                    + ", ".join(GENERATED),
                )
        # Empty, most of them mean that there is none: a mail server without a password.
        if _SECRET_NAME.search(entry.name) and (entry.value or entry.name in _NEVER_EMPTY):
            _check_strength(entry.value, f"{entry.where}: {entry.name}")


def fill_in(value: str, folder: Path) -> str:
    """Replace every ``{{secret:NAME}}`` in ``value`` by the file's content, as the entrypoint does."""
    return _REFERENCE.sub(lambda match: (folder / match[1]).read_text().rstrip("\r\n"), value)


def _names(folder: Path) -> list[str]:
    return [path.name for path in _files(folder) if _FILE_NAME.fullmatch(path.name)]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[!.]*") if path.is_file())


def _references(value: str) -> list[str]:
    mounted = _MOUNTED.match(value)
    return [mounted[1]] if mounted else _REFERENCE.findall(value)


def _check_strength(value: str, where: str) -> None:
    if value and value.lower() not in _PLACEHOLDERS and not value.startswith(_UNSAFE_KEY_PREFIX):
        return
    problem = "is empty" if not value else f"is a placeholder: {value[:24]!r}"
    raise SlipwayError(
        "SLIP-009",
        f"{where} {problem}",
        "put a real value there; for a random one: "
        "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'",
    )
