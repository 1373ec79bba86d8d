"""The compose file that gives SETTINGS_OVERLAY and DATA_PATHS to every service of the project."""

from __future__ import annotations

import json

from slipway.config.settings import Settings, variables
from slipway.orchestrators.compose import Stack

__all__ = ["overlay_values", "text"]

_BACKUPS = [
    "  backup:",
    "    environment:",
    "      DATA_ROOT: /srv/data",
    "    volumes:",
    # The first image that mounts an empty volume sets its owner; that must be the project's image.
    "      - data:/srv/data:ro,nocopy",
    "  restore-media:",
    "    environment:",
    "      DATA_ROOT: /srv/data",
    "    volumes:",
    "      - data:/srv/data:nocopy",
    "volumes:",
    "  data:",
]
"""The service that makes backups may only read the volume; the one that restores them may write it."""


def text(stack: Stack) -> str:
    """Return the compose file of ``stack``: a variable for the settings overlay, the volume ``data``."""
    lines = [
        "# Written by Slipway from SETTINGS_OVERLAY and DATA_PATHS, for the project's containers.",
        "services:",
    ]
    values = json.dumps(json.dumps(overlay_values(stack))).replace("$", "$$")
    overlay = bool(stack.settings.settings_overlay)
    for service in stack.project_services():
        lines += [f"  {service}:"]
        lines += ["    environment:", f"      SLIPWAY_OVERLAY: {values}"] if overlay else []
        lines += ["    volumes:", "      - data:/srv/data"] if stack.keeps_data else []
        if overlay and service == "web":
            lines += ["    build:", "      args:", f"        SLIPWAY_OVERLAY: {values}"]
    lines += _BACKUPS if stack.keeps_data else []
    return "\n".join(lines) + "\n"


def overlay_values(stack: Stack) -> dict[str, object]:
    """Return the values from which docker/settings_overlay makes settings. Its docstring lists the names."""
    settings = stack.settings
    # Only nginx understands a regular expression.
    names = [name for name in settings.server_names if not name.startswith("~") and name != "_"]
    probe = [settings.health_host] if settings.health_host else []
    hosts = [name.removeprefix("*") for name in names] + probe + ["localhost", "127.0.0.1", "[::1]"]
    return {
        "names": list(settings.settings_overlay),
        "production": stack.prod,
        "hosts": list(dict.fromkeys(hosts)),
        "origins": _origins(stack, [f"*{name}" if name.startswith(".") else name for name in names]),
        "static_url": settings.static_url,
        "media_url": settings.media_url,
        "media_root": settings.media_root,
        "db_name": settings.db_name,
        "db_user": settings.db_user,
        "tls": stack.prod and (settings.tls != "off" or _proxied(settings)),
    }


def _proxied(settings: Settings) -> bool:
    """Whether a proxy in front is trusted: it may end TLS, and then the project's own choice stands."""
    nobody = variables()["TRUSTED_PROXY"]
    return bool(settings.trusted_proxies != nobody.convert(nobody.default))


def _origins(stack: Stack, names: list[str]) -> list[str]:
    """Return the addresses at which browsers may reach the site: by ports published here, or by a proxy."""
    settings = stack.settings
    if not stack.prod:
        return [f"http://{name}:{settings.web_port}" for name in names]
    ends = {"http://{}", "https://{}", f"http://{{}}:{settings.http_port}"}
    ends |= {f"https://{{}}:{settings.https_port}"} if settings.tls != "off" else set()
    return sorted(end.format(name) for end in ends for name in names)
