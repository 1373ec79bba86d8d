"""The first time a project's code runs in a build: what it lacks, and what it writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from threading import Lock

from entrypoint import APP
from missing_variables import Found, explain, find_all, missing, read_for
from project_static import Project, StaticError
from written_paths import endless_logs, grant, open_folders, refused, snapshot, written

# The second imports what the first does not: the URLs, and with them the views.
COMMANDS = (("diffsettings", "--all"), ("check",))
_MOST_REFUSALS = 20
_EMPTY_KEY = re.compile(r"^(?:### )?SECRET_KEY = (?:None|''|\"\")(?:\s+###)?$", re.MULTILINE)


class FirstImport:
    """Runs ``manage.py diffsettings`` and ``check`` of ``project``, with its folders open to its user."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._environment = project.environment or {}
        self._uid = project.uid or 0
        self._granted: dict[str, bool] = {}
        self._before: dict[str, bool] = {}
        self._granting = Lock()

    def run(self) -> CompletedProcess[str]:
        """Import everything; return the result of ``diffsettings``, which may be a failure."""
        open_folders(Path(APP), self._uid)
        self._before = snapshot(Path(APP))
        with ThreadPoolExecutor() as pool:
            self._settings, self._check = pool.map(self._manage, COMMANDS)
        # Now, because what is collected or built later is no work of an import.
        self._after = snapshot(Path(APP))
        return self._settings

    def require_variables(self) -> None:
        """Raise StaticError naming every variable that the project lacks, if it lacks any."""
        if any(missing(said(result), self._environment) for result in (self._settings, self._check)):
            raise StaticError(explain(find_all(self._what_failed, self._environment)))
        if not self._settings.returncode and _EMPTY_KEY.search(self._settings.stdout):
            names = [
                name for name in read_for("SECRET_KEY", self._environment) if not self._environment.get(name)
            ]
            if names:
                raise StaticError(explain(Found(names)))

    def written(self, kept: Iterator[str] | list[str]) -> dict[str, str]:
        """Return what ``written_paths.written`` does, of the project and of what was refused elsewhere."""
        after = self._after
        for path, folder in self._granted.items():
            # A file of the project that it writes to counts as new, whatever is in it.
            self._before.pop(path, None)
            after |= {path: folder, **(snapshot(Path(path)) if folder else {})}
        return written(self._before, after, kept, endless_logs(self._settings.stdout))

    def _manage(
        self, command: tuple[str, ...], environment: Mapping[str, str] | None = None
    ) -> CompletedProcess[str]:
        """Run a command of ``manage.py``; again, as long as it is refused a file that can be given to it."""
        project = replace(self._project, environment=environment) if environment else self._project
        before = None
        for _ in range(_MOST_REFUSALS):
            result = project.python("manage.py", *command)
            path = refused(said(result))
            # Twice the same: it is something else that it lacks.
            if path in {None, before}:
                break
            before = path
            with self._granting:
                self._granted |= grant(path, self._uid)
        return result

    def _what_failed(self, environment: Mapping[str, str]) -> str | None:
        for command in COMMANDS:
            output = said(self._manage(command, environment))
            # What else a check complains of is not asked here.
            if output and (command is COMMANDS[0] or missing(output, environment)):
                return output
        return None


def said(result: CompletedProcess[str]) -> str:
    """Return all that a program has printed, when it has failed; else nothing."""
    return result.stdout + result.stderr if result.returncode else ""
