"""One world per test: the stack of a project is gone before the next one comes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before it is imported: its assertions then say what they found, as those of a test do.
pytest.register_assert_rewrite("adoptkit")

from adoptkit import Adopted  # noqa: E402
from projectkit import Project  # noqa: E402


@pytest.fixture
def beside(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[Project], Adopted]]:
    """Return a function that puts a fresh kit beside a project; all of it is gone after the test.

    Logs of a failed test are kept in ``artifacts/``; with KEEP_FAILED=1 so is its stack.
    """
    with contextlib.ExitStack() as stack:

        def make(project: Project) -> Adopted:
            own = Adopted(tmp_path, project)
            stack.callback(_end, own, request)
            return own

        yield make


def _end(own: Adopted, request: pytest.FixtureRequest) -> None:
    failed = request.node.stash.get(_FAILED, False)
    if failed:
        own.save(f"adopt-{own.made.name}")
    if not (failed and os.environ.get("KEEP_FAILED") == "1"):
        own.remove()


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    if outcome.get_result().failed:
        item.stash[_FAILED] = True
