"""A scheduled command: its runs, their lines, what becomes of one that is going on; a second for a minute."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kitfiles import DOCKER

from tests.support.polling import eventually

_MAIN = """\
import sys
from datetime import timedelta
sys.path.insert(0, sys.argv.pop(1))
import cron, scheduled
class Times:
    def __init__(self, expression):
        self.step = int(expression)
    def after(self, moment):
        second = moment.replace(microsecond=0)
        return second + timedelta(seconds=self.step - second.second % self.step)
cron.Times = Times
scheduled.FOLDER = sys.argv.pop(1)
scheduled.Scheduled(*sys.argv[1:4], sys.argv[4:]).run()
"""


_LOOP = "while :; do sleep 0.1; done"


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begin the program with a command for each second, or for each of so many; its log is ``log``."""
    begun = []

    def run(*command: str, every: int = 1, seconds: int = 6, log: str = "log") -> subprocess.Popen[str]:
        with (tmp_path / log).open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, str(DOCKER), str(tmp_path), "job", str(seconds), str(every),
                 *command],
                stdout=file, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.wait()


def _log(folder: Path, name: str = "log") -> str:
    return (folder / name).read_text()


def _said(folder: Path, pattern: str, count: int = 1, name: str = "log") -> list[str]:
    return list(
        eventually(
            lambda: len(found := re.findall(pattern, _log(folder, name), re.MULTILINE)) >= count and found,
            f"{pattern} {count} times",
        )
    )


def test_each_run_is_told_with_its_output_and_end(begin, tmp_path: Path) -> None:
    """Red when a run has no line at its begin or its end, or the exit code is lost."""
    begin("sh", "-c", "echo output; exit 3")
    lines = ("begins: sh -c 'echo output; exit 3'\noutput", r"ended with exit code 3 after \d+\.\d s")
    _said(tmp_path, "^cron: job: {}\ncron: job: {}$".format(*lines), 2)


def test_no_run_begins_beside_another(begin, tmp_path: Path) -> None:
    """Red when the next time does not wait for the run that is going on; seen without `if self._process`."""
    begin("sh", "-c", "echo $$ in; sleep 2.5; echo $$ out")
    _said(tmp_path, r"skips .* has not ended", 2)
    _said(tmp_path, r"^\d+ out", 2)
    inside = re.findall(r"^(\d+) (in|out)$", _log(tmp_path), re.MULTILINE)
    assert inside[0] == (inside[1][0], "in") and inside[1][1] == "out" and inside[2][1] == "in"


def test_no_run_begins_beside_another_container(begin, tmp_path: Path) -> None:
    """Red without the lock."""
    begin("sleep", "0.1")
    _said(tmp_path, "begins", 1)
    begin("sleep", "0.1", log="other")
    _said(tmp_path, "skips .* another container", 2, name="other")
    assert "begins" not in _log(tmp_path, "other")


def test_a_run_that_is_going_on_may_finish(begin, tmp_path: Path) -> None:
    """Red when SIGTERM does not reach it, or its end is not told."""
    process = begin(
        "sh", "-c", "trap 'sleep 0.5; echo finished; exit 4' TERM; echo ready; while :; do sleep 0.1; done"
    )
    _said(tmp_path, "^ready$")
    process.terminate()
    assert process.wait(timeout=30) == 0
    assert re.search(r"gets SIGTERM: it has 4 s", _log(tmp_path))
    assert re.search(r"^finished\ncron: job: ended with exit code 4 ", _log(tmp_path), re.MULTILINE)


def test_a_run_that_does_not_end_is_killed_and_told(begin, tmp_path: Path) -> None:
    """With what it has begun. Red when the engine has to do it, which tells nobody."""
    stubborn = f"trap '' TERM; (sh -c 'echo $$ >inner; echo ready; {_LOOP}') & {_LOOP}"
    process = begin("sh", "-c", f"cd {tmp_path}; {stubborn}", seconds=3)
    _said(tmp_path, "^ready$")
    process.terminate()
    assert process.wait(timeout=30) == 0
    assert re.search(r"ended with exit code 137 \(SIGKILL\)", _log(tmp_path))
    pid = int((tmp_path / "inner").read_text())
    eventually(lambda: not _alive(pid), "the other to end too")


def _alive(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


def test_nothing_runs_at_once_where_nothing_was_missed(begin, tmp_path: Path) -> None:
    """Red when a first start, or another schedule, is taken for a run that was missed."""
    old = datetime.now(UTC) - timedelta(minutes=5)
    (tmp_path / "job.json").write_text(json.dumps({"covered": old.isoformat(), "expression": "7"}))
    begin("true", every=60)
    _said(tmp_path, "the next run is due")
    assert "missed" not in _log(tmp_path)


def test_what_was_missed_is_made_up_for_once(begin, tmp_path: Path) -> None:
    """Red when it is left out, or repeated for each time that was missed."""
    old = datetime.now(UTC) - timedelta(minutes=5)
    (tmp_path / "job.json").write_text(json.dumps({"covered": old.isoformat(), "expression": "60"}))
    begin("true", every=60)
    _said(tmp_path, "is made up for\n.*begins: true\n.*ended with exit code 0")
    assert _log(tmp_path).count("made up for") == 1


def test_what_is_too_late_is_told(begin, tmp_path: Path) -> None:
    """Red when a mail of the morning goes out in the evening."""
    monday = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    (tmp_path / "job.json").write_text(json.dumps({"covered": monday.isoformat(), "expression": "0 9 2 3 *"}))
    program = [sys.executable, str(DOCKER / "scheduled.py"), "job", "6", "0 9 2 3 *", "true"]
    main = f"import runpy, sys; sys.path.insert(0, {str(DOCKER)!r}); import cron, scheduled\n"
    main += f"from datetime import datetime, timezone\nscheduled.FOLDER = {str(tmp_path)!r}\n"
    main += "cron.now = lambda: datetime(2028, 3, 3, tzinfo=timezone.utc)\n"
    main += "job = scheduled.Scheduled(*sys.argv[2:5], sys.argv[5:])\n"
    main += "print(job._without_missed(job._covered()))"
    said = subprocess.run(
        [sys.executable, "-c", main, *program[1:]], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == [
        "cron: job: the run of 2027-03-02T09:00:00+00:00 was missed, and is not made up for",
        "2028-03-03 00:00:00+00:00",
    ]


def test_a_command_that_is_not_there(begin, tmp_path: Path) -> None:
    """Red when it ends the schedule, or gives no exit code."""
    begin("no-such-program")
    _said(
        tmp_path, r"cannot begin: No such file or directory: no-such-program\n.*ended with exit code 127 ", 2
    )


def test_its_signals_are_not_the_commands(begin, tmp_path: Path) -> None:
    """Red when the command inherits a mask that keeps SIGTERM from it."""
    begin(sys.executable, "-c", "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))")
    _said(tmp_path, r"^set\(\)$")


def test_a_folder_that_cannot_be_written(begin, tmp_path: Path) -> None:
    """Red when a full or missing volume ends the schedule."""
    (tmp_path / "job.lock").mkdir()
    begin("true")
    _said(tmp_path, "cannot record its runs")
    _said(tmp_path, "ended with exit code 0", 2)
