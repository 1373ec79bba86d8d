"""Secrets: one file each in the secrets folder, mounted into containers unchanged; the kit generates two."""

from __future__ import annotations

import functools
import json
import os
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway.core import envfile, imagecode
from slipway.core.errors import SlipwayError
from slipway.core.output import note

__all__ = ["GENERATED", "check", "create_missing", "files", "fill_in", "overlay"]

GENERATED = ("postgres_password", "secret_key")

_MOUNTED = re.compile(r"^/run/secrets/([^/]+/*)$")
# Marks that some editors write before UTF-8, and that > of Windows PowerShell writes:
# https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_character_encoding
_MARKS = {
    # First, because it begins with the mark of UTF-16.
    b"\xff\xfe\0\0": (
        "is UTF-32, and the kit reads UTF-8",
        "iconv -f UTF-32 -t UTF-8 {0} > {0}.new && mv -f {0}.new {0}",
    ),
    b"\xef\xbb\xbf": (
        "begins with a byte order mark, which would be a part of it",
        "sed -i '1s/^\\xef\\xbb\\xbf//' {}",
    ),
    b"\xff\xfe": (
        "is UTF-16, and the kit reads UTF-8",
        "iconv -f UTF-16 -t UTF-8 {0} > {0}.new && mv -f {0}.new {0}",
    ),
}
_MARKS[b"\xfe\xff"] = _MARKS[b"\xff\xfe"]
_MARKS[b"\0\0\xfe\xff"] = _MARKS[b"\xff\xfe\0\0"]
# Encoded by hand: only %XX and characters that a URL needs no encoding for.
_LOOKS_ENCODED = re.compile(r"(?=.*%)(?:[A-Za-z0-9._~!*'()-]|%[0-9A-Fa-f]{2})+")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_SECRET_NAME = re.compile(r"(^|_)(SECRET|PASSWORD|PASSWD|TOKEN|SECRET_KEY|API_KEY)$")
_NEVER_EMPTY = {"SECRET_KEY", "DJANGO_SECRET_KEY", "POSTGRES_PASSWORD"}
_PLACEHOLDERS = {
    "changeme", "change-me", "change_me", "changethis", "change-this", "secret", "password", "passw0rd",
    "postgres", "admin", "test", "todo", "xxx", "xxxx", "example", "placeholder", "replace-me", "replaceme",
}  # fmt: skip
_UNSAFE_KEY_PREFIX = "django-insecure-"  # what startproject writes, django.core.management


