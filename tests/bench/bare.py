"""From a bare Debian to a served page, against the sum of what nobody can do without."""

from __future__ import annotations

import shlex
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.host import enginepackages, mirrors
from tests.bench.pairs import Pairs
from tests.bench.registry import daemon_configuration, registry
from tests.bench.results import Result
from tests.bench.workshop import Workshop
from tests.support.pristine import CA_IN_MACHINE, CHECKOUT, Machine, pristine

__all__ = ["MEASURES", "apt", "install_dependencies"]

_RELEASE = "13"
_DEADLINE_SECONDS = 900

_UP_TO_PAGE = """
import http.client, subprocess, sys, time, urllib.request
started = time.monotonic()
up = subprocess.Popen(["./bootstrap", "invoke", "up"])
while True:
    try:
        if urllib.request.urlopen("http://127.0.0.1:8000/", timeout=5).status == 200:
            break
    except (OSError, http.client.HTTPException):
        pass
    if up.poll() is not None:
        sys.exit(f"no page, and ./bootstrap invoke up ended with {up.returncode}")
    time.sleep(0.05)
seconds = time.monotonic() - started
code = up.wait()
print(seconds)
sys.exit(code)
"""
"""Run inside: the seconds to the first page are its last line."""

_ENSURE_BASE = """
import pathlib, sys
from slipway.config import settings
from slipway.images import bases
from slipway.core.run import Runner
variable, images = sys.argv[1], settings.load(pathlib.Path.cwd(), required=False).images()
print(bases.ensure({variable: images[variable]}, Runner()).get(variable, images[variable]))
"""
"""Run inside: pull one base image, or build what stands in for it; its name is the last line."""

_START_ENGINE = (
    "setsid dockerd >/dev/null 2>&1 </dev/null & until docker version >/dev/null 2>&1; do sleep 0.1; done"
)

_FIRST_START = (
    "docker run --detach --name first --env POSTGRES_PASSWORD=of-the-bench {image} >/dev/null"
    " && until docker exec first pg_isready --quiet --host=127.0.0.1; do sleep 0.05; done"
)
"""By TCP: the server that runs the init scripts listens on its socket alone."""


def bare_machine(place: Workshop, runs: int) -> Result:
    """Base images are pulled, on both sides from a registry on this machine."""
    return _pairs_of_machines("bare_machine", place, registry(place), runs)


def bare_machine_stand_ins(place: Workshop, runs: int) -> Result:
    """No registry answers, and stand-ins are built."""
    return _pairs_of_machines("bare_machine_stand_ins", place, "", runs)


def _pairs_of_machines(key: str, place: Workshop, mirror: str, runs: int) -> Result:
    """``./bootstrap invoke up`` until the page is there; its parts, each timed alone on another machine.

    No uncounted round: a bare machine has nothing to warm.
    """
    ours: list[float] = []
    parts: list[dict[str, float]] = []
    for number in range(runs):
        sides = [lambda: ours.append(_up_to_page(mirror)), lambda: parts.append(_parts(mirror))]
        for side in sides if number % 2 == 0 else reversed(sides):
            side()
        place.note(f"{ours[-1]:.0f} s; its parts: {_named(parts[-1])}")
    medians = {name: statistics.median(taken[name] for taken in parts) for name in parts[0]}
    pairs = Pairs(ours, [sum(taken.values()) for taken in parts])
    return Result(key, "s", pairs, f"{runs} pairs of machines; the parts: {_named(medians)}")


def _named(parts: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items())


@contextmanager
def _bare(label: str, mirror: str) -> Iterator[Machine]:
    """A bare machine whose engine, once there is one, pulls from ``mirror``; if empty, from nowhere."""
    with pristine(_RELEASE, f"bench-{label}") as machine:
        machine.run("mkdir", "/etc/docker")
        write = ["sh", "-c", 'printf %s "$1" >/etc/docker/daemon.json', "sh"]
        machine.run(*write, daemon_configuration(mirror))
        yield machine


def _up_to_page(mirror: str) -> float:
    with _bare("ours", mirror) as machine:
        said = machine.run("python3", "-c", _UP_TO_PAGE, timeout=_DEADLINE_SECONDS).stdout
        return float(said.splitlines()[-1])


def _parts(mirror: str) -> dict[str, float]:
    """Seconds of each download and install that the page needs. Starting the engine is none of them."""
    with _bare("parts", mirror) as machine:
        taken = {
            "Python's venv by apt": _timed(machine, apt("python3-venv")),
            "tools by pip": _timed(
                machine,
                "python3 -m venv .venv && .venv/bin/python -m pip install --quiet"
                " --disable-pip-version-check --require-hashes --requirement requirements/tools.txt",
            ),
            "engine by apt": _timed(machine, apt(*enginepackages.DEBIAN)),
        }
        machine.run("sh", "-c", _START_ENGINE)
        python, taken["base image of Python"] = _base(machine, "PYTHON_IMAGE")
        postgres, taken["base image of PostgreSQL"] = _base(machine, "POSTGRES_IMAGE")
        taken["dependencies by pip"] = _timed(
            machine,
            install_dependencies(
                python, pip_conf=bool(mirrors.pip_settings().as_config()), bundle=bool(mirrors.ca_bundle())
            ),
        )
        taken["first start of PostgreSQL"] = _timed(machine, _FIRST_START.format(image=postgres))
        return taken


def _base(machine: Machine, variable: str) -> tuple[str, float]:
    """The base image that there is now, and the seconds it took."""
    started = time.monotonic()
    said = machine.run(".venv/bin/python", "-c", _ENSURE_BASE, variable, timeout=_DEADLINE_SECONDS).stdout
    return said.splitlines()[-1], time.monotonic() - started


def _timed(machine: Machine, script: str) -> float:
    started = time.monotonic()
    machine.run("sh", "-c", script, timeout=_DEADLINE_SECONDS)
    return time.monotonic() - started


def apt(*packages: str) -> str:
    """A script that installs Debian's ``packages`` and nothing that they only recommend."""
    install = ["apt-get", "--quiet", "install", "--yes", "--no-install-recommends", *packages]
    return f"export DEBIAN_FRONTEND=noninteractive && apt-get --quiet update && {shlex.join(install)}"


def install_dependencies(image: str, *, pip_conf: bool, bundle: bool) -> str:
    """A script that installs the example's packages by pip in a container of ``image``.

    The container has the machine's ``pip_conf`` and its ``bundle`` of CAs, where there are such.
    """
    options = ["--volume=/etc/pip.conf:/etc/pip.conf:ro"] if pip_conf else []
    options += [f"--volume={CA_IN_MACHINE}:/ca.pem:ro", "--env=PIP_CERT=/ca.pem"] if bundle else []
    project = [f"--volume={CHECKOUT}/example:/app:ro", "--workdir=/app"]
    pip = ["pip", "install", "--quiet", "--root-user-action=ignore", "--no-cache-dir", "--require-hashes"]
    files = [f"--requirement={name}" for name in ("requirements.txt", "requirements-dev.txt")]
    return shlex.join(["docker", "run", "--rm", *options, *project, image, *pip, *files])


MEASURES = {"bare_machine": bare_machine, "bare_machine_stand_ins": bare_machine_stand_ins}
