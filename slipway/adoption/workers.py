"""CELERY_APP, CELERY_BEAT and the PROCESS_* lines."""

from __future__ import annotations

import ast
import re

from slipway.adoption.project import Project
from slipway.project.layout import walk

__all__ = ["workers"]

_BY_APP = {
    "django_rq": ("PROCESS_RQ", "python manage.py rqworker default"),
    "huey.contrib.djhuey": ("PROCESS_HUEY", "python manage.py run_huey"),
    "django_q": ("PROCESS_QCLUSTER", "python manage.py qcluster"),
    "django_dramatiq": ("PROCESS_DRAMATIQ", "python manage.py rundramatiq"),
    "background_task": ("PROCESS_TASKS", "python manage.py process_tasks"),
    "procrastinate.contrib.django": ("PROCESS_PROCRASTINATE", "python manage.py procrastinate worker"),
    "django_tasks.backends.database": ("PROCESS_TASKS", "python manage.py db_worker"),
    "django_apscheduler": ("", ""),
}


def workers(project: Project) -> None:
    """Set CELERY_APP, CELERY_BEAT and the PROCESS_* lines."""
    layout, settings = project.layout, project.settings
    app = _celery_app(project) if project.dependencies.has("celery", "django-celery-beat") else None
    eager = settings.get("CELERY_TASK_ALWAYS_EAGER") is True or settings.get("CELERY_ALWAYS_EAGER") is True
    if app and not eager:
        module, where, scheduled = app
        project.findings.say("CELERY_APP", module, "its Celery app", where)
        beat = (
            scheduled
            or settings.get("CELERY_BEAT_SCHEDULE")
            or settings.get("CELERYBEAT_SCHEDULE")
            or settings.installed("django_celery_beat")
        )
        if beat:
            project.findings.say(
                "CELERY_BEAT", "on", "it has a schedule", settings.where("CELERY_BEAT_SCHEDULE") or where
            )
    for name, (variable, usual) in _BY_APP.items():
        if variable and settings.installed(name):
            command, queues = usual, settings.get("RQ_QUEUES")
            if variable == "PROCESS_RQ" and isinstance(queues, dict) and queues:
                command = f"python manage.py rqworker {' '.join(map(str, queues))}"
            project.findings.say(
                variable, command, f"{name} is installed", settings.where("INSTALLED_APPS"), sure=False
            )
    said = {f.value for f in project.findings.found if f.variable.startswith("PROCESS_")}
    for folder in dict.fromkeys((layout.root, layout.manage)):
        path = folder / "Procfile"
        for number, line in enumerate(
            path.read_text(errors="replace").splitlines() if path.is_file() else (), 1
        ):
            match = re.match(r"([a-z][\w-]*):\s*(.+?)\s*$", line, re.I)
            if not match or match[1].lower() in {"web", "release"} or "celery" in match[2]:
                continue
            command = re.sub(r"^(\w+=\S+\s+)+", "", match[2])
            if (
                command in said
                or re.search(r"[$;&|'\"]", command)
                or any(c.split()[2:3] == command.split()[2:3] and "manage.py" in c for c in said)
            ):
                continue
            project.findings.say(
                f"PROCESS_{re.sub(r'[^A-Z0-9]+', '_', match[1].upper())}",
                command,
                "a line of the Procfile",
                layout.at(path, number),
                sure=False,
            )


def _celery_app(project: Project) -> tuple[str, str, bool] | None:
    layout = project.layout
    for base in layout.search:
        for folder, names in walk(base, depth=4):
            for name in (
                "celery.py",
                "celery_app.py",
                "celeryapp.py",
                "celeryconf.py",
                "celery_config.py",
                "__init__.py",
                "tasks.py",
                "worker.py",
            ):
                if name not in names:
                    continue
                path = folder / name
                text = path.read_text(encoding="utf-8", errors="replace")
                if "Celery(" not in text:
                    continue
                found = _assigned_celery(text)
                if found:
                    parts = path.relative_to(base).with_suffix("").parts
                    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                    target = module if found[0] in {"app", "celery"} else f"{module}:{found[0]}"
                    return target, layout.at(path, found[1]), "beat_schedule" in text or "crontab(" in text
    return None


def _assigned_celery(text: str) -> tuple[str, int] | None:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.targets[0], ast.Name)
        ):
            function = node.value.func
            called = (
                function.id
                if isinstance(function, ast.Name)
                else function.attr
                if isinstance(function, ast.Attribute)
                else ""
            )
            if called == "Celery":
                return node.targets[0].id, node.lineno
    return None
