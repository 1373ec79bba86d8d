"""The gate's sessions on a newer engine. The tests are one machine's story and run in order."""

from __future__ import annotations

import json
import re

import pytest
from conftest import start_engine

from tests.support.pristine import Machine
from tests.support.world import compose_warnings

SESSION_SECONDS = 1200
LEAST = {
    "packaged": {"docker": (28, 5), "compose": (2, 40), "buildx": (0, 29), "python": (3, 14)},
    "29": {"docker": (29, 9), "compose": (5, 7), "buildx": (0, 38), "python": (3, 14)},
}
SESSIONS = ["smoke(prod)", "rollout(short)", "backup(short)", "tls(short)"]
# What depends on the engine's builder most; the rest of it is about what the projects have.
IMAGES = ["images(short)", "--", "-k", "test_image_web or test_image_root"]
_VERSIONS = """
docker version --format 'docker {{.Server.Version}}'
docker compose version --short | sed 's/^/compose /'
docker buildx version | sed 's/.*buildx /buildx /'
python3 --version
"""


def test_the_engine_is_the_one_that_is_meant(newest: Machine, engine: str) -> None:
    """Red with another SUITES["14"], or without _TAKE_OVER: what follows proves nothing."""
    said = newest.run("sh", "-c", _VERSIONS).stdout.lower()
    versions = re.findall(r"^(\w+) v?(\d+)\.(\d+)", said, re.MULTILINE)
    found = {name: (int(major), int(minor)) for name, major, minor in versions}
    assert set(found) == set(LEAST[engine])
    assert all(found[name] >= least for name, least in LEAST[engine].items()), found


@pytest.mark.parametrize(
    "session",
    [
        *([name] for name in SESSIONS),
        IMAGES,
        pytest.param(["images(short)"], marks=pytest.mark.long),
    ],
    ids=lambda words: words[0] + " in part" * (len(words) > 1),
)
def test_a_session_of_the_gate_passes(newest: Machine, session: list[str]) -> None:
    """Red with `COPY --chmod=0644` in docker/backup/Dockerfile: nobody can read the programs of a backup."""
    newest.run("./bootstrap", "nox", "-s", *session, timeout=SESSION_SECONDS)


@pytest.mark.parametrize(
    "session", ["smoke(unchanged)", pytest.param("backup(short)", marks=pytest.mark.long)]
)
def test_the_other_image_store(newest: Machine, engine: str, session: str) -> None:
    """Red without BUILDX_NO_DEFAULT_ATTESTATIONS in slipway/core/run.py: each build is another image there.

    The containerd image store, the default since Engine 29; there it is the one from before, after its own.
    """
    wanted = engine == "packaged"
    if not wanted:
        newest.run("./bootstrap", "nox", "-s", session, timeout=SESSION_SECONDS)
    if _has_containerds(newest) is not wanted:
        newest.stop_engine()
        setting = json.dumps({"features": {"containerd-snapshotter": wanted}})
        newest.run("sh", "-c", f"mkdir -p /etc/docker && echo '{setting}' >/etc/docker/daemon.json")
        start_engine(newest)
        assert _has_containerds(newest) is wanted
    newest.run("./bootstrap", "nox", "-s", session, timeout=SESSION_SECONDS)


def test_compose_warned_of_nothing(newest: Machine) -> None:
    """Red when a command uses what Compose drops some day; ``World.invoke`` looks at what the tests run."""
    assert compose_warnings(newest.log.read_text(encoding="utf-8", errors="replace")) == []


def _has_containerds(machine: Machine) -> bool:
    return "io.containerd.snapshotter" in machine.run("docker", "info").stdout
