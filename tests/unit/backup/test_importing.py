"""What is taken from elsewhere: dumps in plain SQL, and folders of uploads. No engine."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.backup import importing
from slipway.core.errors import SlipwayError
from slipway.postgres import plainsql

HEAD = """\
--
-- PostgreSQL database dump
--

\\restrict Tok3n
-- Dumped from database version 15.14

SET client_encoding = 'UTF8';
DROP TABLE IF EXISTS public.note;
ALTER TABLE ONLY public.note DROP CONSTRAINT note_pkey;
DROP SCHEMA public;
CREATE TABLE public.note (
    body text
);
ALTER TABLE public.note OWNER TO "shop owner";
"""
COPY = """\
COPY public.note (body) FROM stdin;
\\\\restrict me
CREATE DATABASE in a text;
\\connect in a text, which psql does not read
-- GRANT ALL ON t TO nobody;
\\.
"""
END = """\
DROP TABLE public.afterwards;
GRANT SELECT ON TABLE public.note TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE "shop owner" GRANT SELECT ON TABLES TO PUBLIC;
--
-- PostgreSQL database dump complete
--

\\unrestrict Tok3n
"""


def _prepared(tmp_path: Path, content: bytes | str, server: int = 17) -> tuple[str, frozenset[str]]:
    source = tmp_path / "site.sql"
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    target = tmp_path / "prepared"
    roles = plainsql.prepare(source, target, server)
    return target.read_text(), roles


def test_a_plain_dump_is_made_ready_for_a_restricted_psql(tmp_path: Path) -> None:
    """Red when a line of the data is taken for a command, or a role or a drop at the head is not seen."""
    text, roles = _prepared(tmp_path, HEAD + COPY + END)
    first, rest = text.split("\n", 1)
    assert first.startswith("\\restrict ") and "Tok3n" not in text
    assert COPY in rest
    assert roles == {"shop owner", "reader"}
    assert "DROP TABLE IF EXISTS" not in rest and "DROP CONSTRAINT" not in rest
    assert "DROP SCHEMA public;" in rest and "DROP TABLE public.afterwards;" in rest
    assert (tmp_path / "prepared").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_one_is_unpacked(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """Red when psql is given the compressed bytes; one that is cut off is refused."""
    packed = compress((HEAD + COPY + END).encode())
    assert COPY in _prepared(tmp_path, packed)[0]
    (tmp_path / "prepared").unlink()
    with pytest.raises(SlipwayError, match=r"SLIP-089.*cannot be"):
        _prepared(tmp_path, packed[:-12])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n  \n", "empty"),
        (HEAD + COPY, "cut off"),
        (HEAD + COPY[:60], "cut off"),
        (HEAD + "\\connect shop\n" + END, "--create"),
        (HEAD + "DROP DATABASE app;\n" + END, "--create"),
        (HEAD + "ALTER DATABASE app SET x TO y;\n" + END, "--create"),
        ("--\n-- PostgreSQL database cluster dump\n--\n", "pg_dumpall"),
        (HEAD.replace("15.14", "18.1") + END, "PostgreSQL 18"),
        (b"SQLite format 3\0", "SQLite"),
        (b"-- MySQL dump 10.13\n", "MySQL"),
        ("\ufeffCREATE".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04...", "zip"),
        (b"\x28\xb5\x2f\xfd....", "zstd"),
        (b"\x7fELF\0\0\0", "neither"),
    ],
)
def test_what_is_no_whole_plain_dump_is_refused(tmp_path: Path, content: bytes | str, why: str) -> None:
    """Red when one of them reaches the database: some would fail late, some would reach the serving one."""
    with pytest.raises(SlipwayError, match=rf"SLIP-089.*{why}"):
        _prepared(tmp_path, content)


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    """Red when psql finds it before the first statement."""
    text, _ = _prepared(tmp_path, b"\xef\xbb\xbf" + b"CREATE TABLE t ();\n")
    assert text.split("\n")[1] == "CREATE TABLE t ();"


def test_no_such_file_and_a_folder_are_told(tmp_path: Path) -> None:
    """Red when a traceback says it."""
    for path in (tmp_path / "none.sql", tmp_path):
        with pytest.raises(SlipwayError, match="SLIP-089"):
            plainsql.prepare(path, tmp_path / "prepared", 17)


def test_a_folder_is_streamed_with_modes_that_nginx_can_read(tmp_path: Path) -> None:
    """Red when a file keeps mode 0600, is left out, or a link leads out of the folder."""
    root = tmp_path / "uploads"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "ü.txt").write_bytes(b"private")
    (root / "a" / "b" / "ü.txt").chmod(0o600)
    (root / "empty").mkdir()
    (root / "same.txt").hardlink_to(root / "a" / "b" / "ü.txt")
    (root / "link.txt").symlink_to("a/b/ü.txt")
    (root / "out.txt").symlink_to("/etc/hostname")
    (root / "Thumbs.db").touch()
    os.mkfifo(root / "pipe")
    members = list(importing._members(root))
    found = {}
    with (
        importing._streamed(root, members) as pipe,
        pipe.open("rb") as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        for member in tar:
            file = tar.extractfile(member)
            found[member.name] = (member.mode, member.uid, file.read() if file else b"")
    private, folder = (0o644, 0, b"private"), (0o755, 0, b"")
    assert found == {
        "a": folder, "a/b": folder, "empty": folder,
        "a/b/ü.txt": private, "same.txt": private, "link.txt": private,
    }  # fmt: skip


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.touch()])
def test_a_folder_without_files_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Red when a typing mistake in the path empties the uploads."""
    make(tmp_path / "uploads")
    with pytest.raises(SlipwayError, match="SLIP-194"):
        list(importing._members(tmp_path / "uploads"))


def test_a_reader_that_goes_away_ends_the_stream(tmp_path: Path) -> None:
    """Red when the thread dies of a broken pipe with a traceback."""
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    with importing._streamed(tmp_path, [tmp_path / "big"]) as pipe:
        pipe.open("rb").close()
        for thread in threading.enumerate():
            if thread.daemon and thread is not threading.main_thread():
                thread.join(5)
                assert not thread.is_alive()
