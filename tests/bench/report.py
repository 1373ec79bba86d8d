"""docs/performance.md and its plots, made from what was recorded; the text is in performance.md-tpl."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.bars import BARS
from tests.bench.results import Curve, Record, Result
from tests.support.world import ROOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PAGE", "PLOTS", "digests", "page", "write"]

PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
_TEMPLATE = Path(__file__).with_name("performance.md-tpl")
_NOTHING = "\N{EN DASH}"
_MET, _MISSED, _LINE = "#2a7f4f", "#b5443a", "#555555"


def write(record: Record) -> None:
    """Write the page and its plots; plots of what is no longer recorded go."""
    PAGE.write_text(page(record), encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    wanted = digests(record)
    for old in PLOTS.glob("*.svg"):
        if old.stem not in wanted:
            old.unlink()
    if record.results:
        _draw("ratios", wanted["ratios"], partial(_ratios, record=record), height=5.5)
    for key, curve in record.curves.items():
        _draw(key, wanted[key], partial(_curve, curve=curve), height=3.6)


def page(record: Record) -> str:
    """The text of docs/performance.md."""
    return (
        _TEMPLATE.read_text(encoding="utf-8")
        .replace("{bars}", _bars(record))
        .replace("{notes}", _notes(record))
        .replace("{costs}", _costs(record))
        .replace("{curves}", _curves(record))
        .replace("{machine}", _machine(record))
    )


def digests(record: Record) -> dict[str, str]:
    """For each plot, by its name, a digest of the figures it shows, which it has as its description."""
    shown: dict[str, Any] = {key: curve.as_json() for key, curve in record.curves.items()}
    if record.results:
        shown["ratios"] = {key: item.as_json() for key, item in record.results.items()}
    return {
        key: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
        for key, value in shown.items()
    }


# -- text -----------------------------------------------------------------------------------------------


def _bars(record: Record) -> str:
    lines = [
        "| what | against | ours | usual | ratio | spread | bar | | margin |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, bar in BARS.items():
        sign = "≤" if bar.better == "lower" else "≥"
        measured = _measured(record.results.get(key))
        met = "" if key not in record.results else _verdict(record.results[key])
        lines.append(
            f"| {bar.what} | {bar.against} | {measured} | {sign} {bar.bound:.2f} | {met} | {bar.margin:.0%} |"
        )
    plot = ["", "![Every ratio beside its bar](performance/ratios.svg)"] if record.results else []
    return "\n".join(lines + plot)


def _measured(result: Result | None) -> str:
    """The cells from "ours" to "spread"."""
    if result is None:
        return " | ".join([_NOTHING] * 4)
    pairs = result.pairs
    spread = f"{_number(pairs.low)} to {_number(pairs.high)}" if len(pairs.ratios) > 1 else _NOTHING
    ours, usual = (f"{_number(statistics.median(side))} {result.unit}" for side in (pairs.ours, pairs.usual))
    return f"{ours} | {usual} | **{_number(pairs.median)}** | {spread}"


def _verdict(result: Result) -> str:
    return "met" if BARS[result.key].met(result.pairs.median) else "**not met**"


def _notes(record: Record) -> str:
    return "\n".join(
        f"- {bar.what}: {record.results[key].note}."
        for key, bar in BARS.items()
        if key in record.results and record.results[key].note
    )


def _costs(record: Record) -> str:
    """A row for each side of every result that has costs."""
    rows = [
        (BARS[key].what.partition(",")[0], side, costs)
        for key, result in record.results.items()
        for side, costs in result.costs.items()
    ]
    if not rows:
        return "Nothing is recorded yet."
    services = list(dict.fromkeys(service for *_, costs in rows for service in costs))
    lines = [f"| | | {' | '.join(services)} |", "|---|---|" + "---|" * len(services)]
    for page, side, costs in rows:
        cells = " | ".join(f"{costs[service]:.2f}" if service in costs else _NOTHING for service in services)
        lines.append(f"| {page} | {side} | {cells} |")
    return "\n".join(lines)


def _curves(record: Record) -> str:
    if not record.curves:
        return "Nothing is recorded yet."
    return "\n\n".join(
        f"![{curve.title}: {curve.y_label} by {curve.x_label}](performance/{key}.svg)"
        for key, curve in sorted(record.curves.items())
    )


def _machine(record: Record) -> str:
    if not record.machine:
        return "Nothing is recorded yet."
    return "\n".join(
        ["| | |", "|---|---|", *(f"| {fact} | {value} |" for fact, value in record.machine.items())]
    )


def _number(value: float) -> str:
    """Three digits, or all of those before the point."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 if value < 10 else 1}f}" if value >= 0.1 else f"{value:.2g}"


# -- plots ----------------------------------------------------------------------------------------------


def _draw(name: str, digest: str, paint: Callable[[Axes], None], *, height: float) -> None:
    """Save what ``paint`` makes as ``name``.svg: the same bytes for the same figures."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "slipway", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
        paint(axes)
        axes.spines[["top", "right"]].set_visible(False)
        about = {"Date": None, "Creator": None, "Description": digest}
        figure.savefig(PLOTS / f"{name}.svg", metadata=about)
        plt.close(figure)


def _ratios(axes: Axes, record: Record) -> None:
    """A row for each bar: how many times as good as it asks for, with the spread."""
    from matplotlib.ticker import LogLocator

    rows = [key for key in reversed(BARS) if key in record.results]
    for place, key in enumerate(rows):
        bar, pairs = BARS[key], record.results[key].pairs
        reached = [_reached(key, ratio) for ratio in (pairs.low, pairs.median, pairs.high)]
        axes.plot([min(reached), max(reached)], [place, place], color=_LINE, linewidth=1.5)
        axes.plot(reached[1], place, "o", color=_MET if bar.met(pairs.median) else _MISSED)
    axes.axvline(1, color=_LINE, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(rows)), [BARS[key].what.replace("`", "") for key in rows])
    axes.set_xscale("log")
    left, right = axes.get_xlim()
    axes.set_xlim(min(left, 0.5), max(right, 2))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("times as good as the bar asks for: 1 is the bar")


def _reached(key: str, ratio: float) -> float:
    bar = BARS[key]
    return ratio / bar.bound if bar.better == "higher" else bar.bound / ratio


def _curve(axes: Axes, curve: Curve) -> None:
    """A line of medians for each name, with all samples between its smallest and largest as a band."""
    for name, line in curve.points.items():
        x = [point for point, _ in line]
        axes.plot(x, [statistics.median(samples) for _, samples in line], "o-", label=name)
        axes.fill_between(
            x, [min(samples) for _, samples in line], [max(samples) for _, samples in line], alpha=0.15
        )
    axes.set_xticks(sorted({point for line in curve.points.values() for point, _ in line}))
    axes.set_ylim(bottom=0)
    axes.set_title(curve.title)
    axes.set_xlabel(curve.x_label)
    axes.set_ylabel(curve.y_label)
    axes.legend(frameon=False)
