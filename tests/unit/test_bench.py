"""The bench's arithmetic, its command line, and that the committed page shows what was recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import __main__ as program
from tests.bench import check, machine, pairs, report, results
from tests.bench.bars import BARS
from tests.bench.context import transferred
from tests.bench.pairs import Pairs, against_fastest, paired, turns
from tests.bench.results import Curve, Record, Result


def test_turns_alternate_and_begin_uncounted() -> None:
    """Red when `turns` always goes forwards, or counts the first round."""
    order: list[str] = []
    paired(lambda: order.append("a") or 1.0, lambda: order.append("b") or 1.0, 3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"


def test_a_ratio_is_of_two_samples_of_one_round() -> None:
    """Red when the median is that of ours divided by that of the usual."""
    ours, usual = iter([9.0, 1.0, 20.0, 3.0]), iter([9.0, 2.0, 10.0, 3.0])
    found = paired(lambda: next(ours), lambda: next(usual), 3)
    assert found.ratios == [0.5, 2.0, 1.0]
    assert (found.low, found.median, found.high) == (0.5, 1.0, 2.0)


def test_the_fastest_is_the_one_with_the_best_median() -> None:
    """Red with `max` in the place of `min`; when the slow one is given more than its one turn."""
    slow_turns = 0

    def slow() -> float:
        nonlocal slow_turns
        slow_turns += 1
        return 30.0

    sides = {"slow": slow, "steady": lambda: 5.0, "close": lambda: 6.0}
    found, note = against_fastest(lambda: 10.0, sides, 5)
    assert found.usual == [5.0] * 5
    assert slow_turns == 1
    assert "the fastest was steady" in note and "slow 30 (one turn)" in note


def test_turns_of_many_sides() -> None:
    """Red when only the first two sides have turns."""
    assert turns({name: lambda: 1.0 for name in "abc"}, 2) == {name: [1.0, 1.0] for name in "abc"}


@pytest.mark.parametrize(
    ("key", "ratio", "met"),
    [("size", 0.80, True), ("size", 0.81, False), ("database_rps", 5.0, True), ("database_rps", 4.9, False)],
)
def test_bars(key: str, ratio: float, met: bool) -> None:
    """Red when `Bar.met` takes every bar for one where lower is better."""
    assert BARS[key].met(ratio) is met


# -- --check ---------------------------------------------------------------------------------------------


def _record(**ratios: float) -> Record:
    found = Record()
    for key, ratio in ratios.items():
        found.add(_result(key, ratio))
    return found


def _result(key: str, ratio: float) -> Result:
    return Result(key, "s", Pairs([ratio] * 5, [1.0] * 5))


@pytest.mark.parametrize(
    ("key", "then", "now", "fails"),
    [
        ("start", 0.50, 0.57, False),
        ("start", 0.50, 0.58, True),
        ("start", 0.50, 0.10, False),
        ("database_rps", 6.0, 5.2, False),
        ("database_rps", 6.0, 5.0, True),
        ("database_rps", 6.0, 60.0, False),
    ],
)
def test_check_fails_beyond_the_margin_in_the_worse_direction(
    key: str, then: float, now: float, fails: bool
) -> None:
    """Red when `Bar.regressed` forgets the direction or the margin."""
    found = check.regressions([_result(key, now)], _record(**{key: then}))
    assert bool(found) is fails
    assert all(key in line and f"{now:.3f}" in line and f"{then:.3f}" in line for line in found)


def test_check_names_each_regression_and_what_is_not_recorded() -> None:
    """Red when `regressions` ends at the first, or at one that is not recorded."""
    found = check.regressions(
        [_result("start", 2.0), _result("ps", 1.0), _result("list", 2.0)], _record(start=0.5, list=1.0)
    )
    assert [line.split()[0].rstrip(":") for line in found] == ["start", "ps", "list"]
    assert "nothing is recorded" in found[1]


# -- the command line ------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The program with two measures that need no engine, and files of its own; what they did."""
    done: list[str] = []

    def start(place: object, runs: int) -> Result:
        done.append(f"start {runs}")
        return _result("start", 0.5)

    def load(place: object, runs: int) -> list[Result]:
        done.append(f"load {runs}")
        return [_result("database_rps", 6.0), _result("memory", 0.4)]

    def broken(place: object, runs: int) -> Result:
        raise RuntimeError("no engine")

    modules = {
        "start": {"start": start},
        "load": {"database_rps": load, "memory": load},
        "bad": {"size": broken},
    }
    monkeypatch.setattr(program, "_modules", lambda: modules)
    monkeypatch.setattr(machine, "describe", lambda: {"processors": "2", "memory": "4 GiB"})
    recorded = tmp_path / "recorded.json"
    load_file, save_file = results.load, results.save
    monkeypatch.setattr(results, "load", lambda: load_file(recorded))
    monkeypatch.setattr(results, "save", lambda record: save_file(record, recorded))
    monkeypatch.setattr(
        report, "write", lambda record: done.append(f"page of {', '.join(sorted(record.results))}")
    )
    yield done


