"""The runner: what it echoes, what it executes, how it fails."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from slipway.core.errors import SlipwayError
from slipway.core.run import Runner


def test_commands_are_echoed_on_stderr_and_run(capfd: pytest.CaptureFixture[str]) -> None:
    """Red when the echo goes to stdout, where it would break `--json`."""
    Runner().run(["echo", "two words"])
    out, err = capfd.readouterr()
    assert (out, err) == ("two words\n", "echo 'two words'\n")


def test_what_is_not_the_answer_stays_out_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    """Red when what a build says of itself, which Compose prints on stdout, breaks `up --json`."""
    Runner(echo=False).run(["echo", "#1 building"], aside=True)
    assert capfd.readouterr() == ("", "#1 building\n")


def test_a_dry_run_prints_and_runs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Red when a dry run executes: the missing program would raise."""
    done = Runner(dry=True).run(["no-such-program", "a b"])
    assert done.returncode == 0
    assert capfd.readouterr().out == "no-such-program 'a b'\n"


def test_a_failing_command_is_an_error_with_its_exit_code() -> None:
    """Red when `check` is ignored."""
    with pytest.raises(SlipwayError, match="SLIP-060") as caught:
        Runner(echo=False).run(["sh", "-c", "exit 3"])
    assert caught.value.code == 3
    assert Runner(echo=False).run(["sh", "-c", "exit 3"], check=False).returncode == 3


def test_replace_hands_on_the_exit_code_without_words() -> None:
    """Red when a wrapped command's code becomes 1."""
    with pytest.raises(Exit) as caught:
        Runner(echo=False).replace(["sh", "-c", "exit 7"])
    assert caught.value.code == 7
    assert not isinstance(caught.value, SlipwayError)


def test_a_missing_program_is_named() -> None:
    """Red when FileNotFoundError reaches the person."""
    with pytest.raises(SlipwayError, match=r"SLIP-061.*no-such-program"):
        Runner(echo=False).run(["no-such-program"])
    assert Runner().capture(["no-such-program"]).returncode == 127


def test_capture_answers_within_its_timeout() -> None:
    """Red when a silent program is waited for without end."""
    assert Runner().capture(["sleep", "60"], timeout=0.2).returncode == 124


def test_capture_with_check_shows_the_last_error_line() -> None:
    """Red when only the exit code is told."""
    with pytest.raises(SlipwayError, match="the reason"):
        Runner().capture(["sh", "-c", "echo first >&2; echo the reason >&2; exit 1"], check=True)


def test_a_file_is_read_and_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Red when a redirection is not echoed, or the file can be read by others."""
    source, target = tmp_path / "in", tmp_path / "out put"
    source.write_text("what is in it")
    Runner().run(["cat"], stdin=source, stdout=target)
    assert target.read_text() == "what is in it"
    assert target.stat().st_mode & 0o777 == 0o600
    assert capfd.readouterr().err == f"cat < {source} > '{target}'\n"
    assert Runner().capture(["cat"], stdin=source).stdout == "what is in it"
    assert sorted(tmp_path.iterdir()) == [source, target]


@pytest.mark.parametrize("end", ["exit 1", "kill -INT $PPID; sleep 0.3"])
def test_an_unfinished_file_does_not_appear(tmp_path: Path, end: str) -> None:
    """Red when a failed or interrupted command leaves what it wrote, or takes away what was there."""
    target = tmp_path / "dump"
    target.write_text("yesterday's")
    with pytest.raises(Exit):
        Runner(echo=False).run(["sh", "-c", f"echo half; {end}"], stdout=target)
    assert target.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupt_waits_for_the_child_and_ends_in_130() -> None:
    """Red when the child is left behind, or the traceback shown."""
    script = "import os, signal; os.kill(os.getppid(), signal.SIGINT)"
    with pytest.raises(Exit) as caught:
        Runner(echo=False).run([sys.executable, "-c", f"{script}; import time; time.sleep(0.3)"])
    assert caught.value.code == 130


def test_a_reader_that_left_is_no_error() -> None:
    """Red when `invoke … | head` ends in a SLIP message."""
    with pytest.raises(Exit) as caught:
        Runner(echo=False).run(["sh", "-c", "kill -PIPE $$"])
    assert caught.value.code == 141
    assert not isinstance(caught.value, SlipwayError)


def test_compose_advises_nothing_about_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a deploy shows Compose's advice to remove what still serves, or `up` gives it both words."""
    asked = ["sh", "-c", 'echo "${COMPOSE_IGNORE_ORPHANS:-unset}"', "sh"]
    assert Runner().capture(asked).stdout == "1\n"
    monkeypatch.setenv("COMPOSE_IGNORE_ORPHANS", "true")
    assert Runner().capture([*asked, "--remove-orphans"]).stdout == "unset\n"


def test_builds_attest_nothing_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when commands get the bare environment: in the containerd store each build is another image."""
    ask = ["sh", "-c", "echo $BUILDX_NO_DEFAULT_ATTESTATIONS"]
    monkeypatch.delenv("BUILDX_NO_DEFAULT_ATTESTATIONS", raising=False)
    assert Runner().capture(ask).stdout == "1\n"
    assert Runner(echo=False).run(ask, answer=True).stdout == "1\n"
    monkeypatch.setenv("BUILDX_NO_DEFAULT_ATTESTATIONS", "0")
    assert Runner().capture(ask).stdout == "0\n"


def test_what_clears_a_line_does_not_reach_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    """Red when the code that Compose writes before each line of a log is handed on; other bytes are."""
    written = r"b'\x1b[2Kweb-1 | one\n\x1b[2Kweb-1 | \xff \x1b[31mred\n'"
    script = f"import os; os.write(1, {written}); raise SystemExit(3)"
    with pytest.raises(Exit) as ended:
        Runner(echo=False).replace([sys.executable, "-c", script], plain=True)
    assert ended.value.code == 3
    sys.stdout.flush()
    assert "[2K" not in (said := capfd.readouterr().out)
    assert said.startswith("web-1 | one\nweb-1 | ") and "\x1b[31mred\n" in said


def test_a_reader_of_a_log_may_leave() -> None:
    """Red when `invoke logs --follow | head` goes on for ever, or ends with a traceback."""
    script = (
        "import sys; from slipway.core.run import Runner; "
        "Runner(echo=False).replace([sys.executable, '-uc', "
        "'import itertools\\nfor n in itertools.count(): print(n)'], plain=True)"
    )
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0\n"
    assert "BrokenPipe" not in done.stderr
