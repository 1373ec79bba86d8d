"""Static files, uploads and assets."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from slipway.adoption.project import Project
from slipway.project.layout import walk
from slipway.project.reading import text_of

__all__ = ["assets", "collected", "uploads"]

_INSIDE = re.compile(r"/([A-Za-z0-9_.~-]+/)+")
_BUILDS = ("build", "prod", "production", "build:prod", "build-prod", "build:css", "dist")
_ABSOLUTE = re.compile(r"(/[A-Za-z0-9_.-]+)+")


def _served(value: Any) -> str | None:
    """Return STATIC_URL or MEDIA_URL as a path with a slash at both ends, as Django completes it."""
    text = text_of(value)
    if not text:
        return None
    path = urlsplit(text).path
    path = f"/{path.strip('/')}/"
    return path if _INSIDE.fullmatch(path) else None


def collected(project: Project) -> None:
    """Set STATIC_URL, COLLECTSTATIC, AFTER_COLLECTSTATIC, and STATIC_ROOT if it is missing."""
    settings, findings = project.settings, project.findings
    if not settings.installed("django.contrib.staticfiles") and isinstance(
        settings.get("INSTALLED_APPS"), list | tuple
    ):
        findings.say(
            "COLLECTSTATIC",
            "skip",
            "django.contrib.staticfiles is not installed",
            settings.where("INSTALLED_APPS"),
        )
        return
    served = _served(settings.get("STATIC_URL"))
    if served and served != "/static/":
        findings.say("STATIC_URL", served, "STATIC_URL", settings.where("STATIC_URL"))
    root = text_of(settings.get("STATIC_ROOT"))
    sources = [
        text_of(entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry)
        for entry in _list(settings.get("STATICFILES_DIRS"))
    ]
    if (
        not root
        and "STATIC_ROOT" in settings.values
        and not isinstance(settings.get("STATIC_ROOT"), str | type(None))
    ):
        findings.warn("STATIC_ROOT cannot be read from the settings", settings.where("STATIC_ROOT"))
    elif not root:
        project.override("STATIC_ROOT", "it is not set")
    elif root in sources:
        project.override("STATIC_ROOT", "it is one of STATICFILES_DIRS")
    elif root and _is_committed(project, root):
        findings.say(
            "COLLECTSTATIC",
            "skip",
            "the collected files are in the repository",
            settings.where("STATIC_ROOT"),
            sure=False,
        )
    backend = _storage(settings.get("STORAGES"), settings.get("STATICFILES_STORAGE"))
    if re.search(r"s3|boto|gcloud|azure|cloudinary", backend, re.I):
        findings.warn(
            f"static files go to an external store ({backend}): nginx serves none of them",
            settings.where("STORAGES") or settings.where("STATICFILES_STORAGE"),
        )
    if (
        settings.installed("compressor")
        and settings.get("COMPRESS_OFFLINE") is True
        and settings.get("COMPRESS_ENABLED", True) is not False
    ):
        findings.say(
            "AFTER_COLLECTSTATIC",
            "python manage.py compress",
            "django-compressor compresses offline",
            settings.where("COMPRESS_OFFLINE"),
        )


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set) else []


def _storage(storages: Any, old: Any) -> str:
    entry = storages.get("staticfiles") if isinstance(storages, dict) else None
    backend = entry.get("BACKEND") if isinstance(entry, dict) else old
    return backend if isinstance(backend, str) else ""


def _host(project: Project, place: str) -> Path | None:
    path = PurePosixPath(place)
    path = (
        path
        if path.is_absolute()
        else PurePosixPath("/app", project.layout.inside(project.layout.manage), path)
    )
    return project.layout.root / path.relative_to("/app") if path.is_relative_to("/app") else None


def _is_committed(project: Project, root: str) -> bool:
    """Return whether STATIC_ROOT contains the manifest of a collectstatic and git does not ignore it.

    If the admin is installed but its files are missing there, the folder is a leftover.
    """
    folder = _host(project, root)
    if folder is None or not (folder / "staticfiles.json").is_file():
        return False
    if project.settings.installed("django.contrib.admin") and not (folder / "admin").is_dir():
        return False
    ignored = "\n".join(
        (place / ".gitignore").read_text(errors="replace")
        for place in {project.layout.root, project.layout.manage}
        if (place / ".gitignore").is_file()
    )
    return not re.search(rf"^/?([\w*.-]+/)*{re.escape(folder.name)}/?\*?$", ignored, re.M)


def uploads(project: Project) -> None:
    """Set MEDIA_URL and MEDIA_ROOT."""
    settings, findings = project.settings, project.findings
    served = _served(settings.get("MEDIA_URL"))
    if served and served != "/media/":
        findings.say("MEDIA_URL", served, "MEDIA_URL", settings.where("MEDIA_URL"))
    root = text_of(settings.get("MEDIA_ROOT"))
    if not root:
        return
    path = PurePosixPath("/app", project.layout.inside(project.layout.manage)) / root
    parts: list[str] = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." and len(parts) > 1 else [*parts, part] if part != "." else parts
    place = str(PurePosixPath(*parts))
    if place in {"/", "/app"} or not _ABSOLUTE.fullmatch(place):
        findings.warn(
            f"MEDIA_ROOT is {place}, where no volume can be mounted: uploads will be lost",
            settings.where("MEDIA_ROOT"),
        )
    elif place != "/app/media":
        findings.say(
            "MEDIA_ROOT", place, "MEDIA_ROOT, as a path in the container", settings.where("MEDIA_ROOT")
        )


def assets(project: Project) -> None:
    """Set ASSETS_COMMAND and ASSETS_DIR if the settings need files from a build of assets."""
    settings, layout = project.settings, project.layout
    packages = [
        (folder, data["scripts"])
        for folder, files in walk(layout.root, depth=3)
        if "package.json" in files
        for data in [_json(folder / "package.json")]
        if isinstance(data.get("scripts"), dict)
    ]
    built = [(folder, name) for folder, scripts in packages for name in _BUILDS if name in scripts]
    if not built:
        return
    sources = [
        text_of(entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry)
        for entry in _list(settings.get("STATICFILES_DIRS"))
    ]
    absent = [
        place
        for place in sources
        if place and (host := _host(project, place)) is not None and not host.exists()
    ]
    loader = settings.installed(
        "webpack_loader",
        "django_vite",
        "webpack_boilerplate",
        "manifest_loader",
        "django_webpack",
        "tailwind",
        "vite",
    )
    if not absent and not loader:
        folder = built[0][0]
        project.findings.warn(
            f"{layout.at(folder / 'package.json')} has a build; if the site needs its output, set "
            "ASSETS_COMMAND and ASSETS_DIR"
        )
        return
    folder, script = min(built, key=lambda e: (len(e[0].parts), str(e[0]), _BUILDS.index(e[1])))
    why = (
        f"{loader} is installed"
        if loader
        else f"STATICFILES_DIRS has {absent[0]}, which is not in the repository"
    )
    where = settings.where("INSTALLED_APPS") if loader else settings.where("STATICFILES_DIRS")
    project.findings.say("ASSETS_COMMAND", _command(folder, script), why, where, sure=False)
    if folder != layout.root:
        project.findings.say(
            "ASSETS_DIR",
            layout.inside(folder),
            "its package.json",
            layout.at(folder / "package.json"),
            sure=False,
        )


def _command(folder: Path, script: str) -> str:
    if (folder / "yarn.lock").is_file():
        return f"npx --yes yarn install --frozen-lockfile && npx --yes yarn run {script}"
    if (folder / "pnpm-lock.yaml").is_file():
        return f"npx --yes pnpm install --frozen-lockfile && npx --yes pnpm run {script}"
    return f"npm {'ci' if (folder / 'package-lock.json').is_file() else 'install'} && npm run {script}"


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
