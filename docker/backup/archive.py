"""The archive: a plain tar file of metadata.json, SHA256SUMS, database.dump and media.tar.zst, in this order.

Between the last two are the dumps of EXTRA_DATABASES, if there are any: database-NAME.dump. The format is
then 2, which kits that do not know them refuse; otherwise 1. After all of them is data.tar.zst with
DATA_PATHS; the format is then 3.

Each member is compressed separately, so `tar --extract` and `sha256sum --check SHA256SUMS` do by hand what
the kit does. The reader is strict: an archive that differs by a byte from the writer's output is damaged.
"""

import hashlib
import io
import json
import re
import tarfile

from failure import BackupError, damaged

FORMAT, FORMAT_WITH_EXTRA, FORMAT_WITH_DATA = 1, 2, 3
WRITER = "slipway 0.1.0"
METADATA, DATABASE, SUMS = "metadata.json", "database.dump", "SHA256SUMS"
MEDIA, DATA = "media.tar.zst", "data.tar.zst"
_EXTRA = re.compile(r"database-([a-z_][a-z0-9_]*)\.dump")
_KEYS = {"project", "release", "created", "members", "media"}
_BLOCK = 512
_CHUNK = 1 << 20
_LARGEST_TEXT = 64 << 20  # metadata of a hundred thousand tables is far smaller


def extra_member(name):
    """Return the name of the member with the dump of the extra database ``name``."""
    return f"database-{name}.dump"


def extra_databases(metadata):
    """Return the names of the extra databases in the archive with this ``metadata``."""
    return [match[1] for name in metadata["members"] if (match := _EXTRA.fullmatch(name))]


def digest(path):
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(sink, metadata, files):
    """Write an archive to ``sink``: ``metadata`` and ``files``, a dict of member names and paths.

    The caller has put size and SHA-256 of each file under ``members`` into ``metadata``.
    """
    text = json.dumps(metadata, indent=1, ensure_ascii=False).encode()
    _write_member(sink, METADATA, io.BytesIO(text), len(text))
    sums = _sums(text, metadata)
    _write_member(sink, SUMS, io.BytesIO(sums), len(sums))
    for name, path in files.items():
        with path.open("rb") as file:
            _write_member(sink, name, file, metadata["members"][name]["size"])
    sink.write(bytes(2 * _BLOCK))


class Reader:
    """Reads an archive called ``name`` from ``stream``, from its beginning to its end."""

    def __init__(self, stream, name):
        self._stream = stream
        self._name = name

    def metadata(self):
        """Return the metadata, which come first, checked against their SHA-256.

        Raises ``BackupError`` SLIP-095, or SLIP-097 for a newer format.
        """
        text = self._text(METADATA)
        try:
            found = json.loads(text)
            version = found["format"]
        except (ValueError, KeyError, TypeError):
            raise damaged(self._name, "its metadata cannot be read") from None
        if version not in (FORMAT, FORMAT_WITH_EXTRA, FORMAT_WITH_DATA):
            raise BackupError(
                "SLIP-097",
                f"{self._name} has format {version}, written by {found.get('writer', 'another kit')}; "
                f"this kit reads formats {FORMAT} to {FORMAT_WITH_DATA}",
                "restore it with the newer kit",
            )
        try:
            expected = _sums(text, found) if found.keys() >= _KEYS else None
        except (KeyError, TypeError, AttributeError):
            expected = None
        if self._text(SUMS) != expected:
            raise damaged(self._name, "the SHA-256 of its metadata does not match")
        return found

    def members(self, metadata, folder):
        """Write the files into ``folder``, up to the end, checked against ``metadata``."""
        for expected, facts in metadata["members"].items():
            name, size = self._header()
            known = name in {DATABASE, MEDIA, DATA} or _EXTRA.fullmatch(name)
            if name != expected or not known or size != facts["size"]:
                raise damaged(self._name, f"{expected} is not what its metadata say")
            hashing = hashlib.sha256()
            with (folder / name).open("xb") as file:
                for chunk in self._content(size):
                    hashing.update(chunk)
                    file.write(chunk)
            if hashing.hexdigest() != facts["sha256"]:
                raise damaged(self._name, f"the SHA-256 of {name} does not match its metadata")
        if self._exactly(2 * _BLOCK) != bytes(2 * _BLOCK) or self._stream.read(1):
            raise damaged(self._name, "it does not end as a backup")

    def _header(self):
        raw = self._exactly(_BLOCK)
        try:
            found = tarfile.TarInfo.frombuf(raw, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeError):
            raise damaged(self._name, "where a file should begin, there is none") from None
        # A header that the writer does not write is not interpreted: it may be anything.
        if raw != _header(found.name, found.size):
            raise damaged(self._name, f"the header of {found.name!r} is not one of a backup's")
        return found.name, found.size

    def _text(self, expected):
        name, size = self._header()
        if name != expected or size > _LARGEST_TEXT:
            raise damaged(self._name, "it does not begin as a backup")
        return b"".join(self._content(size))

    def _content(self, size):
        left = size
        while left:
            chunk = self._exactly(min(left, _CHUNK))
            left -= len(chunk)
            yield chunk
        if any(self._exactly(-size % _BLOCK)):
            raise damaged(self._name, "there is something between its files")

    def _exactly(self, size):
        found = self._stream.read(size) if size else b""
        if len(found) != size:
            raise damaged(self._name, "it is cut off")
        return found


def _sums(text, metadata):
    """Return what `sha256sum` would print of the metadata, whose text is given, and of the files."""
    found = {METADATA: hashlib.sha256(text).hexdigest()}
    found |= {name: facts["sha256"] for name, facts in metadata["members"].items()}
    return "".join(f"{value}  {name}\n" for name, value in found.items()).encode()


def _header(name, size):
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member.tobuf(tarfile.GNU_FORMAT)


def _write_member(sink, name, stream, size):
    sink.write(_header(name, size))
    left = size
    while left:
        chunk = stream.read(min(left, _CHUNK))
        if not chunk:
            raise OSError(f"{name} became shorter while it was copied")
        sink.write(chunk)
        left -= len(chunk)
    sink.write(bytes(-size % _BLOCK))
