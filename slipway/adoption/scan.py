"""The scan of a project: it reads files, and imports, runs and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from slipway.adoption import databases, health, packages, python, redis, server, static, variables, workers
from slipway.adoption.project import Project
from slipway.config import settings
from slipway.project import dependencies, layout
from slipway.project.finding import Findings, Warned

__all__ = ["scan"]


def scan(
    path: Path,
    kit: Path,
    *,
    manage_dir: str = "",
    given: Mapping[str, str] | None = None,
    can_have: Callable[[str], bool] = lambda version: True,
    database: tuple[str, str] = ("app", "app"),
    is_taken: Callable[[str], bool] = lambda name: False,
) -> Project:
    """Scan the project at ``path`` for the kit in the folder ``kit``, and return it with the findings.

    ``given`` are the variables already in the project's env files, ``database`` the name and user of the
    stack's database. ``can_have`` returns whether this machine can get the official image of a Python
    version, ``is_taken`` whether another folder's stacks use a name. Raises ``SlipwayError`` SLIP-144 to
    SLIP-148.
    """
    findings = Findings()
    place = layout.find(path, manage_dir)
    found = Project(
        place, dependencies.Dependencies(place.root), findings, dict(given or {}), dict(given or {}), database
    )
    # Report a settings file that does not parse before problems of packages.
    _ = found.settings
    found.dependencies = dependencies.scan(place, findings)
    _say_layout(found, kit, is_taken)
    python.choose(found, can_have)
    variables.fill_required(found)
    variables.off(found)
    variables.fill_required(found)
    variables.secret_key(found)
    variables.hosts(found)
    databases.databases(found)
    variables.fill_required(found)
    redis.redis(found)
    variables.postpone_https(found)
    workers.workers(found)
    server.choose(found)
    static.collected(found)
    static.uploads(found)
    static.assets(found)
    packages.choose(found)
    health.choose(found)
    _say_stops(found)
    return found


def _say_layout(project: Project, kit: Path, is_taken: Callable[[str], bool]) -> None:
    place, findings = project.layout, project.findings
    name, why = settings.name_of(place.root), "the folder's name"
    if is_taken(name):
        name, why = settings.unique_name(place.root), f"the folder's name; another folder's stacks use {name}"
    findings.say("PROJECT_NAME", name, why)
    relative = os.path.relpath(place.root, kit)
    findings.say("PROJECT_ROOT", relative, "the project, relative to the kit's folder")
    folder = project.dependencies.folder
    if folder != place.root:
        findings.say("DEPENDENCY_DIR", place.inside(folder), f"{project.dependencies.files[0]} is there")
    if place.manage != place.root:
        findings.say("MANAGE_DIR", place.inside(place.manage), "manage.py is there")
    findings.say(
        "DJANGO_SETTINGS_MODULE",
        place.settings,
        place.settings_why,
        place.settings_where,
        sure=place.settings_sure,
    )
    if place.development:
        findings.tell(
            "DJANGO_SETTINGS_MODULE",
            place.development,
            "manage.py's default, for development",
            file="app.dev.env",
        )
    if place.configuration:
        findings.tell("DJANGO_CONFIGURATION", place.configuration, "the class that serves", sure=False)
        project.assumed.setdefault("DJANGO_CONFIGURATION", place.configuration)
    if place.development_configuration:
        findings.tell(
            "DJANGO_CONFIGURATION",
            place.development_configuration,
            "manage.py's default, for development",
            file="app.dev.env",
        )
    further = [place.inside(folder) for folder in place.search if folder != place.manage]
    if further:
        findings.say(
            "PYTHONPATH_DIRS",
            " ".join(further),
            "manage.py puts them on sys.path, but the server does not run manage.py",
            sure=False,
        )


def _say_stops(project: Project) -> None:
    for stop in project.settings.stops:
        where = project.layout.at(stop.path, stop.line)
        if stop.kind in {"ModuleNotFoundError", "ImportError"}:
            what = f"the settings import a missing module: {stop.text or stop.kind}"
        elif stop.kind in {"FileNotFoundError", "OSError"}:
            what = f"the settings open a file: {stop.text}"
        elif stop.kind in {"ImproperlyConfigured", "SystemExit", "RuntimeError"}:
            what = f"the settings may end here: {stop.text or stop.kind}"
        else:
            continue
        project.findings.stops.append(Warned(what, where))
