"""Backups by BACKUP_SCHEDULE: make, prune, copy; what failed is tried again, and known after a restart."""

import json
import os
import time
import traceback
from datetime import UTC, datetime, timedelta

import make
import places
import prune
import store
from croniter import croniter
from failure import BackupError
from places import say

STATE = places.WORK / "schedule.json"
# How long after its time a run may begin without being late.
LATE = timedelta(seconds=60)
_FIRST_RETRY = timedelta(minutes=1)
_LONGEST_RETRY = timedelta(hours=1)
# Not all of the wait at once: the clock may be set, and a suspended machine's goes on.
_NAP_SECONDS = 15


def run():
    """Work until SIGTERM. What was missed or cut off is made up for at once, what failed repeated."""
    state = _read() or {"covered": _text(_now()), "running": None, "failures": 0, "problem": ""}
    unfinished = state["running"] or state["failures"]
    state["running"] = None
    _write(state)
    at = _now() if unfinished else due(state)
    while True:
        _wait(at)
        _attempt(state)
        at = _next(state)


def due(state):
    """Return when the next run is due: the first time of the schedule after what the last one has covered."""
    covered = datetime.fromisoformat(state["running"] or state["covered"])
    return croniter(os.environ["BACKUP_SCHEDULE"], covered).get_next(datetime)


def backoff(failures):
    """Return how long to wait after so many failures in a row: 1, 2, 4 minutes and so on, at most an hour."""
    return min(_FIRST_RETRY * 2 ** min(failures - 1, 10), _LONGEST_RETRY)


def _next(state):
    if not state["failures"]:
        return due(state)
    retry = _now() + backoff(state["failures"])
    # Where it was the copy that failed, the next archive has its time still.
    return min(retry, due(state)) if due(state) > _now() else retry


def healthy():
    """Return ``next``, the time of the next run. Raises ``BackupError`` SLIP-111 for why it is not well."""
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
            f"the run of {_text(due(state))} has not begun",
            "its log says what is going on: invoke logs --services backup --prod",
        )
    return {"next": _text(due(state))}


def _attempt(state):
    """Make an archive if one is due; prune; copy. How it ended is in ``state``, and told in one line."""
    begun = _now()
    try:
        is_due = due(state) <= begun
        state["running"] = _text(begun)
        _write(state)
        if is_due:
            _refuse_during_restore()
            make.make()
            # Now, so that a kill during the copy is not followed by another archive, only by the copy.
            state["covered"] = state["running"]
            _write(state)
        prune.remove(*prune.expired())
        if store.configured():
            store.synchronise()
        state |= {"failures": 0, "problem": ""}
    except Exception as problem:  # whatever it is, the next run must come
        if not isinstance(problem, BackupError):
            traceback.print_exc()
        lines = str(problem).splitlines() or [type(problem).__name__]
        why = "; ".join(line.strip() for line in lines)
        state |= {"failures": state["failures"] + 1, "problem": why}
    state["running"] = None
    _write(state)
    if state["failures"]:
        again = _text(_next(state))
        say(
            f"SLIP-111: the scheduled backup failed, {state['failures']} in a row, again at {again}: "
            f"{state['problem']}"
        )
    else:
        say(f"the scheduled backup is done; the next is due {_text(due(state))}")


def _refuse_during_restore():
    # It exchanges the database first, then the media: what is read in between belongs to no moment.
    if (places.WORK / "restore").exists():
        raise BackupError(
            "SLIP-077",
            "a restore is under way, or was interrupted",
            "after an interrupted one, invoke db.prune --prod brings it to its end",
        )


def _wait(until):
    say(f"waiting until {_text(until)}") if until > _now() else None
    while (left := (until - _now()).total_seconds()) > 0:
        time.sleep(min(left, _NAP_SECONDS))


def _now():
    return datetime.now(UTC)


def _text(when):
    return when.isoformat(timespec="seconds")


def _read():
    try:
        found = json.loads(STATE.read_text())
        return found if {"covered", "running", "failures", "problem"} <= set(found) else None
    except (OSError, ValueError):
        return None


def _write(state):
    """Keep ``state`` for the health check and for after a restart; a full disk must not end the schedule."""
    draft = STATE.with_suffix(".part")
    try:
        places.WORK.mkdir(mode=0o700, exist_ok=True)
        draft.write_text(json.dumps(state))
        places.sync(draft)
        draft.replace(STATE)
    except OSError as problem:
        say(f"the state of the schedule cannot be written: {problem}")
