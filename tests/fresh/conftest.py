"""Fixtures of the pristine machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.pristine import SUITES, Machine, pristine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--debian", action="append", choices=sorted(SUITES), help="Debian release (default: each of them)"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "release" in metafunc.fixturenames:
        releases = metafunc.config.getoption("--debian") or sorted(SUITES, reverse=True)
        metafunc.parametrize("release", releases, scope="module")


@pytest.fixture(scope="module")
def bare(release: str) -> Iterator[Machine]:
    """A bare Debian, used by root; the tests of a module go through its first hour in order."""
    with pristine(release, f"debian{release}") as machine:
        yield machine


@pytest.fixture(scope="module")
def trusted(release: str) -> Iterator[Machine]:
    """A bare Debian used by somebody who may sudo; the checkout is theirs."""
    with pristine(release, f"trusted{release}") as machine:
        machine.run("sh", "-c", "apt-get -q update && apt-get -qy install --no-install-recommends sudo")
        machine.run("useradd", "--create-home", "--uid", "1000", "--shell", "/bin/bash", "somebody")
        machine.run("sh", "-c", "echo 'somebody ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/somebody")
        machine.run("chown", "--recursive", "somebody:", ".")
        yield machine


@pytest.fixture(scope="module")
def restricted(release: str) -> Iterator[Machine]:
    """A bare Debian used by somebody without any rights; the checkout is theirs."""
    with pristine(release, f"restricted{release}") as machine:
        machine.run("useradd", "--create-home", "--uid", "1000", "somebody")
        machine.run("chown", "--recursive", "somebody:", ".")
        yield machine
