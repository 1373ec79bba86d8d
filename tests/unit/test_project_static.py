"""docker/project_static.py and docker/publish_static.py: STATIC_ROOT, .gz siblings, publishing."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from kitfiles import load

project_static = load("project_static")
publish_static = load("publish_static")


@pytest.mark.parametrize(
    ("printed", "root"),
    [
        ("DEBUG = False\nSTATIC_ROOT = '/srv/a'  ###\nSTATIC_URL = '/static/'\n", "/srv/a"),
        ("STATIC_ROOT = PosixPath('/app/staticfiles')\n", "/app/staticfiles"),
        ('### STATIC_ROOT = "/it\'s/here"\n', "/it's/here"),
        ("loading settings: STATIC_ROOT = '/not/this'\nSTATIC_ROOT = '/this'\n", "/this"),
        ("STATIC_ROOT = 'collected/'\n", str(Path.cwd() / "collected")),
    ],
)
def test_static_root_is_read_from_diffsettings(printed: str, root: str) -> None:
    """Red when a Path, a default mark or a relative value is not understood."""
    assert project_static.static_root(printed) == Path(root)


@pytest.mark.parametrize("printed", ["", "### STATIC_ROOT = None\n", "STATIC_ROOT = ''\n"])
def test_no_static_root_is_an_error_with_the_fix(printed: str) -> None:
    """Red when None is taken for a folder's name."""
    with pytest.raises(project_static.StaticError, match="COLLECTSTATIC=skip"):
        project_static.static_root(printed)


def test_a_static_root_around_the_project_is_refused() -> None:
    """Red without the check: the whole project would be published."""
    for folder in (Path.cwd(), Path.cwd().parent):
        with pytest.raises(project_static.StaticError, match="holds the project itself"):
            project_static.static_root(f"STATIC_ROOT = '{folder}'\n")


def test_only_what_gains_from_it_is_compressed(tmp_path: Path) -> None:
    """Red when images are packed again, tiny files get a sibling, or the time is not the original's."""
    (tmp_path / "css").mkdir()
    for name, content in {
        "css/site.css": b"a" * 5000,
        "logo.png": b"a" * 5000,
        "tiny.js": b"a" * 100,
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "noise.json").write_bytes(os.urandom(5000))
    os.utime(tmp_path / "css/site.css", (1_700_000_000, 1_700_000_000))
    assert project_static.precompress(tmp_path) == 1
    packed = tmp_path / "css/site.css.gz"
    assert [p.name for p in tmp_path.rglob("*.gz")] == ["site.css.gz"]
    assert gzip.decompress(packed.read_bytes()) == b"a" * 5000
    assert packed.stat().st_mtime == 1_700_000_000


def test_publishing_counts_replaces_and_leaves_alone(tmp_path: Path) -> None:
    """Red when files are compared by time and size alone, or an equal file is written again."""
    source, volume = tmp_path / "source", tmp_path / "volume"
    for folder in (source / "a", volume / "a"):
        folder.mkdir(parents=True)
    (source / "new.css").write_text("n")
    (source / "a/changed.css").write_text("12345")
    (volume / "a/changed.css").write_text("54321")
    (source / "same.css").write_text("s")
    (volume / "same.css").write_text("s")
    (volume / "old.css").write_text("o")
    (volume / "a/.half.css.99.slipway-publishing").write_text("half")
    for path in (source / "a/changed.css", volume / "a/changed.css", volume / "same.css"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    inode = (volume / "same.css").stat().st_ino
    assert publish_static.publish(source, volume) == {"new": 1, "updated": 1, "unchanged": 1}
    assert (volume / "a/changed.css").read_text() == "12345"
    assert (volume / "a/changed.css").stat().st_mtime == 1_700_000_000
    assert (volume / "same.css").stat().st_ino == inode
    assert (volume / "same.css").stat().st_mtime == 1_700_000_000
    assert sorted(p.name for p in volume.rglob("*") if p.is_file()) == [
        "changed.css",
        "new.css",
        "old.css",
        "same.css",
    ]


def test_a_file_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the copy goes straight to its name: the old content would be gone when it fails."""
    (tmp_path / "source").mkdir()
    (tmp_path / "volume").mkdir()
    (tmp_path / "source/site.css").write_text("new")
    (tmp_path / "volume/site.css").write_text("old")

    def disk_full(source: Path, target: Path) -> None:
        Path(target).write_text("n")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish_static.shutil, "copy2", disk_full)
    with pytest.raises(OSError, match="No space left"):
        publish_static.publish(tmp_path / "source", tmp_path / "volume")
    assert (tmp_path / "volume/site.css").read_text() == "old"
