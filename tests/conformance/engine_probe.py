"""Throw-away containers, images and volumes for the conformance tests, all under one label."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

LABEL = f"slipway.conformance={uuid.uuid4().hex[:12]}"
GRACE_SECONDS = 20
KILLED = 137  # 128 + SIGKILL: the grace period was over


def docker(
    *arguments: str, check: bool = True, stdin: str | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["docker", *arguments], check=False, capture_output=True, text=True, input=stdin, timeout=timeout
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"docker {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def image_config(image: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]
    return config


def image_environment(image: str) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in image_config(image)["Env"])


def run(image: str, *command: str, options: tuple[str, ...] = (), check: bool = True) -> str:
    """Run a command in a fresh container without the entrypoint; return what it printed.

    It is run twice when it printed nothing: containerd can lose what a short command printed (issue 5741).
    """
    argv = ("run", "--rm", "--label", LABEL, *options, f"--entrypoint={command[0]}", image, *command[1:])
    for _ in range(2):
        done = docker(*argv, check=check)
        if said := (done.stdout + ("" if check else done.stderr)).strip():
            return said
    return ""


def shell(image: str, script: str, *options: str) -> str:
    return run(image, "sh", "-euc", script, options=options)


class Container:
    """A container started through the image's own entrypoint."""

    def __init__(self, image: str, *command: str, options: tuple[str, ...] = ()) -> None:
        self.id = docker("run", "--detach", "--label", LABEL, *options, image, *command).stdout.strip()

    def exec(self, *command: str, options: tuple[str, ...] = (), check: bool = True) -> str:
        done = docker("exec", *options, self.id, *command, check=check)
        return (done.stdout + ("" if check else done.stderr)).strip()

    def logs(self) -> str:
        done = docker("logs", self.id)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(docker("inspect", self.id).stdout)[0]["State"]
        return state

    def wait_for(self, what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Poll until ``ready``; give up at once when the container has ended."""
        deadline = time.monotonic() + seconds
        while not ready():
            running = self.state()["Running"]
            if not running or time.monotonic() > deadline:
                raise AssertionError(f"{what}: {'not in time' if running else 'it ended'}\n{self.logs()}")
            time.sleep(0.1)

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        return int(docker("wait", self.id, timeout=60).stdout)

    def stop(self) -> int:
        """Send the image's stop signal; return the exit code."""
        docker("stop", f"--time={GRACE_SECONDS}", self.id)
        return int(self.state()["ExitCode"])


def mounted(folder: Path, target: str) -> tuple[str, ...]:
    return ("--mount", f"type=bind,source={folder},target={target},readonly")


def remove_everything() -> None:
    """Remove what this run made, whatever state it is in."""
    for listing, removal in (
        (("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
        (("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
        (("image", "ls", "--quiet"), ("image", "rm", "--force")),
    ):
        found = docker(*listing, "--filter", f"label={LABEL}", check=False).stdout.split()
        if found:
            docker(*removal, *found, check=False)
