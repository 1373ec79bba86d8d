"""What a measure returns, and the file that keeps what was recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.pairs import Pairs

__all__ = ["RECORDED", "Curve", "Record", "Result", "load", "save"]

RECORDED = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class Result:
    """One bar's samples, in ``unit``; ``note`` says what a reader must know of how they came about."""

    key: str
    unit: str
    pairs: Pairs
    note: str = ""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """Processor milliseconds per request, by side and service, where these were read."""

    def as_json(self) -> dict[str, Any]:
        """For ``recorded.json``; five significant digits are more than any sample has."""
        return {
            "unit": self.unit,
            "note": self.note,
            "ours": _rounded(self.pairs.ours),
            "usual": _rounded(self.pairs.usual),
            "costs": {
                side: {service: round(cost, 3) for service, cost in by_service.items()}
                for side, by_service in self.costs.items()
            },
        }

    @classmethod
    def from_json(cls, key: str, value: dict[str, Any]) -> Result:
        """The inverse of ``as_json``."""
        pairs = Pairs(value["ours"], value["usual"])
        return cls(key, value["unit"], pairs, value["note"], value.get("costs", {}))


@dataclass(frozen=True)
class Curve:
    """How something grows: for the name of each line, samples by x."""

    key: str
    title: str
    x_label: str
    y_label: str
    points: dict[str, list[tuple[float, list[float]]]]

    def as_json(self) -> dict[str, Any]:
        """For ``recorded.json``."""
        return {
            "title": self.title,
            "x_label": self.x_label,
            "y_label": self.y_label,
            "points": {
                name: [[x, _rounded(samples)] for x, samples in line] for name, line in self.points.items()
            },
        }

    @classmethod
    def from_json(cls, key: str, value: dict[str, Any]) -> Curve:
        """The inverse of ``as_json``."""
        points = {name: [(x, samples) for x, samples in line] for name, line in value["points"].items()}
        return cls(key, value["title"], value["x_label"], value["y_label"], points)


@dataclass
class Record:
    """All that was recorded on one machine; parts may be of different days."""

    machine: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)

    def add(self, found: Result | Curve) -> None:
        """Take ``found`` in the place of what had its key."""
        if isinstance(found, Result):
            self.results[found.key] = found
        else:
            self.curves[found.key] = found


def load(path: Path = RECORDED) -> Record:
    """What ``path`` holds; an empty record where there is no such file."""
    if not path.exists():
        return Record()
    value = json.loads(path.read_text(encoding="utf-8"))
    return Record(
        value["machine"],
        {key: Result.from_json(key, item) for key, item in value["results"].items()},
        {key: Curve.from_json(key, item) for key, item in value["curves"].items()},
    )


def save(record: Record, path: Path = RECORDED) -> None:
    """Write ``record`` to ``path``, the same bytes for the same figures."""
    value = {
        "machine": record.machine,
        "results": {key: item.as_json() for key, item in sorted(record.results.items())},
        "curves": {key: item.as_json() for key, item in sorted(record.curves.items())},
    }
    path.write_text(_one_line_lists(json.dumps(value, indent=2)) + "\n", encoding="utf-8")


def _rounded(samples: list[float]) -> list[float]:
    return [float(f"{sample:.5g}") for sample in samples]


def _one_line_lists(text: str) -> str:
    """Lists of numbers on one line each, as a person would write them."""
    lines: list[str] = []
    for line in text.splitlines():
        inside = lines and lines[-1].count("[") > lines[-1].count("]")
        if inside:
            lines[-1] += (
                line.strip() if lines[-1].endswith("[") or line.strip()[0] == "]" else " " + line.strip()
            )
        else:
            lines.append(line)
    return "\n".join(lines)
