"""Backups, restores and verifications that are ended at some point: all of it, or nothing of it."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from backupkit import (
    MEDIA_ROOT,
    Kept,
    assert_clean,
    assert_serves,
    backup,
    folder,
    kill,
    listed,
    one_offs,
    post,
    started,
    state,
    unfinished,
    until,
)

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker

# What the task says when it begins each of its steps.
_RESTORING = (
    "backup unpack", "restore-media receive", "maintenance on", "backup make", "CREATE DATABASE",
    "pg_restore --exit-on-error", "RENAME TO slipway_replaced", "DROP DATABASE", "restore-media swap",
    "maintenance off", "restore-media discard",
)  # fmt: skip


@pytest.mark.parametrize("containers", [False, True], ids=["task", "containers-too"])
@pytest.mark.parametrize("step", _RESTORING)
def test_a_restore_that_is_killed(prod: World, kept: Kept, step: str, containers: bool) -> None:
    """Red when database and media are of different moments, or the next run does not bring it to its end."""
    post(prod, f"before {step.strip()}")
    before = state(prod)
    delay = random.uniform(0, 1)
    print(f"killed {delay:.2f} s after the begin of {step}")
    task = started(prod, "db.restore", kept.path.name, "--yes")
    until(task, step)
    time.sleep(delay)
    kill(prod, task, containers=containers)
    # Closed or not, it answers.
    assert Site(prod.url).get("/").status_code in {200, 503}
    prod.invoke("db.backup", "--label", "after-a-kill")
    assert state(prod) in (before, kept.state)
    eventually(lambda: Site(prod.url).get("/").status_code == 200, "the site to be open")
    eventually(lambda: one_offs(prod) == [], "the killed task's container to end")
    if unfinished(prod):
        # That container worked on while the backup was made: the next task clears it away.
        prod.invoke("db.backup", "--label", "after-its-end")
    assert_clean(prod)


@pytest.mark.parametrize("step", random.sample(_RESTORING, 4))
def test_a_restore_that_is_terminated(prod: World, kept: Kept, step: str) -> None:
    """Red without the handler: it has to end what it began by itself, and the site has to be open again."""
    post(prod, f"before SIGTERM in {step.strip()}")
    before = state(prod)
    task = started(prod, "db.restore", kept.path.name, "--yes")
    until(task, step)
    time.sleep(random.uniform(0, 1))
    os.kill(task.pid, signal.SIGTERM)
    said = task.communicate(timeout=300)[1]
    assert state(prod) in (before, kept.state), said
    assert_serves(prod)
    assert_clean(prod)


@pytest.fixture
def heavy(prod: World) -> object:
    """Media that take a while, for as long as the test lasts."""
    file = f"{MEDIA_ROOT}/heavy.bin"
    web = f"{prod.project}-web-1"
    docker("exec", web, "sh", "-c", f"head --bytes=300M /dev/urandom > {file}")
    yield file
    docker("exec", web, "rm", "--force", file)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "container SIGKILL", "container SIGTERM"])
def test_a_backup_that_is_ended(prod: World, kept: Kept, heavy: object, how: str) -> None:
    """Red when half an archive has an archive's name, or the next run leaves the other half."""
    before = set(listed(prod))
    task = started(prod, "db.backup", "--label", "ended")
    until(task, "packing media")
    time.sleep(random.uniform(0, 1.5))
    if how.startswith("container"):
        [maker] = one_offs(prod, "backup-run")
        docker("kill", "--signal", how.split()[1], maker, check=False)
    else:
        os.kill(task.pid, getattr(signal, how))
    task.communicate(timeout=120)
    # The container of a killed task goes on, and the next one waits for it.
    path = backup(prod, "next")
    prod.invoke("db.verify", path.name)
    found = listed(prod)
    assert all(found[name]["problem"] is None for name in found.keys() - before)
    for name in found.keys() - before:
        (folder(prod) / name).unlink()
    assert_clean(prod)
    assert_serves(prod)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_verification_that_is_ended(prod: World, kept: Kept, how: signal.Signals) -> None:
    """Red when its containers, its volume or what it has unpacked stay."""
    volumes = set(docker("volume", "ls", "--quiet").split())
    task = started(prod, "db.verify", kept.path.name)
    until(task, "starting a PostgreSQL")
    time.sleep(random.uniform(0, 2))
    # From a terminal every process of the group gets it.
    os.killpg(task.pid, how) if how == signal.SIGINT else os.kill(task.pid, how)
    task.communicate(timeout=120)
    assert_clean(prod)
    assert {v for v in set(docker("volume", "ls", "--quiet").split()) - volumes if len(v) == 64} == set()
