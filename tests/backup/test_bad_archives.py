"""What is not restored, and why; nothing changes, and nobody notices."""

from __future__ import annotations

import contextlib
import random
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from backupkit import Kept, assert_clean, assert_serves, backup, forged, state, tampered, tar

from tests.support.world import World

_PASSPHRASE = "correct horse battery staple"


def assert_refused(own: World, name: str, code: str, reason: str, *flags: str) -> None:
    """Neither restored nor verified; the message has ``reason`` in it."""
    before = state(own)
    refused = own.invoke("db.restore", name, "--yes", *flags, check=False)
    assert refused.returncode == 1, refused.stderr
    assert f"{code}: " in refused.stderr and reason in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr
    assert "maintenance on" not in refused.stderr, "the site was closed for it"
    assert state(own) == before
    assert_clean(own)


def _flipped(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


@pytest.mark.parametrize("where", ["metadata", "header", "dump", "padding", "end", "anywhere", "anywhere"])
def test_one_flipped_bit(prod: World, kept: Kept, where: str) -> None:
    """Red when a member is not compared with its checksum, or what lies between them is not looked at."""
    whole = kept.path.read_bytes()
    with tarfile.open(kept.path) as file:
        first, _, dump = file.getmembers()[:3]
    at = {
        "metadata": first.offset_data + whole[first.offset_data :].index(b"guestbook"),
        "header": dump.offset + 5,
        "dump": dump.offset_data + dump.size // 2,
        "padding": first.offset_data + first.size,
        "end": len(whole) - 1,
        "anywhere": random.randrange(len(whole)),
    }[where]
    print(f"byte {at} of {len(whole)}")
    bad = tampered(kept, "flipped.tar", lambda whole: _flipped(whole, at))
    assert_refused(prod, bad.name, "SLIP-095", "flipped.tar is damaged")
    bad.unlink()


@pytest.mark.parametrize("length", [0, 1, 512, 0.3, 0.6, -1024, -1])
def test_cut_off_anywhere(prod: World, kept: Kept, length: float) -> None:
    """Red when what there is of it counts as all of it."""
    size = kept.path.stat().st_size
    end = int(size * length) if 0 < length < 1 else int(length) % size
    bad = tampered(kept, "cut.tar", lambda whole: whole[:end])
    assert_refused(prod, bad.name, "SLIP-095", "cut.tar is damaged")
    bad.unlink()


def test_something_appended(prod: World, kept: Kept) -> None:
    """Red when reading stops where the archive should end."""
    bad = tampered(kept, "longer.tar", lambda whole: whole + bytes(512))
    assert_refused(prod, bad.name, "SLIP-095", "does not end")
    bad.unlink()


def test_another_project(prod: World, kept: Kept, tmp_path: Path) -> None:
    """Red when it needs no flag, or the flag admits any project."""
    other = forged(kept, "other.tar", tmp_path, facts=lambda m: m.update(project="shop-prod"))
    assert_refused(prod, other.name, "SLIP-096", "--from-project shop-prod")
    assert_refused(prod, other.name, "SLIP-096", "is a backup of shop-prod", "--from-project", "shop-dev")
    prod.invoke("db.restore", other.name, "--yes", "--from-project", "shop-prod")
    other.unlink()
    assert state(prod) == kept.state


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("format", {"format": 99}, "has format 99, written by slipway"),
        ("server", {"postgresql": {"version": "99.1", "version_num": 990001}}, "is of PostgreSQL 99"),
    ],
)
def test_newer_than_what_is_here(
    prod: World, kept: Kept, tmp_path: Path, name: str, change: dict[str, object], reason: str
) -> None:
    """Red when the reader guesses at what it does not know, or leaves it to pg_restore."""
    bad = forged(kept, f"newer-{name}.tar", tmp_path, facts=lambda m: m.update(change))
    assert_refused(prod, bad.name, "SLIP-097", reason)
    verified = prod.invoke("db.verify", bad.name, check=False)
    bad.unlink()
    assert "SLIP-097" in verified.stderr


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    member.size = 1 if kind == tarfile.REGTYPE else 0
    return member


