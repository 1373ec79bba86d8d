"""The new texts of the kit's env files, their difference from the present files, and writing them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.adoption.project import Project
from slipway.config.settings import variables, write_if_changed
from slipway.core import envfile
from slipway.project.finding import Finding, Open

__all__ = ["Change", "changes", "difference", "put", "settled"]

_HEADING = "# --- Written by `invoke adopt` ---"


@dataclass(frozen=True)
class Change:
    """One file: its text before (None: no file) and after.

    A new file starts as a copy of ``origin``, if that is given.
    """

    path: Path
    before: str | None
    after: str
    origin: Path | None = None


def settled(env: Path, root: Path) -> dict[str, str]:
    """Return the variables that ``.env`` sets for this project; none if it is for another one."""
    if not env.is_file():
        return {}
    entries = envfile.read(env)
    named = entries.get("PROJECT_ROOT")
    if not named or (env.parent / named.value).resolve() != root:
        return {}
    return {name: entry.value for name, entry in entries.items() if entry.value}


def changes(project: Project, kit: Path, files: Mapping[str, Path]) -> list[Change]:
    """Return the changes of ``.env`` and the project's env files; ``files`` are their paths by name."""
    found = [_change_env(project, kit, files[".env"])]
    for name in ("app.env", "app.dev.env", "app.local.env"):
        lines = [f for f in project.findings.found if f.file == name]
        left = [] if name == "app.dev.env" else project.findings.left
        if name == "app.local.env":
            lines, more = _without_containers(project)
            left = [*left, *more]
        if name != "app.dev.env" or lines:
            found.append(_change_app(kit, name, files[name], lines, left))
    return [change for change in found if change.before != change.after]


# Names of the stack's services, or paths that are mounted in its containers.
_STACKS = re.compile(r"(^|[/@=])(db|redis)([:/,]|$)|/run/secrets/|^/srv/")


def _without_containers(project: Project) -> tuple[list[Finding], list[Open]]:
    """Return the lines of ``app.local.env``, and those that need an address or path of this machine."""
    chosen = {
        f.variable: f for name in ("app.env", "app.dev.env") for f in project.findings.found if f.file == name
    }
    here = [f for f in chosen.values() if not _STACKS.search(f.value)]
    there = [
        Open(f.variable, f.value, f"{f.why}; without containers that does not exist", f.where)
        for f in chosen.values()
        if f not in here
    ]
    return here, there


def _change_env(project: Project, kit: Path, path: Path) -> Change:
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    text = before if before is not None else (kit / ".env.example").read_text(encoding="utf-8")
    kept = settled(path, project.layout.root)
    values = {
        f.variable: f.value for f in project.findings.found if f.file == ".env" and f.variable not in kept
    }
    entries = envfile.read(path) if before is not None else {}
    if not kept:
        # The lines are about another project: reset those that this one does not set.
        defaults = variables()
        for name in entries:
            if name in _ABOUT_THE_PROJECT and name not in values:
                values[name] = defaults[name].default if name in defaults else ""
    replaced = {name: value for name, value in values.items() if name in entries}
    if replaced:
        text = envfile.with_values(path, replaced)
    more = []
    for name, value in values.items():
        if name in replaced:
            continue
        line = f"{name}={envfile.quote(value)}"
        commented = re.compile(rf"^#{re.escape(name)}=.*$", re.M)
        found = commented.search(text)
        if found:
            start, end = found.span()
            text = f"{text[:start]}{line}{text[end:]}"
        else:
            more.append(line)
    if more:
        text = f"{text.rstrip()}\n\n{_HEADING}\n" + "\n".join(more) + "\n"
    return Change(path, before, text, None if before is not None else kit / ".env.example")


_ABOUT_THE_PROJECT = {
    "DEPENDENCY_DIR", "DEPENDENCY_MANAGER", "REQUIREMENTS_FILES", "DEPENDENCY_GROUPS", "DEPENDENCY_EXTRAS",
    "EXTRA_PIP_PACKAGES", "DEPENDENCY_OVERRIDES", "PYTHONPATH_DIRS", "MANAGE_DIR", "SETTINGS_OVERLAY",
    "DATA_PATHS", "COLLECTSTATIC",
    "AFTER_COLLECTSTATIC", "ASSETS_COMMAND", "ASSETS_DIR", "STATIC_URL", "MEDIA_URL", "MEDIA_ROOT",
    "EXTRA_DATABASES", "MIGRATE_DATABASES", "REDIS", "CELERY_APP", "CELERY_BEAT", "HEALTH_FORWARDED_PROTO",
    "RUNTIME_PACKAGES", "BUILD_PACKAGES",
}  # fmt: skip


def _change_app(kit: Path, name: str, path: Path, lines: list[Finding], left: list[Open]) -> Change:
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    example = (kit / f"{name}.example").read_text(encoding="utf-8")
    # The lines of the example file are for the example's settings.
    fresh = before is None or before == example
    there = {} if fresh or before is None else envfile.read(path)
    text = f"{_preamble(name)}" if fresh or before is None else before
    added = []
    for finding in lines:
        if finding.variable not in there:
            where = f" ({finding.where})" if finding.where else ""
            added += [f"# {finding.why}{where}", f"{finding.variable}={envfile.quote(finding.value)}"]
    for entry in left:
        if entry.variable not in there and not re.search(rf"^#\s*{re.escape(entry.variable)}=", text, re.M):
            where = f" ({entry.where})" if entry.where else ""
            added += [f"# TO FILL IN: {entry.why}{where}", f"#{entry.variable}={entry.value}"]
    if added:
        text = f"{text.rstrip()}\n\n" + "\n".join(added) + "\n"
    return Change(path, before, text)


def _preamble(name: str) -> str:
    what = {
        "app.env": "for both stacks",
        "app.dev.env": "for the development stack only, overriding app.env",
        "app.local.env": "for invoke up --local, which runs it without containers",
    }
    return (
        f"# Variables of the project itself, {what[name]}, under the names its settings read.\n"
        "# {{secret:NAME}} in a value is replaced by the content of secrets/NAME. No $ or quotes in values.\n"
    )


def difference(change: Change, kit: Path) -> str:
    """Return the change as a unified diff."""
    name = os.path.relpath(change.path, kit)
    if change.before is not None:
        earlier, old = name, change.before
    elif change.origin:
        earlier, old = change.origin.name, change.origin.read_text(encoding="utf-8")
    else:
        earlier, old = "/dev/null", ""
    return "".join(
        difflib.unified_diff(
            old.splitlines(keepends=True),
            change.after.splitlines(keepends=True),
            fromfile=earlier,
            tofile=name,
            # No context lines: existing lines may contain passwords.
            n=0,
        )
    )


def put(change: Change) -> None:
    """Write a change atomically; only its owner may read a new file."""
    mode = change.path.stat().st_mode if change.path.exists() else 0o600
    write_if_changed(change.path.resolve(), change.after, mode=mode)
