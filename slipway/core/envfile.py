"""Reads an env file so that Docker Compose and python-dotenv are sure to agree on it.

Both tools read the same files here (Compose for interpolation and ``env_file``, python-dotenv for the
tasks), and their dialects differ: Compose expands ``$VAR``, python-dotenv only ``${VAR}``; from ``A= #b``
one reads a value and the other none. A line that they could read differently is refused by its number.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from slipway.core.errors import SlipwayError

__all__ = ["Entry", "quote", "read", "with_values"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NOT_TEXT = re.compile(r"\0|\r(?!\n)")
# Only white space and names that both accept: python-dotenv accepts more white space, and quoted names.
_START = re.compile(r"[ \t\r\n]*(?:\Z|#|(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*=)")
_VALUE = re.compile(
    r"""
    [ \t]* (?: '(?: [^'\\] | \\[^\\] )*' | (?P<double> "(?: [^"\\] | \\[^'0] )*" ) ) [ \t]* (?:\#.*)?
    | (?P<plain> (?: \# | [ \t]* [^\s\#'"] ) \S* (?: [^\S\r\n]+ [^\s\#] \S* )* ) (?: [ \t]*[ ]\#.* | [ \t]* )
    | [ \t]*
    """,
    re.VERBOSE,
)
# Before any other character, as in ^/api$, both read a $ as a dollar sign.
_VARIABLE = re.compile(r"\$[$a-z_{(]|\\\$", re.IGNORECASE)
# Why a text is no _VALUE; the first match counts.
_DOUBTS = (
    (r"[ \t]*'.*\\\\", "one reads a doubled backslash as one, the other as two"),
    (r"[ \t]*\".*\\['0]", "one drops a backslash before ' or 0, the other keeps it"),
    (r"[ \t]+#", "one reads the # as a comment, the other as the value"),
    (r".*\s#", "one starts a comment at a # after any white space, the other only after a plain space"),
    (r"", "it starts or ends with white space that is neither space nor tab"),
)


@dataclass(frozen=True)
class Entry:
    """One variable: its value, and the file and 1-based line it was read from."""

    name: str
    value: str
    path: Path
    line: int

    @property
    def where(self) -> str:
        """``FILE:LINE``, the form that editors and terminals turn into a link."""
        return f"{self.path.name}:{self.line}"


def read(path: Path) -> dict[str, Entry]:
    """Read ``path`` and return its entries by name, in file order.

    Raises ``SlipwayError``: SLIP-001 missing, SLIP-002 unreadable, SLIP-003 a bad line,
    SLIP-004 a value on which Compose and python-dotenv disagree.
    """
    entries: dict[str, Entry] = {}
    with _open(path) as stream:
        for binding in parse_stream(stream):
            entry = _entry(path, binding)
            if entry is None:
                continue
            if entry.name in entries:
                raise _bad_line(
                    path,
                    entry.line,
                    f"{entry.name} is already set on line {entries[entry.name].line}",
                    "keep one of the two lines",
                )
            entries[entry.name] = entry
    return entries


def quote(value: str) -> str:
    """Return ``value`` quoted so that both readers return it unchanged.

    Raises ``SlipwayError`` SLIP-004 when that is impossible, for example with both kinds of quotes in it.
    """
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,=\[\]{}-]*", value):
        return value
    # In single quotes python-dotenv unescapes \' and \\; in double quotes both expand $ and decode a \.
    for mark, unsafe in (("'", r"'|\\\\|\\\Z"), ('"', r'["$\\]')):
        if not re.search(unsafe, value) and not _NOT_TEXT.search(value):
            return f"{mark}{value}{mark}"
    raise SlipwayError(
        "SLIP-004",
        f"Compose and python-dotenv read this differently, however it is quoted: {value}",
        "remove the quotes, $ or backslashes from it; if it is the name of a folder, rename the folder",
    )


def with_values(path: Path, values: Mapping[str, str]) -> str:
    """The text of ``path`` with new ``values`` for variables it names; every other character is kept.

    A comment after a replaced value is dropped: it was about the old one. Raises as ``read``.
    """
    read(path)
    parts = []
    for binding in parse_stream(_open(path)):
        text = binding.original.string
        if start := binding.key in values and _START.match(text):
            text = f"{start[0]}{quote(values[str(binding.key)])}{text[len(text.rstrip(chr(13) + chr(10))) :]}"
        parts.append(text)
    return "".join(parts)


def _open(path: Path) -> io.StringIO:
    try:
        text = path.read_bytes().decode("utf-8")
        if text.startswith("\ufeff"):
            raise SlipwayError(
                "SLIP-002",
                f"{path.name} begins with a byte order mark, which is no part of a variable's name",
                f"remove it: sed -i '1s/^\\xef\\xbb\\xbf//' {shlex.quote(path.name)}",
            )
        if broken := _NOT_TEXT.search(text):
            raise _bad_line(
                path,
                text.count("\n", 0, broken.start()) + 1,
                f"{broken[0]!r} is neither text nor the end of a line",
                "save the file as plain text with LF or CR LF at the end of each line",
            )
    except FileNotFoundError:
        raise SlipwayError("SLIP-001", f"{path.name} does not exist", "create it with: invoke init") from None
    except UnicodeDecodeError as bad:
        raise SlipwayError(
            "SLIP-002",
            f"{path.name} is not UTF-8 text (byte {bad.start})",
            "save it as UTF-8",
        ) from None
    except OSError as problem:
        raise SlipwayError(
            "SLIP-002",
            f"{path.name} cannot be read: {problem.strerror}",
            f"check it with: ls -ld {path.name}",
        ) from None
    return io.StringIO(text)


def _entry(path: Path, binding: Binding) -> Entry | None:
    """The variable of ``binding``; None for a comment or a blank line."""
    text = binding.original.string
    bare = text.strip(" \t\r\n")
    # A binding's text includes the blank lines before it; errors name the line of the variable itself.
    line = binding.original.line + text[: text.index(bare)].count("\n")
    start = _START.match(text)
    if start and binding.key is None and not binding.error:
        return None
    if binding.key is not None and not _NAME.match(binding.key):
        raise _bad_line(
            path, line, f"{binding.key!r} is not a variable name", "use letters, digits and _ only"
        )
    if binding.key is not None and binding.value is None:
        raise _bad_line(path, line, f"{binding.key} has no value", f"write {binding.key}=value")
    if not start or binding.key is None or binding.value is None:
        shown = bare.split("\n")[0][:60]
        raise _bad_line(path, line, f"{shown!r} is not NAME=value", "write NAME=value, or start it with #")
    doubt = _disagreement(text[start.end() :].rstrip("\r\n"))
    if doubt:
        raise SlipwayError(
            "SLIP-004",
            f"{path.name}:{line}: Compose and python-dotenv read {binding.key} differently: {doubt}",
            f"put the value in single quotes: {binding.key}='…'; a value of app.env may also be in a file of "
            f"secrets/: {binding.key}={{{{secret:FILE}}}}",
        )
    return Entry(binding.key, binding.value, path, line)


def _disagreement(raw: str) -> str:
    """Why the two readers could differ on the text after ``=``; empty when they cannot."""
    if value := _VALUE.fullmatch(raw):
        expanded = value["double"] or value["plain"] or ""
        return "a $ starts a variable" if _VARIABLE.search(expanded) else ""
    return next(why for pattern, why in _DOUBTS if re.match(pattern, raw, re.DOTALL))


def _bad_line(path: Path, line: int, problem: str, fix: str) -> SlipwayError:
    return SlipwayError("SLIP-003", f"{path.name}:{line}: {problem}", fix)
