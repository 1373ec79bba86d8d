"""Run a project's code for the first time in a build, and find what it lacks and what it writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from threading import Lock
from typing import Any

from entrypoint import APP
from missing_variables import Found, explain, find_all, missing, read_for
from project_commands import Commands
from project_static import COLLECT, Project, StaticError
from written_paths import endless_logs, grant, open_folders, refused, snapshot, written

# The second imports what the first does not: the URLs, and with them the views.
COMMANDS = (("diffsettings", "--all"), ("check",))
_MOST_REFUSALS = 20
_EMPTY_KEY = re.compile(r"^(?:### )?SECRET_KEY = (?:None|''|\"\")(?:\s+###)?$", re.MULTILINE)


class FirstImport:
    """Runs ``manage.py diffsettings`` and ``check`` of ``project``, with its folders open to its user.

    With ``collects`` the same process can then collect static files.
    """

    def __init__(self, project: Project, *, collects: bool = False) -> None:
        self._project = project
        self._environment = project.environment or {}
        self._uid = project.uid or 0
        self._further = [COLLECT] if collects else []
        self._process: Commands | None = None
        self._granted: dict[str, bool] = {}
        self._before: dict[str, bool] = {}
        self._granting = Lock()

    def run(self) -> CompletedProcess[str]:
        """Import everything; return the result of ``diffsettings``, which may be a failure."""
        open_folders(Path(APP), self._uid)
        self._before = snapshot(Path(APP))
        self._settings, self._check, self._process = self._import(self._project)
        # Now, because files that are collected or built later are not written by an import.
        self._after = snapshot(Path(APP))
        return self._settings

    def settings(self) -> dict[str, Any]:
        """Return the same as ``Project.settings``, and raise the same errors."""
        return (self._process and self._process.settings) or self._project.settings()

    def collect(self) -> CompletedProcess[str] | None:
        """Collect in the process that has imported everything; return the result if that went well.

        Otherwise a separate process has to show what is wrong: there is no such process, or the checks have
        left something behind in it.
        """
        if not self._process or not self._process.alive:
            return None
        result = self._process.next()
        return None if result.returncode else result

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.close()

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
        """Return the result of ``written_paths.written`` for the project and for paths refused elsewhere."""
        after = self._after
        for path, folder in self._granted.items():
            # A file of the project that it writes to counts as new, whatever its content.
            self._before.pop(path, None)
            after |= {path: folder, **(snapshot(Path(path)) if folder else {})}
        return written(self._before, after, kept, endless_logs(self._settings.stdout))

    def _import(
        self, project: Project
    ) -> tuple[CompletedProcess[str], CompletedProcess[str], Commands | None]:
        """Return the results of COMMANDS, and their process if it can be used further."""
        before = None
        for _ in range(_MOST_REFUSALS):
            process = Commands(project, *COMMANDS, *self._further)
            settings = check = process.next()
            if process.told_apart:
                process.close()
                from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - rare, and long to import

                with ThreadPoolExecutor() as pool:
                    alone = partial(self._alone, project)
                    return (*pool.map(alone, COMMANDS), None)
            if process.alive:
                check = process.next()
            path = refused(said(check))
            # The same path twice: access to it is not what the command lacks.
            if path in {None, before}:
                break
            before = path
            process.close()
            self._granted |= grant(path, self._uid)
        return settings, check, process

    def _alone(self, project: Project, command: tuple[str, ...]) -> CompletedProcess[str]:
        """Run a command of ``manage.py``; again, as long as it is refused a file that can be granted."""
        before = None
        for _ in range(_MOST_REFUSALS):
            result = project.python("manage.py", *command)
            path = refused(said(result))
            if path in {None, before}:
                break
            before = path
            with self._granting:
                self._granted |= grant(path, self._uid)
        return result

    def _what_failed(self, environment: Mapping[str, str]) -> str | None:
        settings, check, process = self._import(self._project._replace(environment=environment))
        if process:
            process.close()
        if settings.returncode:
            return said(settings)
        # Other complaints of the check do not matter here.
        output = said(check)
        return output if missing(output, environment) else None


def said(result: CompletedProcess[str]) -> str:
    """Return the whole output of a program that failed; empty if it succeeded."""
    return result.stdout + result.stderr if result.returncode else ""
