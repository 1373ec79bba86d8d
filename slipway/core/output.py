"""Output of tasks: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["confirm", "counted", "human_size", "note", "rows"]


def rows(data: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print ``data`` to stdout: as a JSON array, or as a table of ``columns`` (keys of each row)."""
    if as_json:
        print(json.dumps(list(data), indent=2, default=str))
        return
    heads = [column.replace("_", " ") for column in columns]
    lines = [heads, *([_cell(row.get(column)) for column in columns] for row in data)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for number, cells in enumerate(lines):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        print(f"\033[1m{line}\033[0m" if number == 0 and sys.stdout.isatty() else line)


def note(text: str) -> None:
    """Print something about the task itself to stderr, so that stdout holds only the task's answer."""
    print(text, file=sys.stderr, flush=True)


def confirm(question: str) -> bool:
    """Ask on the terminal; return True for ``y`` or ``yes`` only."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def human_size(size: float) -> str:
    """Bytes in Docker's decimal units, as in ``118MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f}{unit}" if unit == "B" else f"{size:.3g}{unit}"
        size /= 1000
    return f"{size:.3g}TB"


def counted(number: int, what: str) -> str:
    """``1 finding``, ``2 findings``, ``no findings``."""
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
