"""A command in a container ends with its task, and hears the task's signals; here without an engine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.world import USUAL_SIGNALS

_ROOT = Path(__file__).resolve().parents[3]
# As `docker exec` is: what it has begun is not its child, and hears nothing of what becomes of it.
_DOCKER = """\
#!/bin/sh
while [ "$1" != sh ]; do shift; done
exec "$@"
"""
_CLIENT = """\
import os, subprocess, sys
call = os.environ.pop("SLIPWAY_CALL", None)
if call:
    # Not itself one of the command's processes.
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "HANDED": call})
handed = {**os.environ, "SLIPWAY_CALL": os.environ["HANDED"]}
begun = subprocess.Popen(sys.argv[1:], env=handed, start_new_session=True)
code = begun.wait()
sys.exit(code if code >= 0 else 128 - code)
"""
_TASK = """\
import sys
from slipway.core.lifeline import Lifeline
from slipway.core.run import Runner
print("task", flush=True)
argv = [sys.executable, "-c", sys.argv[1], *sys.argv[2:]]
Runner(echo=False).replace(argv, lifeline=Lifeline(lambda: "some", 3, terminal=False))
"""
_MAIN = """\
import sys
from invoke.exceptions import Exit
try:
    exec(sys.argv.pop(1))
except Exit as end:
    sys.exit(end.code)
"""


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Begin a task with a command; the command's process id is in the file ``pid`` when it has begun."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(_DOCKER)
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}", "PYTHONPATH": str(_ROOT)}

    def begin(script: str) -> subprocess.Popen[str]:
        command = ["sh", "-c", f"trap 'echo heard; exit 9' TERM INT; echo $$ >{tmp_path}/pid; {script}"]
        return subprocess.Popen(
            [*USUAL_SIGNALS, sys.executable, "-c", _MAIN, _TASK, _CLIENT, *command],
            env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    return begin


def _pid(folder: Path) -> int:
    file = folder / "pid"
    return int(eventually(lambda: file.exists() and file.read_text().strip(), "the command to begin"))


def _gone(pid: int) -> bool:
    # What is left to its parent has no command line any more.
    line = Path(f"/proc/{pid}/cmdline")
    try:
        return not line.read_bytes()
    except FileNotFoundError:
        return True


_LOOP = "while :; do sleep 0.1; done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("group", [False, True])
def test_a_signal_reaches_the_command(task, tmp_path: Path, number: signal.Signals, group: bool) -> None:
    """To the task alone, or to all of its group, as `timeout` does. Red with `Lifeline._order` empty."""
    begun = task(_LOOP)
    pid = _pid(tmp_path)
    (os.killpg if group else os.kill)(begun.pid, number)
    assert begun.communicate(timeout=30)[0].splitlines() == ["task", "heard"]
    assert begun.returncode == 9
    assert _gone(pid)


def test_an_interrupt_reaches_all_as_from_a_terminal(task, tmp_path: Path) -> None:
    """A shell waits for its child to end by it. Red when the first process alone is told."""
    begun = task("trap - INT TERM; sh -c 'sleep 7654'; true")
    _pid(tmp_path)
    eventually(lambda: "sleep\0007654" in _commands(tmp_path), "the child to begin")
    begun.send_signal(signal.SIGINT)
    assert begun.wait(timeout=30) == 128 + signal.SIGINT


def test_a_signal_that_comes_first_is_not_lost(task, tmp_path: Path) -> None:
    """Red when docker/end-with-caller looks once for a command that is about to begin."""
    begun = task(_LOOP)
    assert begun.stdout and begun.stdout.readline() == "task\n"
    begun.terminate()
    assert begun.wait(timeout=30) != 0
    said = (tmp_path / "pid").read_text().strip() if (tmp_path / "pid").exists() else ""
    assert not said or _gone(int(said))


@pytest.mark.parametrize("group", [False, True])
def test_the_death_of_the_task_ends_the_command(task, tmp_path: Path, group: bool) -> None:
    """Red when the end of its input is none to docker/end-with-caller, as with a bare `docker exec`."""
    begun = task(_LOOP)
    pid = _pid(tmp_path)
    (os.killpg if group else os.kill)(begun.pid, signal.SIGKILL)
    eventually(lambda: _gone(pid), "the command to end")
    assert begun.wait(timeout=30) == -signal.SIGKILL


def test_who_takes_no_notice_is_killed(task, tmp_path: Path) -> None:
    """And so is what it has begun. Red without the last lines of `end`."""
    begun = task(f"trap '' TERM HUP; sh -c 'echo $$ >{tmp_path}/other; {_LOOP}' & {_LOOP}")
    pid = _pid(tmp_path)
    other = tmp_path / "other"
    eventually(lambda: other.exists() and other.read_text().strip(), "the other to begin")
    begun.terminate()
    assert begun.wait(timeout=60) == 128 + signal.SIGKILL
    eventually(lambda: _gone(pid) and _gone(int(other.read_text())), "both to be killed")


def test_what_a_command_leaves_running_stays(task, tmp_path: Path) -> None:
    """Red when the regular end of a command is taken for the task's death."""
    begun = task(f"sh -c 'echo $$ >{tmp_path}/other; {_LOOP}' >/dev/null & exit 3")
    assert begun.wait(timeout=30) == 3
    other = tmp_path / "other"
    pid = int(eventually(lambda: other.exists() and other.read_text().strip(), "the other to begin"))
    # The last that looks for it has ended.
    eventually(lambda: "end-with-caller" not in _commands(tmp_path), "the lifeline to end")
    assert not _gone(pid)
    os.kill(pid, signal.SIGKILL)


def _commands(folder: Path) -> str:
    """The command lines of what has this test's `docker` on its PATH."""
    found = b""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{folder}/bin:".encode() in (process / "environ").read_bytes():
                found += (process / "cmdline").read_bytes()
    return found.decode(errors="replace")
