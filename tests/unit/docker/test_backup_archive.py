"""The archive's format: read back as written, and not at all once a bit of it is another."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kitfiles import load

from slipway.core.checkout import ROOT


@pytest.fixture(scope="module")
def archive() -> ModuleType:
    return load("backup/archive")


@pytest.fixture(scope="module")
def written(archive: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small archive."""
    folder = tmp_path_factory.mktemp("archive")
    files = {archive.DATABASE: folder / "one", archive.MEDIA: folder / "two"}
    files[archive.DATABASE].write_bytes(b"PGDMP" * 30)
    files[archive.MEDIA].write_bytes(b"media")
    members = {
        name: {"size": path.stat().st_size, "sha256": archive.digest(path)} for name, path in files.items()
    }
    sink = io.BytesIO()
    facts = {"format": 1, "writer": "test", "members": members, "media": {"files": 1, "bytes": 5}}
    archive.write(sink, {**facts, "project": "shop-prod", "release": "one", "created": "now"}, files)
    return sink.getvalue()


def _read(archive: ModuleType, content: bytes, folder: Path) -> dict[str, Any]:
    reader = archive.Reader(io.BytesIO(content), "x.tar")
    metadata: dict[str, Any] = reader.metadata()
    folder.mkdir(exist_ok=True)
    for name in metadata["members"]:
        (folder / name).unlink(missing_ok=True)
    reader.members(metadata, folder)
    return metadata


def test_what_is_written_is_read(archive: ModuleType, written: bytes, tmp_path: Path) -> None:
    """Red when reader and writer part ways."""
    assert _read(archive, written, tmp_path)["writer"] == "test"
    assert (tmp_path / archive.MEDIA).read_bytes() == b"media"


def test_metadata_come_first_and_tar_and_sha256sum_can_do_it(
    archive: ModuleType, written: bytes, tmp_path: Path
) -> None:
    """Red when the page's commands for doing it by hand do not work any more."""
    # The program: Debian 12's Python has no safe way to extract.
    argv = ["tar", "--extract", "--verbose"]
    done_by_tar = subprocess.run(argv, input=written, cwd=tmp_path, capture_output=True, check=True)
    names = done_by_tar.stdout.decode().split()
    assert names == ["metadata.json", "SHA256SUMS", "database.dump", "media.tar.zst"]
    argv = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count(": OK") == 3, done.stderr


def test_more_databases_have_members_of_their_own(archive: ModuleType, tmp_path: Path) -> None:
    """Red when one is not found by its name, or any name at all is a member's."""
    for member, found in (("database-sales_2026.dump", ["sales_2026"]), ("database-../x.dump", [])):
        sink, source = io.BytesIO(), tmp_path / "source"
        source.write_bytes(b"PGDMP")
        members = {member: {"size": 5, "sha256": archive.digest(source)}}
        facts = {"format": 2, "writer": "test", "members": members, "media": {}, "project": "shop-prod"}
        archive.write(sink, {**facts, "release": "one", "created": "now"}, {member: source})
        assert archive.extra_databases(facts) == found
        if found:
            assert _read(archive, sink.getvalue(), tmp_path / "out")["members"] == members
        else:
            with pytest.raises(Exception, match="SLIP-095"):
                _read(archive, sink.getvalue(), tmp_path / "out")


def test_every_single_bit_counts(archive: ModuleType, written: bytes, tmp_path: Path) -> None:
    """Red when a byte anywhere, padding and end included, may be another."""
    for at in range(len(written)):
        bad = bytearray(written)
        bad[at] ^= 1 << (at % 8)
        with pytest.raises(Exception, match=r"^SLIP-09[57]"):
            _read(archive, bytes(bad), tmp_path)


def test_cut_off_anywhere(archive: ModuleType, written: bytes, tmp_path: Path) -> None:
    """Red when a part counts as the whole."""
    for length in range(len(written)):
        with pytest.raises(Exception, match="SLIP-095"):
            _read(archive, written[:length], tmp_path)
    with pytest.raises(Exception, match=r"SLIP-095.*does not end"):
        _read(archive, written + b"\0", tmp_path)


def test_the_writer_is_named_with_this_version(archive: ModuleType) -> None:
    """Red when the version is raised in one place only."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version and f"slipway {version[1]}" == archive.WRITER
