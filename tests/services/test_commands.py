"""Commands in containers end with their task, and receive its signals, with and without a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.polling import eventually
from tests.support.world import USUAL_SIGNALS, World, clean_environment, docker

# In the shape of `sh -c`, so that the process that is signalled is not the one that works.
_LOOP = ("sh", "-c", "echo be''gun; sleep 7654; true")


def _at_work(own: World, service: str) -> bool:
    """Whether the command is there, in any container of the service."""
    found = [c["Id"] for c in own.containers(everything=False)
             if c["Config"]["Labels"]["com.docker.compose.service"] == service]  # fmt: skip
    return any("sleep 7654" in docker("top", each, "-eo", "pid,args", check=False) for each in found)


def _begin(own: World, service: str, *, terminal: bool = False) -> tuple[subprocess.Popen[bytes], int]:
    """The task, when its command is at work, and the end of its terminal."""
    ours, theirs = pty.openpty() if terminal else (-1, subprocess.DEVNULL)
    mode = ["--prod"] if own.prod else []
    task = subprocess.Popen(
        [*USUAL_SIGNALS, sys.executable, "-m", "invoke", "exec", *mode, service, "--", *_LOOP],
        cwd=own.root, env=clean_environment(), stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal if terminal else None,  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    if terminal:
        os.close(theirs)
    eventually(lambda: _at_work(own, service), "the command to begin")
    return task, ours


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _kill(task: subprocess.Popen[bytes]) -> None:
    os.killpg(task.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_reach_the_command(prod: World, number: signal.Signals) -> None:
    """And its exit code comes back. Seen red with `invoke exec` as a bare `docker compose exec`."""
    task, _ = _begin(prod, "web")
    task.send_signal(number)
    assert task.wait(timeout=60) == 128 + number
    eventually(lambda: not _at_work(prod, "web"), "the command to end")


@pytest.mark.parametrize("service", ["web", "db", "worker"])
def test_the_death_of_the_task_ends_the_command(prod: World, service: str) -> None:
    """Seen red with `invoke exec` as a bare `docker compose exec`."""
    task, _ = _begin(prod, service)
    _kill(task)
    eventually(lambda: not _at_work(prod, service), "the command to end")
    task.wait()


def test_a_terminal_that_is_gone_ends_the_command(prod: World) -> None:
    """As a closed ssh does. Seen red with `invoke exec` as a bare `docker compose exec`."""
    task, terminal = _begin(prod, "web", terminal=True)
    os.close(terminal)
    task.wait(timeout=60)
    eventually(lambda: not _at_work(prod, "web"), "the command to end")


@pytest.mark.parametrize(
    "end", [lambda task: task.terminate(), lambda task: task.kill(), _kill], ids=["TERM", "KILL", "group"]
)
def test_a_container_of_its_own_ends_with_the_task(
    prod: World, end: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    """Where the service does not run. Red when `invoke exec` is a bare `docker compose run`."""
    prod.invoke("stop", "--services", "worker")
    try:
        task, _ = _begin(prod, "worker")
        end(task)
        task.wait(timeout=60)
        eventually(lambda: not _at_work(prod, "worker"), "the command to end")
    finally:
        prod.invoke("start", "--services", "worker")


def test_input_and_exit_code_are_the_commands(prod: World) -> None:
    """Red when the task reads what the command should, or another code comes back."""
    assert prod.invoke("exec", "web", "--", "cat", stdin="one\ntwo").stdout == "one\ntwo"
    assert prod.invoke("exec", "web", "--", "sh", "-c", "exit 7", check=False).returncode == 7
