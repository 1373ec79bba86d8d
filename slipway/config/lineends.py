"""Checks for Windows line ends in files that containers read unchanged: scripts and secrets."""

from __future__ import annotations

from pathlib import Path

from slipway.config.secretfiles import GENERATED
from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError

__all__ = ["check"]


def check(settings: Settings) -> None:
    """Return when no script of the kit and no generated secret has a carriage return at a line's end.

    Linux would look for an interpreter called ``sh\\r``; and PostgreSQL's image reads the carriage return as
    part of the password, the project's entrypoint does not. Raises ``SlipwayError`` SLIP-160.
    """
    for name in GENERATED:
        secret = settings.path(settings.secrets_dir) / name
        if secret.is_file() and b"\r" in secret.read_bytes():
            raise SlipwayError(
                "SLIP-160",
                f"{secret} has a Windows line end, which some programs read as part of the secret",
                f"remove it: sed -i 's/\\r$//' {secret}",
            )
    scripts = [path for folder in ("docker", "nginx") for path in sorted((settings.root / folder).rglob("*"))]
    if spoilt := [path for path in scripts if path.is_file() and _is_spoilt(path)]:
        others = f" and {len(spoilt) - 1} more" if len(spoilt) > 1 else ""
        first = spoilt[0].relative_to(settings.root)
        raise SlipwayError(
            "SLIP-160",
            f"scripts of the kit have Windows line ends and cannot run: {first}{others}",
            f"git config core.autocrlf input; then in {settings.root}: "
            "grep -rlI \"$(printf '\\r')\" docker nginx | xargs sed -i 's/\\r$//'",
        )


def _is_spoilt(script: Path) -> bool:
    with script.open("rb") as file:
        first = file.readline(200)
    return first.startswith(b"#!") and first.endswith(b"\r\n")
