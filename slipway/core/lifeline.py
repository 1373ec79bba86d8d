"""What ends a command in a container with the task that began it, and passes the task's signals on to it."""

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
"""The variable by which the command's processes are known."""

_SCRIPT = ROOT / "docker" / "end-with-caller"
_POLL_SECONDS = 0.2
# Beyond what the command has to end in: the engine is asked, and may be busy.
_MORE_SECONDS = 30
_CANCELED = 130
_SET_PDEATHSIG = 1  # PR_SET_PDEATHSIG of prctl(2)


class Lifeline:
    """Beside one command, as a block around it; ``docker/end-with-caller`` says how it works.

    ``container`` returns the name or id of the container that the command is in, and nothing as long as
    there is none; ``seconds`` are those that it has to end in; with ``terminal`` the end of the task hangs it
    up. Its ``variables`` have to be in the command's environment.
    """

    def __init__(self, container: Callable[[], str], seconds: int, *, terminal: bool) -> None:
        self._container = container
        self._options = [str(seconds), *(["HUP"] if terminal else [])]
        self._longest = seconds + _MORE_SECONDS
        self._call = secrets.token_hex(6)
        self._line: subprocess.Popen[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._told = 0
        self._untold: list[int] = []
        self._former: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    @property
    def variables(self) -> dict[str, str]:
        """What the command's processes are known by."""
        return {CALL: self._call}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # Whoever started the task with nohup means it.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._pass_on)
        # Before the command: what is killed from now on takes it along.
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
        """What the client of the command has to call as it begins, where the container is still to come."""
        if self._line or not sys.platform.startswith("linux"):
            return None
        prctl = ctypes.CDLL(None).prctl
        return lambda: prctl(_SET_PDEATHSIG, signal.SIGTERM)

    def communicate(self, process: subprocess.Popen[str]) -> str:
        """Wait until ``process``, the command's client, has ended; returns its output where that is piped."""
        self._process = process
        self._tell()
        while True:
            try:
                output: str | None = process.communicate(timeout=None if self._line else _POLL_SECONDS)[0]
            except subprocess.TimeoutExpired:
                self._begin()
            else:
                return output or ""

    def code(self, process: subprocess.Popen[str]) -> int:
        """The exit code of the command, as far as its client lived to hear it."""
        # Compose says so of itself.
        return 128 + self._told if self._told and process.returncode == _CANCELED else process.returncode

    def _begin(self) -> None:
        container = self._container()
        if not container:
            return
        lines = _SCRIPT.read_text(encoding="utf-8").splitlines()
        script = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
        # Without the variable, which a container of the command's own has.
        argv = ["docker", "exec", "--interactive", "--env", f"{CALL}=", container]
        argv += ["sh", "-c", script, "end-with-caller", self._call, *self._options]
        with contextlib.suppress(FileNotFoundError):  # which the command itself will tell
            self._line = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                # What a terminal sends to its foreground is not for this one.
                start_new_session=True,
            )
        self._tell()

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._told = number
        self._untold.append(number)
        self._tell()

    def _tell(self) -> None:
        while self._untold and (self._line or self._process):
            number = self._untold.pop(0)
            if self._line:
                self._order(signal.Signals(number).name.removeprefix("SIG"))
            elif self._process:
                self._process.send_signal(number)

    def _order(self, word: str) -> None:
        if self._line and self._line.stdin:
            with contextlib.suppress(OSError, ValueError):
                self._line.stdin.write(f"{word}\n")
                self._line.stdin.flush()

    def _end(self, *, regular: bool) -> None:
        if not self._line or not self._line.stdin:
            return
        # A client that was killed has left its command behind.
        ended = regular and self._process is not None and (self._process.returncode or 0) >= 0
        if self._told or ended:
            # After any other signal it waits by itself.
            self._order("wait" if self._told else "done")
        with contextlib.suppress(OSError):
            self._line.stdin.close()
        if self._told or not ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._line.wait(self._longest)
