"""The one place where commands are executed: every one is echoed first, so nobody is locked in."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from invoke.exceptions import Exit

from slipway.errors import SlipwayError

__all__ = ["INTERRUPTED", "Runner"]

INTERRUPTED = 130  # 128 + SIGINT, what a shell reports


@dataclass(frozen=True)
class Runner:
    """Executes argv lists.

    ``dry`` prints commands and runs none (Invoke's ``--dry``); ``echo`` prints each command to stderr
    before it runs, so that stdout holds only what the command itself prints.
    """

    dry: bool = False
    echo: bool = True
    env: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        cwd: str | None = None,
        stdout: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` on this terminal: its input, output and signals are the caller's.

        With ``stdout`` its output is written to that file, which appears only when it is complete.
        Returns the completed process (exit code 0 in a dry run). Raises ``SlipwayError`` SLIP-060 when
        ``check`` and the exit code is not 0, SLIP-061 when the program is missing, ``Exit(130)`` when
        the person interrupts it.
        """
        self._show(argv, stdout)
        if self.dry:
            return subprocess.CompletedProcess(list(argv), 0, "", "")
        draft = stdout.with_name(f"{stdout.name}.part") if stdout else None
        try:
            with draft.open("wb") if draft else nullcontext() as output:
                process = subprocess.Popen(
                    list(argv), cwd=cwd, env=self._environment(), text=True, stdout=output
                )
        except FileNotFoundError as missing:
            raise _program_missing(argv[0]) from missing
        try:
            code = process.wait()
        except KeyboardInterrupt:
            # The child got the same SIGINT and knows best how to stop (compose leaves a state the
            # next `up` repairs); leaving it behind half way would not.
            process.wait()
            raise Exit("interrupted", INTERRUPTED) from None
        if draft and stdout and code == 0:
            draft.replace(stdout)
        elif draft:
            draft.unlink(missing_ok=True)
        if code == -signal.SIGPIPE:
            # Whoever read the output has seen enough (`| head`): no error, as in any shell pipe.
            raise Exit(code=128 + signal.SIGPIPE)
        if check and code != 0:
            raise SlipwayError(
                "SLIP-060",
                f"the command above ended with exit code {code}: {shlex.join(argv)[:200]}",
                "its own last lines say why; the same command can be repeated by hand",
                exit_code=code if 0 < code < 126 else 1,
            )
        return subprocess.CompletedProcess(list(argv), code, "", "")

    def replace(self, argv: Sequence[str]) -> None:
        """Run ``argv`` and hand on its exit code unchanged, for tasks that only wrap a command."""
        code = self.run(argv, check=False).returncode
        if code:
            raise Exit(code=code)

    def capture(
        self, argv: Sequence[str], *, check: bool = False, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` silently and return its output; questions only, so a dry run asks them too.

        ``timeout`` is in seconds. A missing program is exit code 127, a timeout 124. Raises
        ``SlipwayError`` SLIP-060 with the program's last error line when ``check`` and it failed.
        """
        try:
            done = subprocess.run(
                list(argv),
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            done = subprocess.CompletedProcess(list(argv), 127, "", f"{argv[0]}: not found")
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(list(argv), 124, "", f"no answer in {timeout:g} s")
        if check and done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise SlipwayError(
                "SLIP-060",
                f"{shlex.join(argv)[:200]} failed with exit code {done.returncode}: {last}",
                "repeat the command by hand to see all it says",
            )
        return done

    def _show(self, argv: Sequence[str], stdout: Path | None = None) -> None:
        if self.echo or self.dry:
            line = shlex.join(argv) + (f" > {shlex.quote(str(stdout))}" if stdout else "")
            # Dry output is the answer itself, so it goes to stdout where it can be piped.
            print(line, file=sys.stdout if self.dry else sys.stderr, flush=True)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.env}


def _program_missing(program: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-061",
        f"the program {program!r} is not installed or not on PATH",
        "run ./bootstrap, which installs what is missing or says what to install",
    )
