"""Let the first worker load the project alone where the processors are few: the first answer comes sooner.

Workers that load side by side on too few processors are all ready late, at the same time. One after the other
they are all ready at that time too, and the first of them long before. Called by gunicorn's hooks
(gunicorn.conf.py).
"""

from __future__ import annotations

import os
import select
from typing import Protocol

# In seconds. A project that takes longer gains nothing worth waiting for; and the master hears no signal
# meanwhile.
LONGEST_WAIT = 5.0


class Worker(Protocol):
    """What is used of gunicorn's workers: the how manieth since the master started, from 1."""

    age: int


class FirstWorker:
    """A pipe whose writing end the first worker alone holds, until it has loaded the project or died."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._ends: tuple[int, int] | None = None

    def before_fork(self, worker: Worker) -> None:
        """In the master: wait for the first worker before the second is started."""
        if self._alone and worker.age == 1:
            self._ends = os.pipe()
        elif self._ends:
            reading, writing = self._ends
            self._ends = None
            os.close(writing)
            select.select([reading], [], [], LONGEST_WAIT)
            os.close(reading)

    def loaded(self) -> None:
        """In a worker that has loaded the project."""
        if self._ends:
            for end in self._ends:
                os.close(end)
            self._ends = None
