"""Backups by BACKUP_SCHEDULE: make, prune, copy; failures are retried, also after a restart."""

import os
import traceback
from datetime import datetime, timedelta

import cron
import make
import places
import prune
import store
from failure import BackupError
from places import say

STATE = places.WORK / "schedule.json"
# A run that begins later than this after its time is late.
LATE = timedelta(seconds=60)
_FIRST_RETRY = timedelta(minutes=1)
_LONGEST_RETRY = timedelta(hours=1)


def run():
    """Work until SIGTERM. A missed or interrupted run is made up for at once, a failed one repeated."""
    state = _read() or {"covered": cron.text(_now()), "running": None, "failures": 0, "problem": ""}
    unfinished = state["running"] or state["failures"]
    state["running"] = None
    _write(state)
    at = _now() if unfinished else due(state)
    while True:
        _wait(at)
        _attempt(state)
        at = _next(state)


def due(state):
    """Return when the next run is due: the first time of the schedule after the one last covered."""
    covered = datetime.fromisoformat(state["running"] or state["covered"])
    return cron.Times(os.environ["BACKUP_SCHEDULE"]).after(covered)


def backoff(failures):
    """Return how long to wait after so many failures in a row: 1, 2, 4 minutes and so on, at most an hour."""
    return min(_FIRST_RETRY * 2 ** min(failures - 1, 10), _LONGEST_RETRY)


def _next(state):
    if not state["failures"]:
        return due(state)
    retry = _now() + backoff(state["failures"])
    # If the copy failed, the next archive is still due at its time.
    return min(retry, due(state)) if due(state) > _now() else retry


def healthy():
    """Return ``next``, the time of the next run. Raises ``BackupError`` SLIP-111 with what is wrong."""
    state = _read()
    if not state:
        raise BackupError(
            "SLIP-111", "the schedule has not begun", "its log says why: invoke logs --services backup --prod"
        )
    if state["failures"]:
        raise BackupError(
            "SLIP-111",
            state["problem"],
            "its log says when it is tried again: invoke logs --services backup --prod",
        )
    if _now() > due(state) + LATE:
        raise BackupError(
            "SLIP-111",
            f"the run of {cron.text(due(state))} has not begun",
            "its log says what is going on: invoke logs --services backup --prod",
        )
    return {"next": cron.text(due(state))}


def _attempt(state):
    """Make an archive if one is due; prune; copy. Records the result in ``state``, and prints one line."""
    begun = _now()
    try:
        is_due = due(state) <= begun
        state["running"] = cron.text(begun)
        _write(state)
        if is_due:
            _refuse_during_restore()
            make.make()
            # Now, so that after a kill during the copy only the copy is repeated.
            state["covered"] = state["running"]
            _write(state)
        prune.remove(*prune.expired())
        if store.configured():
            store.synchronise()
        state |= {"failures": 0, "problem": ""}
    except Exception as problem:  # no error may prevent the next run
        if not isinstance(problem, BackupError):
            traceback.print_exc()
        lines = str(problem).splitlines() or [type(problem).__name__]
        why = "; ".join(line.strip() for line in lines)
        state |= {"failures": state["failures"] + 1, "problem": why}
    state["running"] = None
    _write(state)
    if state["failures"]:
        again = cron.text(_next(state))
        say(
            f"SLIP-111: the scheduled backup failed, {state['failures']} in a row, again at {again}: "
            f"{state['problem']}"
        )
    else:
        say(f"the scheduled backup is done; the next is due {cron.text(due(state))}")


def _refuse_during_restore():
    # It replaces the database first, then the media: a backup in between would be of no one moment.
    if (places.WORK / "restore").exists():
        raise BackupError(
            "SLIP-077",
            "a restore is under way, or was interrupted",
            "after an interrupted one, invoke db.prune --prod completes it",
        )


def _wait(until):
    say(f"waiting until {cron.text(until)}") if until > _now() else None
    cron.wait(until)


def _now():
    return cron.now()


def _read():
    return cron.read(STATE, {"covered", "running", "failures", "problem"})


def _write(state):
    """Keep ``state`` for the health check and for after a restart; a full disk must not end the schedule."""
    try:
        places.WORK.mkdir(mode=0o700, exist_ok=True)
        cron.write(STATE, state)
    except OSError as problem:
        say(f"the state of the schedule cannot be written: {problem}")