def create_missing(folder: Path) -> list[Path]:
    """Write the generated secrets that do not exist yet, and return the new files.

    The folder is 0700, which keeps other users of the host out. The files are 0444, because
    Compose mounts them with their own mode and the containers' users are not the host's.
    Raises ``SlipwayError`` SLIP-011 when they cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        created = [path for name in GENERATED if not (path := folder / name).exists()]
        for path in created:
            # URL-safe: without quotes, $ and backslashes the value is the same in every env file and URL.
            text = secrets.token_urlsafe(48)
            draft = folder / f".{path.name}.{os.getpid()}"
            draft.write_text(text, encoding="ascii")
            draft.chmod(0o444)
            draft.replace(path)
    except OSError as problem:
        raise SlipwayError(
            "SLIP-011",
            f"secrets cannot be written to {folder}: {problem.strerror}",
            "correct the owner of that folder, or set SECRETS_DIR to one that you may write",
        ) from None
    return created


def overlay(folder: Path, variable: str, services: Sequence[str], owners: Sequence[str] = ()) -> str:
    """A compose file that mounts every file of ``folder`` into ``services``, as /run/secrets/NAME.

    Files in its subfolders are not mounted into them: a subfolder belongs to the service of that name. Files
    of ``owners`` are mounted into that service alone, as /run/secrets/SERVICE_NAME.
    ``variable`` is the Compose expression for the folder. Secrets are files, not environment variables,
    because ``docker inspect`` shows only the path of a file.
    """
    names = _names(folder)
    lines = ["# Written by Slipway: every file of the secrets folder, for the project's containers."]
    lines += ["services:"]
    for service in services:
        lines += [f"  {service}:", f"    secrets: [{', '.join(map(json.dumps, names))}]"]
    paths = {name: name for name in names}
    for owner in owners:
        own = _names(folder / owner)
        lines += [f"  {owner}:", "    secrets:"] if own else []
        for name in own:
            # Names of mounted files never begin with a dot, so this key is unique.
            key = f".{owner}.{name}"
            lines += [f"      - source: {json.dumps(key)}"]
            lines += [f"        target: {json.dumps(f'{owner}_{name}')}"]
            paths[key] = f"{owner}/{name}"
    lines += ["secrets:"]
    # Quoted: YAML reads a bare name such as `on` or `123` as another type.
    for name, path in paths.items():
        lines += [f"  {json.dumps(name)}:", f"    file: {json.dumps(f'{variable}/{path}')}"]
    return "\n".join(lines) + "\n"


def check(folder: Path, entries: Mapping[str, envfile.Entry], owners: Sequence[str] = ()) -> None:
    """Refuse secrets that cannot work or protect nothing; warn of files that are not mounted.

    ``entries`` are the project's variables; ``owners`` as in ``overlay``. Raises ``SlipwayError``: SLIP-002
    for a file that cannot be read, or is not text where it must be, SLIP-009 for an empty or placeholder
    value, SLIP-010 for a reference to a secret that reaches no container, SLIP-058 for a placeholder that
    no secret can fill, SLIP-176 for a byte order mark.
    """
    for owner in ("", *owners):
        for path in files(folder / owner):
            # The project's own secrets need not be text: it may read a keystore, for example.
            _check_file(path, text=bool(owner) or path.name in GENERATED, unreadable=bool(owner))
        _warn_of_skipped(folder / owner)
    mounted = _names(folder)
    for entry in entries.values():
        for name in _references(entry):
            if name not in mounted:
                why = "reaches no container by that name" if (folder / name).exists() else "does not exist"
                raise SlipwayError(
                    "SLIP-010",
                    f"{entry.where}: {entry.name} refers to the secret {name!r}, which {why}",
                    f"write it to {folder / name}, or let invoke init generate the standard ones: "
                    + ", ".join(GENERATED),
                )
            if _rules()["URL"].match(entry.value) and _LOOKS_ENCODED.fullmatch(
                _content(folder / name).strip()
            ):
                note(
                    f"warning: SLIP-177: {entry.where}: {entry.name} is a URL, and the secret {name} looks "
                    "percent-encoded, which the kit does itself; "
                    f"fix: write the value into {folder / name} without encoding"
                )
        if not _MOUNTED.match(entry.value):
            fill_in(f"{entry.where}: {entry.name}", entry.value, folder)
        # An empty one usually means that there is none: a mail server without a password.
        if _SECRET_NAME.search(entry.name) and (entry.value or entry.name in _NEVER_EMPTY):
            _check_strength(entry.value, f"{entry.where}: {entry.name}")


def fill_in(variable: str, value: str, folder: Path) -> str:
    """Replace every placeholder in the ``value`` of ``variable`` by the file's content, as in a container.

    Raises ``SlipwayError`` SLIP-058 when that is impossible.
    """
    rules = _rules()
    try:
        filled: str = rules["resolve"]({variable: value}, folder)[variable]
    except rules["EntrypointError"] as error:
        problem, _, fix = str(error).partition("\n  fix: ")
        raise SlipwayError("SLIP-058", problem.removeprefix("SLIP-058: "), fix) from None
    return filled


@functools.cache
def _rules() -> dict[str, Any]:
    """The names of docker/entrypoint.py, which holds the rules about placeholders."""
    return imagecode.run("entrypoint")


def _names(folder: Path) -> list[str]:
    return [path.name for path in files(folder) if _FILE_NAME.fullmatch(path.name)]


def files(folder: Path) -> list[Path]:
    """The secrets in ``folder``, without those in its subfolders."""
    return sorted(path for path in folder.glob("[!.]*") if path.is_file())


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise SlipwayError(
            "SLIP-002", f"{path} cannot be read: {problem.strerror}", f"check it with: ls -ld {path}"
        ) from None


def _check_file(path: Path, *, text: bool, unreadable: bool) -> None:
    """Refuse a byte order mark, a value that protects nothing and, with ``text``, anything but UTF-8 text.

    With ``unreadable`` the file may be unreadable: another service's secret may belong to its user alone.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        if unreadable:
            return
        raise SlipwayError(
            "SLIP-002", f"{path} cannot be read: {problem.strerror}", f"check it with: ls -ld {path}"
        ) from None
    for mark, (why, command) in _MARKS.items():
        if content.startswith(mark):
            raise SlipwayError(
                "SLIP-176",
                f"the secret {path} {why}",
                f"save it as plain UTF-8: {command.format(shlex.quote(str(path)))}",
            )
    value = content.decode(errors="replace")
    if text and ("\0" in value or value.encode() != content):
        why = "holds a zero byte, as UTF-16 does" if "\0" in value else "is not UTF-8 text"
        raise SlipwayError("SLIP-002", f"the secret {path} {why}", "save it as UTF-8 text")
    _check_strength(value.strip(), str(path))


def _warn_of_skipped(folder: Path) -> None:
    mounted = set(_names(folder))
    for path in sorted(folder.glob("[!.]*")):
        if path.name not in mounted and not path.is_dir():
            why = (
                "its name has other characters than letters, digits, . _ and -; fix: rename it"
                if path.is_file()
                else "it is no file; fix: put one in its place"
            )
            note(f"warning: SLIP-175: the secret {str(path)!r} reaches no container: {why}, or remove it")


def _references(entry: envfile.Entry) -> list[str]:
    if mounted := _MOUNTED.match(entry.value):
        return [mounted[1]]
    rules = _rules()
    names = []
    for match in rules["PLACEHOLDER"].finditer(entry.value):
        kind, name = match.groups()
        if kind != "secret" or not rules["SECRET_NAME"].fullmatch(name):
            raise SlipwayError(
                "SLIP-058",
                f"{entry.where}: {entry.name} holds the unknown placeholder {match[0]}",
                "write {{secret:NAME}}; a secret's name has letters, digits, . _ and - only",
            )
        names.append(name)
    return names


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
