"""Ends a command in a container when its task ends, and passes the task's signals on to it."""

from __future__ import annotations

import contextlib
import ctypes
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from slipway.core.checkout import ROOT

__all__ = ["CALL", "Lifeline"]

CALL = "SLIPWAY_CALL"
"""The environment variable that identifies the command's processes."""

_SCRIPT = ROOT / "docker" / "end-with-caller"
_POLL_SECONDS = 0.2
# On top of the time the command has to end: the engine may be busy.
_MORE_SECONDS = 30
_CANCELED = 130
_SET_PDEATHSIG = 1  # PR_SET_PDEATHSIG of prctl(2)


class Lifeline:
    """A block around one command in a container; ``docker/end-with-caller`` says how it works.

    ``container`` returns the name or id of the command's container, or an empty text while there is none;
    ``seconds`` is how long the command has to end; with ``terminal`` it gets SIGHUP first when the task ends.
    The command's environment must contain ``variables``.
    """

    def __init__(self, container: Callable[[], str], seconds: int, *, terminal: bool) -> None:
        self._container = container
        self._options = [str(seconds), *(["HUP"] if terminal else [])]
        self._longest = seconds + _MORE_SECONDS
        self._call = secrets.token_hex(6)
        self._line: subprocess.Popen[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._passed = 0
        self._pending: list[int] = []
        self._former: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that identify the command's processes."""
        return {CALL: self._call}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # An ignored signal stays ignored: nohup starts the task that way.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._pass_on)
        # Before the command starts: from here on, killing the task also ends the command.
        self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        try:
            self._end(regular=kind is None)
        finally:
            for number, handler in self._former.items():
                signal.signal(number, handler)

    @property
    def prepare(self) -> Callable[[], None] | None:
        """The function that the command's client calls as it starts; None if the container exists already."""
        if self._line or not sys.platform.startswith("linux"):
            return None
        prctl = ctypes.CDLL(None).prctl
        return lambda: prctl(_SET_PDEATHSIG, signal.SIGTERM)

    def communicate(self, process: subprocess.Popen[str]) -> str:
        """Wait until ``process``, the command's client, has ended; return its output if that is piped."""
        self._process = process
        self._deliver()
        while True:
            try:
                output: str | None = process.communicate(timeout=None if self._line else _POLL_SECONDS)[0]
            except subprocess.TimeoutExpired:
                self._begin()
            else:
                return output or ""

    def code(self, process: subprocess.Popen[str]) -> int:
        """The exit code of the command, or that of its client if the client ended first."""
        # An interrupted Compose returns this code of its own.
        return 128 + self._passed if self._passed and process.returncode == _CANCELED else process.returncode

    def _begin(self) -> None:
        container = self._container()
        if not container:
            return
        lines = _SCRIPT.read_text(encoding="utf-8").splitlines()
        script = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
        # Unset here: a container made for the command has the variable in its environment.
        argv = ["docker", "exec", "--interactive", "--env", f"{CALL}=", container]
        argv += ["sh", "-c", script, "end-with-caller", self._call, *self._options]
        with contextlib.suppress(FileNotFoundError):  # the command itself reports it
            self._line = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                # Signals that a terminal sends to its foreground group must not reach this process.
                start_new_session=True,
            )
        self._deliver()

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._passed = number
        self._pending.append(number)
        self._deliver()

    def _deliver(self) -> None:
        while self._pending and (self._line or self._process):
            number = self._pending.pop(0)
            if self._line:
                self._send(signal.Signals(number).name.removeprefix("SIG"))
            elif self._process:
                self._process.send_signal(number)

    def _send(self, word: str) -> None:
        if self._line and self._line.stdin:
            with contextlib.suppress(OSError, ValueError):
                self._line.stdin.write(f"{word}\n")
                self._line.stdin.flush()

    def _end(self, *, regular: bool) -> None:
        if not self._line or not self._line.stdin:
            return
        # The command of a killed client still runs.
        ended = regular and self._process is not None and (self._process.returncode or 0) >= 0
        if self._passed or ended:
            # Needed after SIGINT; after the other signals the script waits by itself.
            self._send("wait" if self._passed else "done")
        with contextlib.suppress(OSError):
            self._line.stdin.close()
        if self._passed or not ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._line.wait(self._longest)
