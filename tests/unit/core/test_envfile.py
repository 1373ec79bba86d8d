"""Env files: what is refused, and with which words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kitfiles import load

from slipway.core import envfile
from slipway.core.errors import SlipwayError


def _read(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / ".env"
    path.write_bytes(text.encode())
    return {name: entry.value for name, entry in envfile.read(path).items()}


_DIFFERENT = [
    "A=a$b", 'A="a$b"', "A='a\\\\b'", "A=a\\$b", "A=$(x)", "A=${HOME}", "A=$$", "A= # note", "A=pa$$word  ",
    # To Go, as to Python, s and k have each a third form: a long s, and the sign of Kelvin.
    "A=$\u017f", "A=$\u212a",
    "A=x\t# note", "A=x \t# note", "A=x\v# note", "A=x\x1c# note", "A=x\u00a0# note", "A=x\u2028# note",
    "A=x\u00a0", "A=\u2003x", "A=\u2003", "A='x'\u2003", "A='x'\x1c# note", r'''A="It\'s"''', r'A="\0"',
]  # fmt: skip
_BAD = [
    "just words", "A", "A='x'y", "A='open", "1A=x", "A: x", "A B=x", "'A'=x",
    "\u00a0A=x", "A\x1c=x", "export\u2003A=x", "\x1c# note",
    "A=x\rC=y", "# note\rA=x", "A=x\r\r", "A='x\r'", "A=x\0",
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=x", "x"),
        ("A=x ", "x"),
        ("A=x # note", "x"),
        ("A=x#y", "x#y"),
        ("A='a$b # c '", "a$b # c "),
        ('A="a b"', "a b"),
        ("export A=x", "x"),
        ("A=", ""),
        ("A={{secret:key}}", "{{secret:key}}"),
        ("A='two\nlines'", "two\nlines"),
        ('A={"a": "b c", "d": [1, 2]}', '{"a": "b c", "d": [1, 2]}'),
        ("A=it's", "it's"),
        ('A="it\'s"', "it's"),
        ("A=^/api$", "^/api$"),
        ("A=$5 or $", "$5 or $"),
        (
            'A="-----BEGIN KEY-----\\nab+c=\\n-----END KEY-----\\n"',
            "-----BEGIN KEY-----\nab+c=\n-----END KEY-----\n",
        ),
        ("A='-----BEGIN KEY-----\\nab'", "-----BEGIN KEY-----\\nab"),
        ('A="two\nlines"', "two\nlines"),
        ("A = x\t # note", "x"),
        ("A='x'\t# note", "x"),
        ('A="x" # $HOME', "x"),
        ("A=#b", "#b"),
        ("A=a\u00a0b", "a\u00a0b"),
        (r"A='it\'s'", "it's"),
        (r'A="^\d\"\\x$"', '^\\d"\\x$'),
        ("A=pa$é", "pa$é"),
        ("\r\nexport\tA='x\r\ny'\r\nB=1\r", "x\r\ny"),
    ],
)
def test_what_both_readers_agree_on_is_read(tmp_path: Path, line: str, value: str) -> None:
    """Red when a form that Compose and python-dotenv share is refused or read otherwise."""
    assert _read(tmp_path, f"# first\n\n{line}\n")["A"] == value


@pytest.mark.parametrize("line", _DIFFERENT)
def test_what_they_disagree_on_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    """Red when ``_disagreement`` returns an empty string, or ``_VALUE`` takes more than both readers do."""
    with pytest.raises(SlipwayError) as caught:
        _read(tmp_path, f"B=1\n\n{line}\n")
    assert "SLIP-004" in str(caught.value)
    assert ".env:3" in str(caught.value)
    assert "single quotes" in str(caught.value)


@pytest.mark.parametrize("line", _BAD)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    """Red when a parse error of either reader is passed over, or a carriage return ends a line."""
    with pytest.raises(SlipwayError, match=r"SLIP-003: \.env:2: "):
        _read(tmp_path, f"B=1\n{line}\n")


def test_a_variable_set_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    """Red when the later line silently wins."""
    with pytest.raises(SlipwayError, match=r"\.env:3: A is already set on line 1"):
        _read(tmp_path, "A=1\nB=2\nA=3\n")


def test_missing_unreadable_and_binary_files_are_told_apart(tmp_path: Path) -> None:
    """Red when any of the three ends in a traceback."""
    with pytest.raises(SlipwayError, match="SLIP-001"):
        envfile.read(tmp_path / ".env")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SlipwayError, match=r"SLIP-002.*directory"):
        envfile.read(tmp_path / "folder")
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(SlipwayError, match=r"SLIP-002.*UTF-8"):
        envfile.read(tmp_path / ".env")
    (tmp_path / ".env").write_text("A=1\n", encoding="utf-8-sig")
    with pytest.raises(SlipwayError, match=r"SLIP-002.*byte order mark") as caught:
        envfile.read(tmp_path / ".env")
    subprocess.run(caught.value.fix.partition(": ")[2], shell=True, check=True, cwd=tmp_path)
    assert envfile.read(tmp_path / ".env")["A"].value == "1"


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root reads everything, so a root test run becomes somebody else for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_file_without_read_permission_is_named(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Red when PermissionError is not caught."""
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    request.getfixturevalue("unprivileged")
    with pytest.raises(SlipwayError, match=r"SLIP-002.*Permission"):
        envfile.read(path)


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "with space",
        "a$b",
        "#x",
        "a\\b",
        "http://h:1/p?q=1",
        "",
        "it's",
        "/srv/it's #1",
        'a"b',
        "'a'",
    ],
)
def test_quote_writes_what_read_reads(tmp_path: Path, value: str) -> None:
    """Red when ``quote`` leaves a value bare that needs quotes."""
    assert _read(tmp_path, f"A={envfile.quote(value)}\n") == {"A": value}


@pytest.mark.parametrize("value", ["it's $5", 'it\'s "b"', "it's a\\b", "a$\\\\b", "$a\\", "a\rb", "a\0"])
def test_quote_refuses_what_no_quotes_hold(value: str) -> None:
    """Red when a file is written that the next task cannot read."""
    with pytest.raises(SlipwayError, match="SLIP-004"):
        envfile.quote(value)


def test_a_build_reads_what_the_tasks_read(tmp_path: Path) -> None:
    """Red when python-dotenv opens the file by itself: a CR LF inside of quotes becomes LF."""
    path = tmp_path / "app.env"
    path.write_bytes(b"A='x\r\n$y'\r\nB=1\r\n")
    found = load("collect_static").project_environment([path])
    assert found == {name: entry.value for name, entry in envfile.read(path).items()}


def test_another_value_changes_its_own_lines_alone(tmp_path: Path) -> None:
    """Red when a line separator in a value counts as a line, or a second line of the old value stays."""
    path = tmp_path / ".env"
    path.write_bytes("X='a\u2028b'\r\n\r\nexport A='two\nlines' # old\r\nB=1 # kept".encode())
    assert envfile.with_values(path, {"A": "a b"}) == "X='a\u2028b'\r\n\r\nexport A='a b'\r\nB=1 # kept"
    assert envfile.read(path)["B"].line == 5


def test_a_line_is_counted_as_an_editor_does(tmp_path: Path) -> None:
    """Red when CR LF counts twice, or white space in front of the line hides the blank lines before it."""
    with pytest.raises(SlipwayError, match=r"\.env:4: "):
        _read(tmp_path, "\r\n\r\n \r\n  A=$x\r\n")