@pytest.mark.parametrize(
    "members",
    [
        [_member("/etc/passwd")],
        [_member("../../outside")],
        [_member("link", tarfile.SYMTYPE, "/etc")],
        [_member("link", tarfile.SYMTYPE, "../..")],
        [_member("here", tarfile.LNKTYPE, "../../etc/passwd")],
        [_member("null", tarfile.CHRTYPE)],
        [_member("fifo", tarfile.FIFOTYPE)],
        [_member(".slipway-restoring/state")],
    ],
    ids=["absolute", "parent", "link-out", "link-up", "hard-link", "device", "fifo", "ours"],
)
def test_hostile_names_among_the_media(
    prod: World, kept: Kept, tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    """Red when one is unpacked, or skipped: whoever has made such an archive has not made a backup."""
    bad = forged(kept, "hostile.tar", tmp_path, media=tar(*members), count={"files": 1, "bytes": 1})
    assert_refused(prod, bad.name, "SLIP-095", "leave their folder, or are no files")
    bad.unlink()


def test_other_media_than_were_counted(prod: World, kept: Kept, tmp_path: Path) -> None:
    """Red when the numbers of the metadata are not looked at."""
    bad = forged(kept, "fewer.tar", tmp_path, media=tar(), count={"files": 2, "bytes": 2})
    assert_refused(prod, bad.name, "SLIP-095", "not those its metadata count")
    bad.unlink()


def test_a_verification_finds_what_checksums_do_not(prod: World, kept: Kept, tmp_path: Path) -> None:
    """Red when row counts or migrations are not compared: the archive says of itself that it is whole."""

    def lie(metadata: dict[str, dict[str, int]]) -> None:
        metadata["tables"]["public.guestbook_entry"] += 1

    bad = forged(kept, "lies.tar", tmp_path, facts=lie)
    red = prod.invoke("db.verify", bad.name, check=False)
    assert red.returncode == 1 and "SLIP-102" in red.stderr and "public.guestbook_entry" in red.stderr
    bad.unlink()
    bad = forged(kept, "forgets.tar", tmp_path, facts=lambda m: m["migrations"].pop())
    red = prod.invoke("db.verify", bad.name, check=False)
    assert red.returncode == 1 and "differs once restored: migrations" in red.stderr
    bad.unlink()
    assert_clean(prod)


@pytest.mark.parametrize("name", ["nothing-there", "../.env", ".work"])
def test_no_such_backup(prod: World, kept: Kept, name: str) -> None:
    """Red when a name can lead out of the folder, or the message names no fix."""
    assert_refused(prod, name, "SLIP-094", "invoke db.backups lists them")


@contextlib.contextmanager
def _passphrase(own: World, text: str) -> Iterator[None]:
    file = own.root / "secrets" / "backup" / "passphrase"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_text(text)
    try:
        yield
    finally:
        file.unlink()


def test_encrypted(prod: World, kept: Kept, tmp_path: Path) -> None:
    """Red when plain gpg cannot decrypt it, another passphrase or none can, or damage is not seen."""
    del kept
    with _passphrase(prod, _PASSPHRASE):
        path = backup(prod, "sealed")
        assert path.name.endswith(".tar.gpg") and b"guestbook" not in path.read_bytes()
        home = tmp_path / "gnupg"
        home.mkdir(mode=0o700)
        options = ["--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
        argv = ["gpg", *options, "--passphrase", _PASSPHRASE, "--decrypt", str(path)]
        plain = subprocess.run(argv, capture_output=True, check=True).stdout
        (tmp_path / "plain.tar").write_bytes(plain)
        subprocess.run(["tar", "--extract", "--file", "plain.tar"], cwd=tmp_path, check=True)
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True)
        sealed = Kept(path, state(prod))
        for name, bad in {
            "cut.tar.gpg": tampered(sealed, "cut.tar.gpg", lambda whole: whole[: len(whole) // 2]),
            "bit.tar.gpg": tampered(sealed, "bit.tar.gpg", lambda whole: _flipped(whole, len(whole) // 2)),
        }.items():
            assert_refused(prod, name, "SLIP-095", "is damaged")
            bad.unlink()
    with _passphrase(prod, "another one"):
        assert_refused(prod, path.name, "SLIP-098", "cannot be decrypted with this passphrase")
    with _passphrase(prod, "\n"):
        assert_refused(prod, path.name, "SLIP-098", "the passphrase is empty")
        refused = prod.invoke("db.backup", check=False)
        assert refused.returncode == 1 and "SLIP-098" in refused.stderr
    assert_refused(prod, path.name, "SLIP-098", "there is no passphrase")
    with _passphrase(prod, _PASSPHRASE):
        prod.invoke("db.verify", path.name)
        prod.invoke("db.restore", path.name, "--yes")
    assert state(prod) == sealed.state
    assert_serves(prod)
