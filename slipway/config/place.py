"""The kit's place relative to the project, and the files that the project's image must not contain."""

from __future__ import annotations

import re
from pathlib import Path

from slipway.config import testcode
from slipway.config.settings import Settings

__all__ = ["DOCKERFILE", "dockerignore", "hidden", "hides", "own_paths"]

DOCKERFILE = ".slipway/Dockerfile"
"""The file that stacks build from: a copy, because BuildKit reads ``Dockerfile.dockerignore`` next to it."""

_SECRETS = "# Secrets, last,"
_KIT_SECTION = re.compile(r"^# The kit's own machinery, .*\n(?:(?!\n).*\n)*", re.MULTILINE)


def own_paths(settings: Settings) -> list[str]:
    """The kit's folders in the project's folder, as paths relative to it; never ``.``.

    The whole kit if it is inside the project's folder; else secrets, archives, records and tool environment.
    """
    project = settings.path(settings.project_root)
    if settings.root != project and settings.root.is_relative_to(project):
        places = [settings.root]
    else:
        places = [settings.root / ".slipway", settings.root / ".venv"]
    places += [settings.path(settings.secrets_dir), settings.path(settings.backup_dir)]
    found: list[Path] = []
    for place in places:
        inside = place != project and place.is_relative_to(project)
        if inside and not any(place.is_relative_to(other) for other in found):
            found.append(place)
    return [place.relative_to(project).as_posix() for place in found]


def dockerignore(text: str, settings: Settings) -> str:
    """The kit's ``Dockerfile.dockerignore``, adapted to the places of the kit and its files in this checkout.

    Names of the kit's files are dropped unless the kit is in the project's root: they are the project's own.
    """
    project = settings.path(settings.project_root)
    if settings.root != project:
        text = _KIT_SECTION.sub("", text)
    env_files = (settings.app_env, settings.app_dev_env, settings.app_prod_env, settings.app_local_env)
    files = [settings.path(name) for name in (settings.env_file, *env_files)]
    lines = [
        *own_paths(settings),
        *(f.relative_to(project).as_posix() for f in files if f.is_relative_to(project)),
    ]
    tests = testcode.needed(project, own_paths(settings))
    # Before the section about secrets: later lines win, and secrets must stay out.
    back = "".join(f"!{_literal(path)}\n" for path in tests)
    text = text.replace(_SECRETS, f"# Folders called tests that production imports\n{back}\n{_SECRETS}", 1)
    return f"{text}\n# This checkout's\n" + "".join(f"{_literal(line)}\n" for line in dict.fromkeys(lines))


def hides(settings: Settings) -> bool:
    """Whether the project's folder, which development mounts, has anything to hide from the containers."""
    return bool(own_paths(settings))


def hidden(settings: Settings, services: list[str]) -> str:
    """A Compose file that mounts empty folders over the kit's folders in the project's, for ``services``.

    Only over folders that exist now: a mount would create the others in the project, owned by root.
    """
    project = settings.path(settings.project_root)
    places = [place for place in own_paths(settings) if (project / place).is_dir()]
    lines = ["# Written by Slipway: the project's folder is mounted, what the kit keeps in it is not shown."]
    lines += ["services:" if places else "services: {}"]
    for service in services if places else []:
        lines += [f"  {service}:", "    volumes:"]
        for place in places:
            lines += [
                "      - type: tmpfs",
                f"        target: {_quoted(f'/app/{place}')}",
                "        read_only: true",
            ]
    return "\n".join(lines) + "\n"


def _literal(path: str) -> str:
    return re.sub(r"([\\*?\[\]!#])", r"\\\1", path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("$", "$$") + "'"
