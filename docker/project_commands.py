"""Commands of a project's manage.py in one process, so that Django starts once for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from project_static import Project


class Commands:
    """``commands``, to be run in this order, each by a call of ``next``; see run_commands.py.

    ``settings`` has the project's settings, once a command has succeeded, and ``told_apart`` whether the
    project has looked which command it is run with: then the results are not reliable.
    """

    settings: dict[str, Any] | None = None
    told_apart = False

    def __init__(self, project: Project, *commands: Sequence[str]) -> None:
        """Start the first command. Raises StaticError as ``Project.start`` does."""
        self._commands = [list(command) for command in commands]
        self._begun = 0
        # Files, because a pipe would fill: nobody reads it while this waits for the next command.
        self._streams = [tempfile.TemporaryFile("a+b") for _ in range(2)]  # noqa: SIM115 - close() does
        self._read = [0, 0]
        answers, theirs = os.pipe()
        requests, ours = os.pipe()
        script = str(Path(__file__).with_name("run_commands.py"))
        try:
            self._process = project.start(
                script, str(theirs), str(requests), *map(json.dumps, self._commands),
                stdin=subprocess.DEVNULL, stdout=self._streams[0], stderr=self._streams[1],
                pass_fds=(theirs, requests),
            )  # fmt: skip
        finally:
            os.close(theirs)
            os.close(requests)
            self._answers, self._requests = os.fdopen(answers, "rb"), os.fdopen(ours, "wb", buffering=0)

    def next(self) -> CompletedProcess[str]:
        """Run the next command to its end; return its result. Must not be called after one that failed."""
        command = self._commands[self._begun]
        if self._begun:
            self._requests.write(b"\n")
        self._begun += 1
        answer = self._answers.readline()
        if answer:
            said = json.loads(answer)
            self.settings, self.told_apart = said["settings"], said["told_apart"]
            code = 0
        else:
            code = self._process.wait()
        return CompletedProcess(command, code, self._new_output(0), self._new_output(1))

    @property
    def alive(self) -> bool:
        """True if another command can be run."""
        return self._begun < len(self._commands) and self._process.poll() is None

    def close(self) -> None:
        """End the process, with everything that its commands have left running in it."""
        self._requests.close()
        self._process.wait()
        self._answers.close()
        for stream in self._streams:
            stream.close()

    def _new_output(self, stream: int) -> str:
        file, start = self._streams[stream].fileno(), self._read[stream]
        content = os.pread(file, os.fstat(file).st_size - start, start)
        self._read[stream] += len(content)
        return content.decode(errors="replace").replace("\r\n", "\n")
