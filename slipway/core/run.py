"""The one place that executes commands. It echoes each one first, so that anyone can run it by hand."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from invoke.exceptions import Exit

from slipway.core.errors import SlipwayError
from slipway.core.lifeline import Lifeline

__all__ = ["INTERRUPTED", "Runner", "Terminated", "terminated_as_interrupted", "uninterrupted"]

_ASKED_SECONDS = 1.0
_STDERR = 2
INTERRUPTED = 130  # 128 + SIGINT, what a shell reports

# buildx writes the time of the build into a provenance attestation. In the containerd image store that is
# part of the image: each build would get a new id, and Compose would recreate containers without a change.
# https://docs.docker.com/build/building/variables/#buildx_no_default_attestations
_BUILDS = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
# Without it Compose advises to remove services that .env no longer names, in a deploy that still needs them.
# Compose refuses the variable together with --remove-orphans.
_IGNORE_ORPHANS, _REMOVE_ORPHANS = "COMPOSE_IGNORE_ORPHANS", "--remove-orphans"


class Terminated(KeyboardInterrupt):
    """SIGTERM came; unlike Ctrl-C in the terminal, it has not reached the running command as well."""


@contextmanager
def terminated_as_interrupted(interrupt: type[KeyboardInterrupt] = KeyboardInterrupt) -> Iterator[None]:
    """SIGTERM, which a service manager or a CI sends, ends the block as Ctrl-C does: with clean-up.

    With ``Terminated`` the runner passes it on to the running command; else it waits for that command.
    """

    def raise_it(*_: object) -> None:
        raise interrupt

    before = signal.signal(signal.SIGTERM, raise_it)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """SIGTERM and Ctrl-C do not end the block, for short work that must not be left half done."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Runner:
    """Executes argv lists.

    ``dry`` prints commands and runs none (Invoke's ``--dry``); ``echo`` prints each command to stderr
    before it runs, so that stdout holds only what the command itself prints.
    """

    dry: bool = False
    echo: bool = True
    env: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    """File descriptors that commands inherit, so that a reader can wait until all of them have ended."""

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        cwd: str | None = None,
        stdin: Path | None = None,
        stdout: Path | None = None,
        answer: bool = False,
        aside: bool = False,
        unless: Callable[[], bool] | None = None,
        lifeline: Lifeline | None = None,
        plain: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` on this terminal: its input, output and signals are the caller's.

        With ``stdin`` it reads that file. With ``stdout`` its output is written to that file, which only
        its owner can read, and which appears when it is complete and on the disk. With ``answer`` its
        output is returned; its stderr still appears as it comes. With ``aside`` its output goes to stderr,
        because it is not the task's answer. ``unless`` is called every second while it runs: once it
        returns True, the command is interrupted. With ``lifeline`` it is the client of a command in a
        container: this process's signals and its end reach the command. With ``plain`` the code that clears
        a terminal's line, which Compose writes into a pipe too, is removed from its output.
        Returns the completed process (exit code 0 in a dry run). Raises ``SlipwayError`` SLIP-060 when
        ``check`` is set and the exit code is not 0, SLIP-061 when the program is missing, ``Exit(130)``
        when the person interrupts it.
        """
        self._show(argv, stdin, stdout)
        if self.dry:
            return subprocess.CompletedProcess(list(argv), 0, "", "")
        around: AbstractContextManager[Any] = lifeline or nullcontext()
        held: AbstractContextManager[list[int]] = nullcontext([]) if lifeline else _interrupts_held_back()
        with _reading(stdin) as source, _writing(stdout) as target, around:
            with held as interrupts:
                try:
                    process = subprocess.Popen(
                        list(argv),
                        cwd=cwd,
                        env={**self._environment(argv), **(lifeline.variables if lifeline else {})},
                        text=True,
                        stdin=source,
                        errors="surrogateescape" if plain else None,
                        stdout=subprocess.PIPE if answer or plain else _STDERR if aside else target,
                        pass_fds=self.pass_fds,
                        preexec_fn=lifeline.prepare if lifeline else None,  # noqa: PLW1509 - one system call
                        # Its own group: a signal to this process's group must not end the client. A client
                        # that reads from a terminal must be in the foreground group.
                        process_group=0 if lifeline and not sys.stdin.isatty() else None,
                    )
                except FileNotFoundError as missing:
                    raise _program_missing(argv[0]) from missing
            try:
                if interrupts:
                    raise KeyboardInterrupt
                if unless:
                    _interrupt_when(process, unless)
                if plain and not _forward(process):
                    raise Exit(code=128 + signal.SIGPIPE)
                output = lifeline.communicate(process) if lifeline else process.communicate()[0] or ""
                code = lifeline.code(process) if lifeline else process.returncode
            except KeyboardInterrupt as interrupt:
                if isinstance(interrupt, Terminated):
                    process.terminate()
                # The child got the same SIGINT and stops by itself: Compose leaves a state that the next `up`
                # repairs, which a killed one does not.
                process.communicate()
                raise Exit("interrupted", INTERRUPTED) from None
            if target and stdout and code == 0:
                _put(target, stdout)
        if code == -signal.SIGPIPE:
            # The reader has closed the pipe (`| head`): no error, as in any shell pipe.
            raise Exit(code=128 + signal.SIGPIPE)
        if check and code != 0:
            raise SlipwayError(
                "SLIP-060",
                f"the command above ended with exit code {code}: {shlex.join(argv)[:200]}",
                "its own last lines say why; the same command can be run by hand",
                exit_code=code if 0 < code < 126 else 1,
            )
        return subprocess.CompletedProcess(list(argv), code, output, "")

    def replace(self, argv: Sequence[str], *, lifeline: Lifeline | None = None, plain: bool = False) -> None:
        """Run ``argv`` and exit with its exit code, for tasks that only wrap a command.

        ``lifeline`` and ``plain`` as in ``run``.
        """
        code = self.run(argv, check=False, lifeline=lifeline, plain=plain).returncode
        if code:
            # A negative code is the signal that ended it.
            raise Exit(code=code if code > 0 else 128 - code)

    def capture(
        self,
        argv: Sequence[str],
        *,
        check: bool = False,
        timeout: float | None = None,
        stdin: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` silently and return its output; for queries only, so a dry run executes them too.

        ``timeout`` is in seconds; with ``stdin`` it reads that file. A missing program is exit code
        127, a timeout 124. Raises ``SlipwayError`` SLIP-060 with the program's last error line when
        ``check`` is set and it failed.
        """
        try:
            with _reading(stdin) as source:
                done = subprocess.run(
                    list(argv),
                    check=False,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=timeout,
                    env=self._environment(argv),
                    stdin=source or subprocess.DEVNULL,
                    pass_fds=self.pass_fds,
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
                "run the command by hand to see all its output",
            )
        return done

    def _show(self, argv: Sequence[str], stdin: Path | None, stdout: Path | None) -> None:
        if self.echo or self.dry:
            line = shlex.join(argv)
            line += f" < {shlex.quote(str(stdin))}" if stdin else ""
            line += f" > {shlex.quote(str(stdout))}" if stdout else ""
            # In a dry run the commands are the answer, so they go to stdout, which can be piped.
            print(line, file=sys.stdout if self.dry else sys.stderr, flush=True)

    def _environment(self, argv: Sequence[str]) -> dict[str, str]:
        found = {**_BUILDS, _IGNORE_ORPHANS: "1", **os.environ, **self.env}
        return {n: v for n, v in found.items() if n != _IGNORE_ORPHANS or _REMOVE_ORPHANS not in argv}


def _interrupt_when(process: subprocess.Popen[str], asked: Callable[[], bool]) -> None:
    """Call ``asked`` every second until ``process`` has ended; interrupt it on True or an exception."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ASKED_SECONDS)
            return
        try:
            if not asked():
                continue
        except Exception:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        process.send_signal(signal.SIGINT)
        return


