"""Run a command by its schedule, in a container of its own, for a CRON_NAME line of .env.

    scheduled.py NAME SECONDS EXPRESSION COMMAND...

It logs a line when a run begins, and one when it ends. There is never a second run at the same time: a time
that comes meanwhile is skipped, with a line. A run that was missed while nothing ran is made up for once, if
it is less than an hour late. At SIGTERM a run gets the same signal, and SECONDS later comes the engine's
SIGKILL; the run is ended before that, so that its end is logged. Runs with the project's own Python, 3.10 or
later.
"""
# ruff: noqa: PTH118, PTH123

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta

import cron

FOLDER = "/srv/cron"
# A missed run may begin this late.
LATE = timedelta(hours=1)
# A run that would begin later than this after its time means that the clock has jumped.
_JUMP = timedelta(minutes=1)
# Before the engine's SIGKILL, for the last lines of the log.
_SPARE_SECONDS = 2
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


class Scheduled:
    """The command and its schedule."""

    def __init__(self, name, seconds, expression, command):
        self._name = name
        self._seconds = max(int(seconds) - _SPARE_SECONDS, 1)
        self._expression = expression
        self._times = cron.Times(expression)
        self._command = command
        self._path = os.path.join(FOLDER, f"{name}.json")
        self._process = None
        self._began = 0.0
        # When the present run was due.
        self._due = None

    def run(self):
        """Work until SIGTERM."""
        # `_nap` handles them one by one: none interrupts other code.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        covered = self._covered()
        if (due := self._times.after(covered)) > cron.now():
            self._say(f"the next run is due {cron.text(due)}")
        with self._only_one() as alone:
            while True:
                covered = self._without_missed(covered)
                at = self._times.after(covered)
                late = at <= cron.now()
                if cron.wait(at, self._nap):
                    self._stop()
                    return
                self._look()
                if not late and cron.now() - at > _JUMP:
                    # The machine slept, or its clock was set: many times may have passed.
                    continue
                covered = at
                self._keep(covered)
                if self._process:
                    self._say(f"skips {cron.text(at)}: the run of {cron.text(self._due)} has not ended")
                elif not alone():
                    self._say(f"skips {cron.text(at)}: another container runs the command")
                else:
                    self._begin(at)

    def _covered(self):
        """Return the time up to which all runs are done."""
        now = cron.now()
        kept = cron.read(self._path, {"covered", "expression"})
        if not kept or kept["expression"] != self._expression:
            self._keep(now)
            return now
        return datetime.fromisoformat(kept["covered"])

    def _without_missed(self, covered):
        """Return ``covered``, moved forward so that at most one time has passed since."""
        now = cron.now()
        missed = self._times.after(covered)
        if missed > now:
            return covered
        last = self._times.after(max(covered, now - LATE))
        if last > now:
            self._say(f"the run of {cron.text(missed)} was missed, and is not made up for")
            return now
        while (following := self._times.after(last)) <= now:
            last = following
        self._say(f"the run of {cron.text(last)} was missed, and is made up for")
        return last - timedelta(minutes=1)

    @contextlib.contextmanager
    def _only_one(self):
        """Yield a function that returns whether no other container on this volume runs the command."""
        try:
            file = open(os.path.join(FOLDER, f"{self._name}.lock"), "w", encoding="utf-8")  # noqa: SIM115
        except OSError as problem:
            self._say(f"cannot record its runs: {problem}")
            yield lambda: True
            return

        def alone():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            return True

        with file:
            yield alone

    def _nap(self, seconds):
        """Sleep for ``seconds``, or until a signal; return whether to stop."""
        found = signal.sigtimedwait(_SIGNALS, seconds)
        self._look()
        return found is not None and found.si_signo != signal.SIGCHLD

    def _begin(self, at):
        self._say(f"begins: {shlex.join(self._command)}")
        self._began, self._due = time.monotonic(), at
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                # All processes that it starts get its signals.
                start_new_session=True,
                preexec_fn=_unblock,  # noqa: PLW1509
            )
        except OSError as problem:
            self._say(f"cannot begin: {problem.strerror}: {self._command[0]}")
            self._end(126 if isinstance(problem, PermissionError) else 127)

    def _look(self):
        if self._process and self._process.poll() is not None:
            code, self._process = self._process.returncode, None
            self._end(code)

    def _end(self, code):
        by = f" ({signal.Signals(-code).name})" if code < 0 else ""
        passed = time.monotonic() - self._began
        self._say(f"ended with exit code {128 - code if code < 0 else code}{by} after {passed:.1f} s")

    def _stop(self):
        if not self._process:
            return
        self._say(f"gets SIGTERM: it has {self._seconds} s to end, and does not restart before its next time")
        self._kill(signal.SIGTERM)
        deadline = time.monotonic() + self._seconds
        while self._process and (left := deadline - time.monotonic()) > 0:
            signal.sigtimedwait({signal.SIGCHLD}, left)
            self._look()
        if self._process:
            self._kill(signal.SIGKILL)
            self._process.wait()
            self._look()

    def _kill(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _keep(self, covered):
        # A full disk must not end the schedule.
        with contextlib.suppress(OSError):
            cron.write(self._path, {"covered": cron.text(covered), "expression": self._expression})

    def _say(self, text):
        print(f"cron: {self._name}: {text}", flush=True)


def _unblock():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


if __name__ == "__main__":
    Scheduled(*sys.argv[1:4], sys.argv[4:]).run()
