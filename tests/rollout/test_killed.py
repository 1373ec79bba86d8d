"""A deploy that is killed outright, at any step, and one that another gets in the way of."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from rolloutkit import assert_clean, assert_saw, release, visitors

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World

_STEPS = (
    "build", "check nginx configuration", "back up", "migrate", "publish static files",
    "start", "wait", "switch", "drain", "stop",
)  # fmt: skip


def _deploy(own: World, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", "deploy", "--release", name], cwd=own.root,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("step", _STEPS)
def test_a_deploy_killed_at_any_step_drops_nothing_and_can_be_run_again(prod: World, step: str) -> None:
    """Red when a second run does not remove what the killed one left, or trusts what it did not finish."""
    before, name = release(prod), f"killed-{step.replace(' ', '-')}"
    # Anywhere in the step: how far it got is part of what must not matter.
    delay = random.uniform(0, 1.5)
    print(f"killed {delay:.2f} s after the begin of {step}")
    with visitors(prod) as load:
        killed = _deploy(prod, name)
        assert killed.stderr is not None
        for line in killed.stderr:
            if line.strip() == f"== {step}":
                break
        time.sleep(delay)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait(timeout=30)
        assert Site(prod.url).get("/").status_code == 200
        prod.invoke("deploy", "--release", f"{name}-again")
        assert_clean(prod, f"{name}-again")
    # Whether the killed one got as far as its switch, and no further back than that.
    assert set(map(tuple, load.releases.values())) <= {
        (before, f"{name}-again"),
        (before, name, f"{name}-again"),
    }


@pytest.mark.parametrize("step", ["wait", "switch"])
def test_a_deploy_that_is_terminated_cleans_up(prod: World, step: str) -> None:
    """Red without the signal handler (a CI's or a service manager's SIGTERM would leave two releases), or
    when the new replicas are removed before nginx has surely let go of them.
    """
    before = release(prod)
    with visitors(prod) as load:
        ended = _deploy(prod, f"terminated-{step}")
        assert ended.stderr is not None
        for line in ended.stderr:
            if line.strip() == f"== {step}":
                break
        # `switch` is two reloads: the second, which moves the public, begins with its echo.
        if step == "switch":
            next(line for line in ended.stderr if "/front switch " in line)
        os.kill(ended.pid, signal.SIGTERM)
        said = ended.stderr.read()
        assert ended.wait(timeout=60) != 0
        assert f"the step '{step}' failed" in said
        assert_clean(prod, before)
    # For a moment the new one may have been public.
    assert (
        {seen[0] for seen in load.releases.values()}
        == {seen[-1] for seen in load.releases.values()}
        == {before}
    )


def test_a_second_deploy_at_the_same_time_is_refused(prod: World) -> None:
    """Red without the lock: both would start containers and stop each other's."""
    before = release(prod)
    with visitors(prod) as load:
        first = _deploy(prod, "first-come")
        lock = prod.root / ".slipway" / "deploy.lock"
        eventually(lambda: str(first.pid) in lock.read_text(), "the first deploy to hold the lock")
        second = prod.invoke("deploy", "--release", "second-come", check=False)
        output = first.communicate(timeout=300)[1]
        assert second.returncode != 0
        assert "SLIP-077" in second.stderr
        assert f"process {first.pid}, since 20" in second.stderr
        assert first.returncode == 0, output
        assert_clean(prod, "first-come")
    assert_saw(load, before, "first-come")
