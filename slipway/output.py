"""What tasks print: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["confirm", "human_size", "note", "rows"]


def rows(data: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print ``data`` to stdout: as a JSON array, or as a table of ``columns`` (keys of each row)."""
    if as_json:
        print(json.dumps(list(data), indent=2, default=str))
        return
    # rich costs a tenth of a second to import, which `invoke --list` must not pay.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in data:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    # In a pipe there is no width to fold to: a line per row is what grep and awk want.
    console = Console() if sys.stdout.isatty() else Console(width=1000)
    console.print(table)


def note(text: str) -> None:
    """Say something about the task itself, on stderr, so that stdout stays the task's answer."""
    print(text, file=sys.stderr, flush=True)


def confirm(question: str) -> bool:
    """Ask on the terminal; anything but ``y`` or ``yes`` is no."""
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


def _cell(value: object) -> str:
    from rich.markup import escape  # noqa: PLC0415

    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return escape(", ".join(map(str, value)))
    return escape(str(value))
