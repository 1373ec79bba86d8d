"""Reads the part of this machine's npm configuration that a container can use.

Standard library only, like ``mirrors``, which passes it to builds as a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["npm_config", "parse"]

# Registries, for all packages or a scope, and the credentials for their addresses. No paths: the build gets
# this machine's certificates separately.
_KEPT = re.compile(r"registry|strict-ssl|@[\w.~-]+:registry|//[^\s=]+:[A-Za-z_-]+")
_SYSTEM_FILES = (Path("/etc/npmrc"), Path("/usr/etc/npmrc"), Path("/usr/local/etc/npmrc"))


def parse(texts: Iterable[str], environment: Mapping[str, str]) -> str:
    """Return a ``.npmrc`` with the part of ``texts`` (later ones win) that a build can use; may be empty.

    ``${NAME}`` becomes the variable's value, which a build does not have. Only http(s) registries are kept.
    """
    kept: dict[str, str] = {}
    for text in texts:
        for line in text.splitlines():
            name, separator, value = (part.strip() for part in line.partition("="))
            if separator and _KEPT.fullmatch(name):
                value = value.strip("\"'")
                kept[name] = re.sub(r"\$\{(\w+)\}", lambda m: environment.get(m[1], ""), value)
    registry = environment.get("npm_config_registry") or environment.get("NPM_CONFIG_REGISTRY")
    if registry:
        kept["registry"] = registry
    usable = {
        name: value
        for name, value in kept.items()
        if not name.endswith("registry") or value.startswith(("http://", "https://"))
    }
    return "".join(f"{name}={value}\n" for name, value in usable.items())


def npm_config() -> str:
    """Return the part of this machine's and user's npm configuration that a build can use."""
    home = Path(os.environ.get("HOME") or "/")
    # npm reads its variables in either case.
    named = next((value for name, value in os.environ.items() if name.lower() == "npm_config_userconfig"), "")
    files = [*_SYSTEM_FILES, Path(named) if named else home / ".npmrc"]
    return parse((_read(file) for file in files), os.environ)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
