"""The report: findings with reasons, guesses with the variables that decide them, and what is left to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.adoption.project import Project
from slipway.adoption.python import django_version
from slipway.adoption.write import Change, difference
from slipway.project.finding import Finding

__all__ = ["as_json", "as_text", "last_words"]


def as_text(project: Project, kept: dict[str, str]) -> str:
    """Return the report for people. ``kept`` are the variables that ``.env`` has already."""
    findings = project.findings
    version = django_version(project)
    django = f"Django {version}" if version else "Django"
    lines = [f"{project.layout.root}: {django}, from {', '.join(project.dependencies.files)}", ""]
    sure = [f for f in findings.found if f.sure]
    guesses = [f for f in findings.found if not f.sure]
    lines += ["Found:", *_listed(sure, kept)]
    if guesses:
        lines += [
            "",
            "Guessed (set the variable to decide; values already in its file are kept):",
            *_listed(guesses, kept),
        ]
    if findings.warnings:
        lines += [
            "",
            "To check:",
            *(f"  {w.text}{f' ({w.where})' if w.where else ''}" for w in findings.warnings),
        ]
    return "\n".join(lines)


def last_words(project: Project, app_env: str, start: str) -> str:
    """Return the end of the report: lines to fill in in the file ``app_env``, then the command ``start``."""
    findings = project.findings
    open_ = [entry for entry in findings.left if entry.variable not in project.given]
    lines = [""]
    if findings.stops:
        lines += ["TO FIX in the project; it does not start otherwise:"]
        lines += [f"  {stop.text} ({stop.where})" for stop in findings.stops]
    if open_:
        lines += [f"TO FILL IN in {app_env}, without the #; the project does not start without:"]
        lines += [f"  {o.variable}={o.value}\n      {o.why} ({o.where})" for o in open_]
    else:
        lines += [f"Nothing is left to fill in in {app_env}."]
    lines += [f"Next: {start}"]
    return "\n".join(lines)


def _listed(findings: Sequence[Finding], kept: dict[str, str]) -> list[str]:
    lines = []
    for f in findings:
        file = "" if f.file == ".env" else f"{f.file}: "
        where = f" ({f.where})" if f.where else ""
        own = (
            f"\n      .env has {f.variable}={kept[f.variable]}, which is kept"
            if f.file == ".env" and kept.get(f.variable, f.value) != f.value
            else ""
        )
        lines.append(f"  {file}{f.variable}={f.value}\n      {f.why}{where}{own}")
    return lines


def as_json(project: Project, pending: Sequence[Change], kit: Path, *, written: bool) -> str:
    """Return the report for scripts."""
    findings = project.findings
    data: dict[str, Any] = {
        "project": str(project.layout.root),
        "dependencies": {"manager": project.dependencies.manager, "files": list(project.dependencies.files)},
        "findings": [
            {
                "file": f.file,
                "variable": f.variable,
                "value": f.value,
                "why": f.why,
                "where": f.where,
                "sure": f.sure,
            }
            for f in findings.found
        ],
        "missing": [
            {"variable": o.variable, "line": f"{o.variable}={o.value}", "why": o.why, "where": o.where}
            for o in findings.left
            if o.variable not in project.given
        ],
        "warnings": [{"text": w.text, "where": w.where} for w in [*findings.stops, *findings.warnings]],
        "changes": [{"file": change.path.name, "diff": difference(change, kit)} for change in pending],
        "written": written,
    }
    return json.dumps(data, indent=2)