def test_one_measure_for_two_keys_runs_once(bench: list[str]) -> None:
    """Red when `_by_function` goes by key."""
    assert program.main(["--only", "database_rps", "memory", "--runs", "2"]) == 0
    assert bench == ["load 2"]


def test_partial_records_are_merged(bench: list[str]) -> None:
    """Red when --record begins with an empty record."""
    assert program.main(["--record", "--only", "start"]) == 0
    assert program.main(["--record", "--only", "memory"]) == 0
    assert bench[-1] == "page of database_rps, memory, start"


def test_a_record_is_of_one_machine(bench: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without `machine.check_same`."""
    program.main(["--record", "--only", "start"])
    monkeypatch.setattr(machine, "describe", lambda: {"processors": "64", "memory": "4 GiB"})
    with pytest.raises(SystemExit, match="processors 2, this one has 64"):
        program.main(["--record", "--only", "start"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--record", "--runs", "4"], "at least 5 runs"),
        (["--runs", "0"], "at least 1"),
        (["--record", "--check"], "one of them"),
        (["--only", "speed"], "invalid choice: 'speed'"),
    ],
)
def test_refused_arguments(
    bench: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Red without the checks of `_arguments`."""
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert bench == []


def test_a_failed_measure_fails_the_run_and_no_other(
    bench: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when `main` lets the exception through, or ends with 0."""
    assert program.main([]) == 1
    assert bench == ["start 5", "load 5"]
    assert "FAIL size: the measure failed" in capsys.readouterr().err


def test_check_ends_with_1(bench: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Red when `main` does not ask `check.regressions`."""
    program.main(["--record", "--only", "start"])
    assert program.main(["--check", "--only", "start"]) == 0
    recorded = results.load()
    recorded.add(_result("start", 0.1))
    results.save(recorded)
    assert program.main(["--check", "--only", "start"]) == 1
    assert "FAIL start" in capsys.readouterr().err


# -- what is recorded, and the page ----------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Red when a field of Result or Curve is left out of its JSON."""
    record = Record({"processors": "2"})
    costs = {"ours": {"web": 1.5}, "usual": {"web": 2.0, "db": 3.125}}
    record.add(Result("size", "MB", Pairs([1.5, 2.0], [3.0, 4.0]), "a note", costs))
    record.add(Curve("grows", "A title", "x", "y", {"ours": [(1, [1.0, 2.0]), (2.0, [3.0])]}))
    path = tmp_path / "recorded.json"
    results.save(record, path)
    assert results.load(path) == record
    assert '"ours": [1.5, 2.0]' in path.read_text()


def test_every_measure_has_a_bar() -> None:
    """Red when a module's MEASURES has a key that no bar has, unless it is a curve's."""
    keys = {key for measures in program._modules().values() for key in measures}
    assert {key for key in keys if key not in BARS} <= {key for key in keys if "growth" in key}


def test_the_page_is_made_from_what_is_recorded() -> None:
    """Red when docs/performance.md is edited by hand: `--record` writes it, from performance.md-tpl."""
    assert report.PAGE.read_text(encoding="utf-8") == report.page(results.load())


def _unexplained(record: Record, page: str) -> list[str]:
    missed = [BARS[key].what for key, item in record.results.items() if not BARS[key].met(item.pairs.median)]
    return [what for what in missed if f"\n### {what}\n" not in page]


def test_a_missed_bar_is_explained() -> None:
    """Red when a recorded ratio misses its bar and performance.md-tpl has no section "### WHAT" on why."""
    assert _unexplained(results.load(), report.page(results.load())) == []
    assert _unexplained(_record(start=0.7, size=0.7), "") == [BARS["start"].what]


def test_the_plots_are_of_what_is_recorded() -> None:
    """Red when recorded.json changes without the plots, or a plot is left over."""
    found = {
        plot.stem: re.findall(r"<dc:description>(\w+)</dc:description>", plot.read_text(encoding="utf-8"))
        for plot in report.PLOTS.glob("*.svg")
    }
    assert found == {name: [digest] for name, digest in report.digests(results.load()).items()}


def test_a_page_of_figures() -> None:
    """Red when a missed bar is called met, or the spread is not that of the ratios."""
    record = Record()
    record.add(Result("start", "s", Pairs([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]), "a note"))
    row = next(line for line in report.page(record).splitlines() if line.startswith("| container start"))
    assert "| 2.00 s | 2.00 s | **1.00** | 0.50 to 1.50 | ≤ 0.60 | **not met** | 15% |" in row
    assert "a note." in report.page(record)


def test_sent_bytes_are_the_last_that_each_step_says() -> None:
    """Red when lines of one step are added up, or a unit is forgotten."""
    output = (
        "#2 [web internal] load .dockerignore\n#2 transferring context: 2B done\n"
        "#7 transferring context: 1.50MB 0.2s\n#7 transferring context: 3.50MB 0.3s done\n"
        "#8 transferring docker: 12.5kB done\n#9 exporting layers done\n"
    )
    assert transferred(output) == 2 + 3_500_000 + 12_500


def test_pairs_of_unequal_length_are_refused() -> None:
    """Red without `strict=True`."""
    with pytest.raises(ValueError, match="longer"):
        _ = pairs.Pairs([1.0], [1.0, 2.0]).ratios
