"""Prepares a dump in plain SQL, ``pg_dump``'s default format, for one ``psql`` and one transaction.

A refusal here or psql's restricted mode limits it to the database that it is restored into: a file from
elsewhere must touch neither the serving database nor the container.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from slipway.core.errors import SlipwayError

__all__ = ["is_archive", "prepare", "unpacked"]

_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_HEAD = 512
# Statements that name roles, which pg_dump writes on one line each; and the position of the name.
_ABOUT_ROLES = re.compile(r"(?:ALTER .* OWNER TO|GRANT|REVOKE|ALTER DEFAULT PRIVILEGES|CREATE POLICY) ")
_ROLE = re.compile(r' (?:OWNER TO|TO|FROM|FOR ROLE) ("(?:[^"]|"")+"|[\w$]+)(?=[ ;])')
_COPY = re.compile(rb"^COPY .* FROM stdin;\r?\n?$", re.IGNORECASE)
# Written by --create: they affect databases that they name, not the one that is being filled.
_ABOUT_DATABASES = re.compile(rb"^(?:(?:CREATE|DROP|ALTER) DATABASE\b|\\connect\b|\\c )", re.IGNORECASE)
_NO_FILE_OF_PG_DUMP = {
    b"SQLite format 3": "it is an SQLite database",
    b"-- MySQL dump": "it is a dump of MySQL",
    b"-- MariaDB dump": "it is a dump of MariaDB",
    b"/*M!999999": "it is a dump of MariaDB",
    b"\xff\xfe": "it is UTF-16, as PowerShell's > writes; pg_dump --file=NAME writes a readable file",
    b"PK\x03\x04": "it is a zip file: unpack it first",
    b"\x28\xb5\x2f\xfd": "it is compressed by zstd: unpack it first (zstd --decompress)",
}


@contextmanager
def unpacked(source: Path) -> Iterator[IO[bytes]]:
    """Yield the bytes of ``source``, decompressed if it is a gzip, bzip2 or xz file.

    Raises ``SlipwayError`` SLIP-089 when it is missing, no file, or cut off in the middle.
    """
    if source.is_dir():
        raise _refused(source, "it is a folder; the directory format is not supported")
    opener: Any = open
    try:
        with source.open("rb") as file:
            start = file.read(6)
        opener = next((found for magic, found in _COMPRESSED.items() if start.startswith(magic)), open)
        with opener(source, "rb") as file:
            yield file
    except (EOFError, zlib.error, lzma.LZMAError) as problem:
        raise _refused(source, f"it cannot be decompressed: {problem}") from None
    except OSError as problem:
        raise _refused(source, problem.strerror or str(problem)) from None


def is_archive(start: bytes) -> bool:
    """Whether a file that begins with ``start`` is for ``pg_restore``: the custom or the tar format."""
    return start.startswith((b"PGDMP", b"toc.dat\0"))


def prepare(source: Path, target: Path, server: int) -> frozenset[str]:
    """Write the plain dump ``source`` to ``target`` for psql; return the roles that it names, unquoted.

    ``server`` is the major version that will read it. The statements with which ``--clean`` drops objects
    are left out: the database is new. Raises ``SlipwayError`` SLIP-089 for anything but one whole plain dump.
    """
    roles: set[str] = set()
    with unpacked(source) as lines, target.open("xb") as into:
        target.chmod(0o600)
        head = lines.read(_HEAD)
        _check_head(source, head)
        lines.seek(0)
        # From here on psql accepts only SQL: no command that connects elsewhere or runs a program.
        into.write(f"\\restrict {secrets.token_hex(16)}\n".encode())
        copying = complete = created = False
        own_end = b""
        for number, line in enumerate(lines):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
            if copying:
                copying = text.rstrip(b"\r\n") != b"\\."
            elif _COPY.match(text):
                copying = True
            elif not created and text.startswith(b"\\restrict "):
                own_end = b"\\un" + text[1:].rstrip()
                continue
            elif own_end and text.rstrip() == own_end:
                continue
            elif _ABOUT_DATABASES.match(text):
                raise _refused(source, "it was made with --create, and names its own database")
            elif not created and _drops_what_is_not_there(text):
                continue
            else:
                created = created or text.upper().startswith(b"CREATE ")
                complete = complete or b"PostgreSQL database dump complete" in text
                roles.update(_roles(text.decode("utf-8", "replace")))
                _check_version(source, text, server)
            into.write(text)
        if copying or (b"PostgreSQL database dump" in head and not complete):
            raise _refused(source, "it is cut off: its end is missing")
    return frozenset(roles)


def _drops_what_is_not_there(line: bytes) -> bool:
    found = re.match(rb"(?:DROP |ALTER TABLE .* DROP (?:CONSTRAINT|COLUMN) )", line)
    # This one exists, and the dump creates it again.
    return bool(found) and not re.match(rb"DROP SCHEMA (?:IF EXISTS )?public;", line)


def _roles(line: str) -> Iterator[str]:
    for name in _ROLE.findall(line) if _ABOUT_ROLES.match(line) else ():
        if name not in {"PUBLIC", "CURRENT_USER", "SESSION_USER"}:
            yield name[1:-1].replace('""', '"') if name.startswith('"') else name


def _check_head(source: Path, head: bytes) -> None:
    if not head.strip():
        raise _refused(source, "it is empty")
    for start, why in _NO_FILE_OF_PG_DUMP.items():
        if head.startswith(start):
            raise _refused(source, why)
    if b"PostgreSQL database cluster dump" in head:
        raise _refused(source, "it was made by pg_dumpall, with roles and several databases")
    if b"\0" in head:
        raise _refused(source, "it is neither SQL nor a file of pg_dump")


def _check_version(source: Path, line: bytes, server: int) -> None:
    found = re.match(rb"-- Dumped from database version (\d+)", line)
    if found and int(found[1]) > server:
        raise _refused(
            source, f"it is from PostgreSQL {found[1].decode()}; this is {server} and only reads older ones"
        )


def _refused(source: Path, why: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-089",
        f"{source} is not a dump that can be imported: {why}",
        "make a dump of that one database: pg_dump --format=custom --file=site.dump NAME",
    )
