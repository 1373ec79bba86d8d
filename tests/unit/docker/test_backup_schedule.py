"""When a scheduled backup is due, what is done after a failure, and when the service is well."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kitfiles import load

from slipway.core import values

_NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, at noon, with a run due every day at 3:30."""
    module = load("backup/schedule")
    monkeypatch.setenv("BACKUP_SCHEDULE", "30 3 * * *")
    monkeypatch.setattr(module, "_now", lambda: _NOW)
    monkeypatch.setattr(module, "STATE", tmp_path / "schedule.json")
    monkeypatch.setattr(module.places, "WORK", tmp_path)
    return module


def _state(**changes: Any) -> dict[str, Any]:
    return {"covered": "2026-03-02T03:30:00+00:00", "running": None, "failures": 0, "problem": "", **changes}


def _healthy(schedule: ModuleType, **changes: Any) -> bool:
    schedule.STATE.write_text(json.dumps(_state(**changes)))
    try:
        schedule.healthy()
    except schedule.BackupError as why:
        assert "SLIP-111" in str(why)
        return False
    return True


def test_due_after_what_is_covered(schedule: ModuleType) -> None:
    """Red when a run that was missed is due later than at once."""
    assert schedule.due(_state()) == datetime(2026, 3, 3, 3, 30, tzinfo=UTC)
    assert schedule.due(_state(covered="2026-02-01T00:00:00+00:00")) < _NOW


def test_a_failed_archive_and_a_failed_copy_wait_differently(
    schedule: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a failed copy keeps the next archive from its time, or failures follow without a pause."""
    minutes = [schedule.backoff(n).total_seconds() / 60 for n in (1, 2, 3, 6, 7, 50)]
    assert minutes == [1, 2, 4, 32, 60, 60]
    assert schedule._next(_state(failures=9, covered="2026-03-01T03:30:00+00:00")) == _NOW + timedelta(
        hours=1
    )
    monkeypatch.setenv("BACKUP_SCHEDULE", "*/10 * * * *")
    copied_not = _state(failures=9, covered="2026-03-02T12:00:00+00:00")
    assert schedule._next(copied_not) == _NOW + timedelta(minutes=10)


def test_well_until_a_run_fails_or_is_late(schedule: ModuleType) -> None:
    """Red when it says yes to a failure, a loop that stands, or no state; or no to a run that lasts."""
    assert _healthy(schedule)
    assert not _healthy(schedule, failures=1, problem="SLIP-100: …")
    assert not _healthy(schedule, covered="2026-03-01T00:00:00+00:00")
    assert _healthy(schedule, covered="2026-03-01T00:00:00+00:00", running="2026-03-02T03:30:01+00:00")
    assert not _healthy(schedule, covered="2026-02-27T00:00:00+00:00", running="2026-02-28T03:30:01+00:00")
    schedule.STATE.unlink()
    with pytest.raises(schedule.BackupError, match="SLIP-111"):
        schedule.healthy()


def test_a_late_copy_is_no_second_archive(schedule: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a failed or killed copy is followed by another archive."""
    made: list[str] = []
    on_the_disk: list[str] = []
    monkeypatch.setattr(schedule.make, "make", lambda: made.append("archive"))
    monkeypatch.setattr(schedule.prune, "expired", list)
    monkeypatch.setattr(schedule.prune, "remove", lambda *_: None)
    monkeypatch.setattr(schedule.store, "configured", lambda: True)

    def away() -> None:
        on_the_disk.append(schedule._read()["covered"])
        raise schedule.BackupError("SLIP-112", "away", "wait")

    monkeypatch.setattr(schedule.store, "synchronise", away)
    state = _state(covered="2026-03-01T03:30:00+00:00")
    schedule._attempt(state)
    schedule._attempt(state)
    assert (made, state["failures"], state["running"]) == (["archive"], 2, None)
    assert on_the_disk[0] == _NOW.isoformat()
    monkeypatch.setattr(schedule.store, "synchronise", lambda: None)
    schedule._attempt(state)
    assert (made, state["failures"]) == (["archive"], 0)


def test_nothing_is_made_in_the_middle_of_a_restore(
    schedule: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when database and media of two moments may come into one archive."""
    monkeypatch.setattr(schedule.make, "make", lambda: pytest.fail("made"))
    (schedule.places.WORK / "restore").mkdir()
    state = _state(covered="2026-03-01T03:30:00+00:00")
    schedule._attempt(state)
    assert state["failures"] == 1
    assert "SLIP-077" in state["problem"]


def test_what_is_copied_is_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Red when retention sees one place only: an archive is then copied and removed for ever."""
    store = load("backup/store")
    monkeypatch.setenv("BACKUP_PROJECT", "shop-prod")
    monkeypatch.setenv("BACKUP_S3_BUCKET", "b")
    monkeypatch.setenv("BACKUP_S3_PREFIX", "")
    for period, count in (("DAILY", "2"), ("WEEKLY", "0"), ("MONTHLY", "0")):
        monkeypatch.setenv(f"BACKUP_KEEP_{period}", count)
    monkeypatch.setattr(store, "BACKUPS", tmp_path)
    monkeypatch.setattr(store.places, "BACKUPS", tmp_path)
    for name in ("20260301T033000Z-prod.tar", "20260303T033000Z-prod.tar", "20260301T033000Z-dev.tar"):
        (tmp_path / name).write_text("x")
    there = ["20260302T033000Z-prod.tar", "20260228T033000Z-prod.tar", "20260228T033000Z-dev.tar"]
    monkeypatch.setattr(store, "_listing", lambda: [(store.ARCHIVE.fullmatch(name), 1) for name in there])
    copied: list[str] = []
    removed: list[tuple[str, ...]] = []
    monkeypatch.setattr(store, "copy", lambda *names: copied.extend(names))
    monkeypatch.setattr(store, "_rclone", lambda *argv: removed.append(argv))
    store.synchronise()
    assert copied == ["20260303T033000Z-prod.tar"]
    assert removed == [("deletefile", ":s3:b/shop/20260228T033000Z-prod.tar")]


@pytest.mark.parametrize("value", ["30 3 * * *", "*/5 0-6 1,15 * mon-fri", "0 0 * jan 0", "0  4 * * 7"])
def test_schedules_that_are_taken(value: str) -> None:
    """Red when what crontab(5) knows is refused."""
    assert values.schedule(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "daily",
        "@daily",
        "30 3 * *",
        "30 3 * * * *",
        "60 3 * * *",
        "0 0 30 2 *",
        "H 3 * * *",
        "* * L * *",
        "R * * * *",
    ],
)
def test_schedules_that_are_refused(value: str) -> None:
    """Red when a schedule gets through that never comes, has seconds, or differs between two libraries."""
    with pytest.raises(ValueError, match="not a cron expression"):
        values.schedule(value)


def test_both_images_hold_the_same_lock() -> None:
    """Red when migrations and backups do not exclude each other any more."""
    assert load("backup/database")._MIGRATION_LOCK == load("migrate_lock").LOCK_KEY
