"""Settings from the environment, or from the files it points to.

A variable ``NAME`` may be given as ``NAME_FILE`` instead, the path of a file that holds the value.
Container engines pass secrets that way, and it is the convention of the official database images: the
value then shows neither in ``docker inspect`` nor in ``/proc/PID/environ``. As there, an empty variable
counts as one that is not set.

Every function raises ``ImproperlyConfigured`` and names the variable when the value is missing,
unreadable, given twice or of the wrong kind.
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


def given(name: str) -> bool:
    """Return whether ``name`` is set, directly or as ``name_FILE``."""
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def present(name: str) -> bool:
    """Return whether ``name`` exists at all, even if it is empty."""
    return name in os.environ


def text(name: str, default: str | None = None) -> str:
    """Return the value of ``name``; without a default the variable is required.

    A value read from a file loses its trailing newline and nothing else.
    """
    value = os.environ.get(name)
    path = os.environ.get(f"{name}_FILE")
    if value and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; keep one of them.")
    if path:
        value = _read(name, path)
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set. Set {name}, or {name}_FILE to a file's path.")
    return default


def flag(name: str, default: bool = False) -> bool:
    """Return ``name`` as a switch: 1/true/yes/on or 0/false/no/off."""
    value = text(name, "1" if default else "0").strip().lower()
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")
    return value in TRUE


def number(name: str, default: int, minimum: int = 0) -> int:
    """Return ``name`` as a whole number that is at least ``minimum``."""
    value = text(name, str(default)).strip()
    if not (value.isascii() and value.isdigit()) or int(value) < minimum:
        raise ImproperlyConfigured(f"{name} must be a whole number from {minimum}, not {value!r}.")
    return int(value)


def words(name: str) -> list[str]:
    """Return the comma-separated items of ``name``; none when it is not set."""
    return [item.strip() for item in text(name, "").split(",") if item.strip()]


def choice(name: str, default: str, options: tuple[str, ...]) -> str:
    """Return ``name``, which must be one of ``options`` in any case, as ``options`` spells it."""
    value = text(name, default).strip()
    for option in options:
        if option.lower() == value.lower():
            return option
    raise ImproperlyConfigured(f"{name} must be one of {', '.join(options)}, not {value!r}.")


def _read(name: str, path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {error}") from error
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE: {path} is empty.")
    return value
