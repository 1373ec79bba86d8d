"""Let the first worker load the project alone where the processors are few: the first answer comes sooner.

Workers that load at the same time on too few processors all become ready late, at the same time. One after
the other, all are ready by that time too, and the first one long before. Called by gunicorn's hooks
(gunicorn.conf.py).
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import Protocol

# In seconds. A project that takes longer gains nothing worth waiting for.
LONGEST_WAIT = 5.0
STOPPING = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}


class Worker(Protocol):
    """The attribute used of gunicorn's workers: its number since the master started, from 1."""

    age: int


class FirstWorker:
    """A pipe whose writing end the first worker alone holds, until it has loaded the project or died."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._ends: tuple[int, int] | None = None

    def before_fork(self, worker: Worker) -> None:
        """In the master: wait for the first worker before the second is started.

        Raises StopIteration, as gunicorn's own handling of signals does, when a signal stops the server
        meanwhile: a worker that was started then would miss the signal, and delay the end.
        """
        if self._alone and worker.age == 1:
            self._ends = os.pipe()
        elif self._ends:
            reading, writing = self._ends
            self._ends = None
            os.close(writing)
            try:
                if _stopped_before(reading):
                    raise StopIteration
            finally:
                os.close(reading)

    def loaded(self) -> None:
        """Called in a worker that has loaded the project."""
        if self._ends:
            for end in self._ends:
                os.close(end)
            self._ends = None


def _stopped_before(reading: int) -> bool:
    """Wait until ``reading`` ends; return whether a signal to stop came first. Its handler runs too."""
    signals, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    previous = signal.set_wakeup_fd(wakeup)
    try:
        end = time.monotonic() + LONGEST_WAIT
        while (left := end - time.monotonic()) > 0:
            ready = select.select([reading, signals], [], [], left)[0]
            if signals in ready and STOPPING.intersection(os.read(signals, 64)):
                return True
            if reading in ready:
                break
        return False
    finally:
        signal.set_wakeup_fd(previous)
        os.close(signals)
        os.close(wakeup)
