"""docs/errors.md explains every error code there is, and none that is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from slipway.core.checkout import ROOT

PAGE = ROOT / "docs" / "errors.md"
_CODE = re.compile(r"SLIP-\d{3}")
_SECTION = re.compile(r"^## (?P<code>SLIP-\d{3}): (?P<title>.+)\n(?P<body>(?:(?!^## ).*\n?)*)", re.MULTILINE)


def codes_in_python(source: str) -> set[str]:
    """Every code in a string a person may see; docstrings may name codes of other modules."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return {
        code
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        for code in _CODE.findall(node.value)
    }


def codes_in_use() -> set[str]:
    """The codes of the tasks, of the bootstrap, and of what runs inside images."""
    files = [ROOT / "bootstrap", ROOT / "tasks.py"]
    files += [
        path for folder in ("slipway", "docker") for path in (ROOT / folder).rglob("*") if path.is_file()
    ]
    found: set[str] = set()
    for path in files:
        if path.suffix == ".pyc":
            continue
        text = path.read_text(encoding="utf-8")
        found |= codes_in_python(text) if path.suffix == ".py" else _uncommented_codes(text)
    return found


def _uncommented_codes(text: str) -> set[str]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {code for line in lines for code in _CODE.findall(line)}


def sections() -> list[re.Match[str]]:
    return list(_SECTION.finditer(PAGE.read_text(encoding="utf-8")))


def test_codes_are_found_where_people_see_them() -> None:
    """Red when docstrings count, or f-strings do not: the next test would then prove nothing."""
    source = (
        '"""SLIP-001"""\ndef f(name):\n    """SLIP-002"""\n    raise E(f"SLIP-003: {name}", "SLIP-004")\n'
    )
    assert codes_in_python(source) == {"SLIP-003", "SLIP-004"}
    assert _uncommented_codes("# SLIP-001\nrefuse SLIP-002 'x'\n") == {"SLIP-002"}


def test_every_code_has_exactly_one_section_and_every_section_a_code() -> None:
    """Red when a code is added without a section, a section stands twice, or its code is gone."""
    explained = [match["code"] for match in sections()]
    assert explained == sorted(set(explained)), "sections are not in order, or one is there twice"
    used = codes_in_use()
    assert used - set(explained) == set(), "codes without a section"
    assert set(explained) - used == set(), "sections whose code nothing prints"


def test_every_section_says_cause_and_fix() -> None:
    """Red when a section has lost one of its two paragraphs."""
    for match in sections():
        for part in ("Cause", "Fix"):
            assert len(re.findall(rf"^\*\*{part}\.\*\* \S", match["body"], re.MULTILINE)) == 1, match["code"]


def test_no_fragment_is_left_over() -> None:
    """Red when a part's sections were written beside the page and never merged into it."""
    assert sorted(Path(PAGE.parent).glob("errors.d-*")) == []