_CLEAR_LINE = "\x1b[2K"


def _forward(process: subprocess.Popen[str]) -> bool:
    """Print the output of ``process`` as it comes; return False if the reader closes the pipe."""
    assert process.stdout
    try:
        for line in process.stdout:
            sys.stdout.buffer.write(line.replace(_CLEAR_LINE, "").encode("utf-8", "surrogateescape"))
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        process.terminate()
        process.communicate()
        # Otherwise the interpreter reports an error when it closes the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


@contextmanager
def _reading(path: Path | None) -> Iterator[IO[bytes] | None]:
    if path is None:
        yield None
        return
    with path.open("rb") as file:
        yield file


def _draft(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


@contextmanager
def _writing(path: Path | None) -> Iterator[IO[bytes] | None]:
    """Open a draft of ``path`` in the same folder; remove it at the end if it has not become ``path``."""
    if path is None:
        yield None
        return
    draft = _draft(path)
    # A killed run may have left one, with another mode.
    draft.unlink(missing_ok=True)
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            yield file
    finally:
        draft.unlink(missing_ok=True)


def _put(file: IO[bytes], path: Path) -> None:
    """Rename the complete ``file`` to ``path``, so that a power cut leaves all of it or none."""
    os.fsync(file.fileno())
    _draft(path).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _interrupts_held_back() -> Iterator[list[int]]:
    """Collect signals that end a command in a list, to be handled after the block.

    An exception while the child is being created would leave it running, with nothing that waits for it.
    """
    came: list[int] = []
    usual = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    # Only the main thread is interrupted, and only it may set handlers.
    if threading.current_thread() is threading.main_thread():
        for number in usual:
            signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield came
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in usual.items():
                signal.signal(number, handler)


def _program_missing(program: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-061",
        f"the program {program!r} is not installed or not on PATH",
        "run ./bootstrap, which installs what is missing or says what to install",
    )
