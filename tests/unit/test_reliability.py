"""docs/reliability.md states what tests/chaos allows, fault by fault."""

from __future__ import annotations

import ast

from slipway.core.checkout import ROOT
from tests.chaos.faults import FAULTS, KINDS

PAGE = ROOT / "docs" / "reliability.md"


def test_the_page_shows_the_table_that_is_tested() -> None:
    """Red when an allowance is changed in one of the two places, or a row is missing."""
    shown = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    heading = shown.index("| fault | visitors may see | for at most | as before within | what heals it |")
    assert shown[heading + 2 : heading + 2 + len(FAULTS)] == [fault.row() for fault in FAULTS.values()]


def test_every_fault_is_made() -> None:
    """Red when a row of the table has no test, or a test no row."""
    made = {
        node.args[1].value
        for path in (ROOT / "tests" / "chaos").glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "endured"
        if isinstance(node.args[1], ast.Constant)
    }
    assert made == set(FAULTS)


def test_every_kind_has_words() -> None:
    """Red when a fault allows a kind of error that the page cannot name."""
    assert {kind for fault in FAULTS.values() for kind in fault.seen} <= set(KINDS)
