"""The short form: made, verified, restored exactly; and three archives that are refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from backupkit import Kept, assert_clean, assert_serves, forged, listed, post, state, tampered

from tests.support.world import World


def test_what_was_stored_comes_back_exactly(prod: World, kept: Kept) -> None:
    """Red when an entry, an image or a byte of it is missing, or what was stored since stays."""
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    post(prod, "stored since")
    now = state(prod)
    assert now[0] > kept.state[0] and now[1] > kept.state[1]
    prod.invoke("db.restore", kept.path.name, "--yes")
    assert state(prod) == kept.state
    assert_serves(prod)
    assert_clean(prod)
    # The way back: what was stored since is in the backup that was made before.
    before = max(name for name in listed(prod) if "before-restore" in name)
    prod.invoke("db.restore", before, "--yes")
    assert state(prod) == now


def test_verified_means_restored_and_compared(prod: World, kept: Kept) -> None:
    """Red when nothing is compared, the result is not remembered, or something is left."""
    assert listed(prod)[kept.path.name]["verified"] is None
    before = state(prod)
    rows = json.loads(prod.invoke("db.verify", kept.path.name, "--json").stdout)
    found = {row["what"]: row for row in rows}
    assert all(row["same"] for row in rows)
    assert found["public.guestbook_entry"]["found"] == len(kept.state[0])
    assert found["media files"]["found"] == len(kept.state[1])
    assert "guestbook.0001_initial" in found["migrations"]["found"]
    assert listed(prod)[kept.path.name]["verified"]
    assert state(prod) == before
    assert_clean(prod)


@pytest.mark.parametrize("what", ["cut off", "another's", "newer"])
def test_a_bad_archive_is_refused_and_nothing_changes(
    prod: World, kept: Kept, tmp_path: Path, what: str
) -> None:
    """Red when one is restored, or found bad only after the site was closed. All cases: test_bad_archives."""
    if what == "cut off":
        bad, code = tampered(kept, "cut.tar", lambda whole: whole[: len(whole) // 2]), "SLIP-095"
    elif what == "another's":
        bad = forged(kept, "other.tar", tmp_path, facts=lambda m: m.update(project="shop-prod"))
        code = "SLIP-096"
    else:
        bad, code = forged(kept, "newer.tar", tmp_path, facts=lambda m: m.update(format=99)), "SLIP-097"
    before = state(prod)
    refused = prod.invoke("db.restore", bad.name, "--yes", check=False)
    bad.unlink()
    assert refused.returncode == 1 and code in refused.stderr, refused.stderr
    assert "maintenance on" not in refused.stderr
    assert state(prod) == before
    assert_clean(prod)
