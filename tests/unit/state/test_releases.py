"""The ledger of releases: what is live, what one can go back to, what lies between."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.core.errors import SlipwayError
from slipway.state import releases
from slipway.state.releases import Release


def _entry(identifier: str, result: str = "live", **more: object) -> Release:
    return Release(id=identifier, image=f"sha256:{identifier}", result=result, **more)  # type: ignore[arg-type]


def test_entries_come_back_with_time_and_person(tmp_path: Path) -> None:
    """Red when a field is lost on the way through the file."""
    releases.append(tmp_path, _entry("a", migrations=("app.0001",), schema=("app.0001", "app.0002")))
    releases.append(tmp_path, _entry("b", "failed"))
    first, second = releases.read(tmp_path)
    assert (first.id, first.migrations, first.schema) == ("a", ("app.0001",), ("app.0001", "app.0002"))
    assert second.result == "failed"
    assert first.time.endswith("+00:00") and "@" in first.who


def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    """Red when half a line makes the whole ledger unreadable."""
    releases.append(tmp_path, _entry("a"))
    with (tmp_path / releases.LEDGER).open("a") as ledger:
        ledger.write('{"id": "b", "ima')
    assert [entry.id for entry in releases.read(tmp_path)] == ["a"]


def test_going_back_skips_what_failed_and_what_serves() -> None:
    """Red when a failed release, or the serving one, is offered."""
    entries = [_entry("a"), _entry("b"), _entry("c", "failed"), _entry("d")]
    assert releases.newest_before(entries, "d").id == "b"
    assert releases.newest_before(entries, "d", "a").id == "a"
    for wanted in ("c", "nothing"):
        with pytest.raises(SlipwayError, match="SLIP-082"):
            releases.newest_before(entries, "d", wanted)
    live = releases.live(entries)
    assert live is not None and live.id == "d"


def test_the_backup_is_the_first_one_after_the_target() -> None:
    """Red when a dump from before it, or one of a later state, is taken."""
    entries = [
        _entry("a"), _entry("b", backup="1.dump"), _entry("c", "failed", backup="2.dump"),
        _entry("d", backup="3.dump"),
    ]  # fmt: skip
    assert [releases.backup_before(entries, entry) for entry in entries] == ["1.dump", "2.dump", "3.dump", ""]


def test_a_release_that_went_live_twice_counts_from_the_second_time() -> None:
    """Red when equal entries are taken for one."""
    entries = [_entry("a"), _entry("b", backup="1.dump"), _entry("a"), _entry("c", backup="2.dump")]
    target = releases.newest_before(entries, "c", "a")
    assert releases.backup_before(entries, target) == "2.dump"
