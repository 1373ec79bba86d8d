"""``nox -s bench``: measure, print the ratios, record them or hold them to what was recorded."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import signal
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

from tests import bench
from tests.bench import check, machine, report, results
from tests.bench.bars import BARS, ONLY_BY_NAME
from tests.bench.results import Curve, Result
from tests.bench.workshop import Workshop, workshop

Measure = Callable[[Workshop, int], Result | list[Result] | Curve]

LEAST_RUNS = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit code: 1 when a measure failed, or with --check when a ratio is worse than recorded."""
    modules = _modules()
    chosen = _arguments(argv, [key for measures in modules.values() for key in measures])
    # So that a stop by a service manager or CI removes what was made, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    recorded = results.load()
    if chosen.record:
        machine.check_same(recorded)
    found: list[Result | Curve] = []
    failed: list[str] = []
    for name, measures in modules.items():
        wanted = _by_function(measures, chosen.only)
        if not wanted:
            continue
        with workshop() as place:
            for key, measure in wanted.items():
                _say(f"{name}: {key}")
                started = time.monotonic()
                try:
                    made = measure(place, chosen.runs)
                except Exception:
                    traceback.print_exc()
                    failed.append(key)
                    continue
                for item in made if isinstance(made, list) else [made]:
                    found.append(item)
                    _say(_line(item))
                    if chosen.record:
                        recorded.add(item)
                        results.save(recorded)
                _say(f"    {time.monotonic() - started:.0f} s")
    if chosen.record:
        recorded.machine = machine.describe()
        results.save(recorded)
        report.write(recorded)
    problems = [f"{key}: the measure failed" for key in failed]
    if chosen.check:
        problems += check.regressions([item for item in found if isinstance(item, Result)], recorded)
    for problem in problems:
        print(f"FAIL {problem}", file=sys.stderr)
    return 1 if problems else 0


def _arguments(argv: Sequence[str] | None, keys: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", nargs="+", metavar="KEY", choices=keys, help=f"of {', '.join(keys)}")
    parser.add_argument(
        "--runs", type=int, default=LEAST_RUNS, help="rounds per measure (default: %(default)s)"
    )
    parser.add_argument("--record", action="store_true", help="write recorded.json and docs/performance.md")
    parser.add_argument("--check", action="store_true", help="fail where a ratio is worse than recorded")
    chosen = parser.parse_args(argv)
    if chosen.runs < 1:
        parser.error("--runs: at least 1")
    if chosen.record and chosen.runs < LEAST_RUNS:
        parser.error(f"--record: at least {LEAST_RUNS} runs, or the median says little")
    if chosen.record and chosen.check:
        parser.error("--check compares with what is recorded, --record replaces it: one of them")
    return chosen


def _modules() -> dict[str, dict[str, Measure]]:
    """The measures of every module of this folder that has some, by the module's name."""
    found = {}
    for module in pkgutil.iter_modules(bench.__path__):
        if module.name != "__main__":
            measures = getattr(importlib.import_module(f"tests.bench.{module.name}"), "MEASURES", None)
            if measures:
                found[module.name] = measures
    return found


def _by_function(measures: dict[str, Measure], only: list[str] | None) -> dict[str, Measure]:
    """The measures asked for; one that yields several results stands under several keys and runs once."""
    chosen: dict[Measure, str] = {}
    for key, measure in measures.items():
        if key in only if only is not None else key not in ONLY_BY_NAME:
            chosen[measure] = f"{chosen[measure]}, {key}" if measure in chosen else key
    return {keys: measure for measure, keys in chosen.items()}


def _line(found: Result | Curve) -> str:
    """What is printed of one result."""
    if isinstance(found, Curve):
        return "\n".join(_points(found))
    return "\n".join([_ratio(found), *([f"      {found.note}"] if found.note else []), *_costs(found)])


def _ratio(found: Result) -> str:
    bar, pairs = BARS[found.key], found.pairs
    sign = "<=" if bar.better == "lower" else ">="
    return (
        f"    {found.key}: {statistics.median(pairs.ours):.4g} against {statistics.median(pairs.usual):.4g}"
        f" {found.unit}; ratio {pairs.median:.2f} ({pairs.low:.2f} to {pairs.high:.2f}),"
        f" bar {sign} {bar.bound:g}: {'met' if bar.met(pairs.median) else 'NOT MET'}"
    )


def _costs(found: Result) -> Iterator[str]:
    for side, costs in found.costs.items():
        parts = ", ".join(f"{service} {cost:.2f}" for service, cost in costs.items())
        yield f"      processor ms per request, {side}: {parts}"


def _points(curve: Curve) -> Iterator[str]:
    for name, line in curve.points.items():
        points = ", ".join(f"{x:g}: {statistics.median(samples):.4g}" for x, samples in line)
        yield f"    {curve.key}, {name} ({curve.y_label} by {curve.x_label}): {points}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; what was made is removed")
