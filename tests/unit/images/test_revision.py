"""Release ids: the same for the same content, another for another."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from slipway.core.run import Runner
from slipway.images.revision import describe


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.mark.skipif(not shutil.which("git"), reason="git is not on this machine")
def test_a_clean_tree_is_its_revision_and_a_changed_one_its_content(tmp_path: Path) -> None:
    """Red when two different uncommitted states share an id: a deploy could not tell them apart."""
    _git(tmp_path, "init")
    (tmp_path / "a.py").write_text("1")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-m", "first")
    clean = describe(tmp_path, Runner())
    assert len(clean["REVISION"]) == 40 and clean["RELEASE"] == clean["REVISION"][:12]
    (tmp_path / "a.py").write_text("2")
    changed = describe(tmp_path, Runner())["RELEASE"]
    assert changed.startswith(f"{clean['RELEASE']}-dirty-")
    (tmp_path / "new.py").write_text("3")
    assert describe(tmp_path, Runner())["RELEASE"] not in {changed, clean["RELEASE"]}


def test_without_git_it_is_a_digest_of_the_files(tmp_path: Path) -> None:
    """Red when every tree without git has the same id."""
    (tmp_path / "a.py").write_text("1")
    first = describe(tmp_path, Runner())
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert describe(tmp_path, Runner()) == first
    (tmp_path / "a.py").write_text("2")
    assert describe(tmp_path, Runner())["RELEASE"] != first["RELEASE"]
    assert first["RELEASE"].startswith("files-") and first["REVISION"] == "unknown"
