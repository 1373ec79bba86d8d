"""SERVER_TARGET: the application that the settings name, else a module in the project."""

from __future__ import annotations

import re
from pathlib import Path

from slipway.adoption.project import Project
from slipway.project.layout import walk

__all__ = ["choose"]

_BY_DJANGO = "django.core.wsgi:get_wsgi_application()"


def choose(project: Project) -> None:
    """Set SERVER_TARGET: WSGI, or ASGI if the project needs it."""
    layout, settings = project.layout, project.settings
    wsgi, asgi = settings.get("WSGI_APPLICATION"), settings.get("ASGI_APPLICATION")
    needs_asgi = settings.installed("channels", "daphne") or settings.get("CHANNEL_LAYERS")
    asgi_file, wsgi_file = _file(project, "asgi.py"), _file(project, "wsgi.py")
    if needs_asgi or (asgi and not wsgi and not wsgi_file):
        target = _target(asgi) if isinstance(asgi, str) and _is_there(project, asgi) else None
        if target or asgi_file:
            why = (
                f"{needs_asgi} is installed"
                if isinstance(needs_asgi, str) and needs_asgi
                else "the settings name only an ASGI application"
            )
            where = settings.where("ASGI_APPLICATION") or settings.where("INSTALLED_APPS")
            project.findings.say("SERVER_TARGET", target or _of_file(project, asgi_file), why, where)
            return
    if isinstance(wsgi, str) and _is_there(project, wsgi):
        project.findings.say(
            "SERVER_TARGET", _target(wsgi), "WSGI_APPLICATION", settings.where("WSGI_APPLICATION")
        )
    elif wsgi_file:
        project.findings.say(
            "SERVER_TARGET",
            _of_file(project, wsgi_file),
            "the project's WSGI module",
            layout.at(wsgi_file),
        )
    elif asgi_file:
        project.findings.say(
            "SERVER_TARGET",
            _of_file(project, asgi_file),
            "there is an ASGI module but no WSGI module",
            layout.at(asgi_file),
        )
    else:
        project.findings.say(
            "SERVER_TARGET", _BY_DJANGO, "the project has no module for it; Django's own is used", sure=False
        )


def _target(dotted: str) -> str:
    module, _, name = dotted.rpartition(".")
    return f"{module}:{name}"


def _is_there(project: Project, dotted: str) -> bool:
    relative = Path(*dotted.rpartition(".")[0].split("."))
    return any(
        (base / relative.with_suffix(".py")).is_file() or (base / relative / "__init__.py").is_file()
        for base in project.layout.search
    )


def _file(project: Project, name: str) -> Path | None:
    """Return the file nearest to the settings, else to manage.py."""
    package = project.layout.settings.split(".")[0]
    found = [
        folder / name
        for base in project.layout.search
        for folder, files in walk(base, depth=3)
        if name in files and "test" not in folder.relative_to(base).as_posix()
    ]
    return min(found, key=lambda path: (package not in path.parts, len(path.parts), str(path)), default=None)


def _of_file(project: Project, path: Path | None) -> str:
    assert path is not None
    base = max((b for b in project.layout.search if path.is_relative_to(b)), key=lambda b: len(b.parts))
    module = ".".join(path.relative_to(base).with_suffix("").parts)
    names = re.findall(
        r"^(application|app|asgi_app|wsgi_app)\b\s*=",
        path.read_text(encoding="utf-8", errors="replace"),
        re.M,
    )
    return f"{module}:{'application' if 'application' in names or not names else names[-1]}"
