"""What the README says about deploying, typed as it stands there, in a clone of one's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rolloutkit import ledger, release

from tests.support.site import Site
from tests.support.world import World, world

_STRANGER = ("-c", "user.name=A reader", "-c", "user.email=reader@example.org")


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[World]:
    """A copy that is a git repository, with the settings and ports of a test."""
    if shutil.which("git") is None:
        pytest.skip("the README's commands are git's too")
    with world(tmp_path, "readme", prod=True) as own:
        for arguments in (
            ("init", "--quiet"),
            ("add", "--all"),
            ("commit", "--quiet", "--message", "A clone"),
        ):
            subprocess.run(["git", *_STRANGER, *arguments], cwd=own.root, check=True)
        yield own


def _commands() -> list[str]:
    section = (Path(__file__).parents[2] / "README.md").read_text().split("## Deploy\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    return [line for line in block[1].splitlines() if line]


def test_the_readme_leads_from_a_clone_to_a_rollback(clone: World) -> None:
    """Red when a command of the README does not do what the comment behind it says."""
    # `invoke` of this environment in the place of the one `./bootstrap` would make.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    identity = {
        f"GIT_{who}_{what}": "reader@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    served: dict[str, str] = {}
    for line in _commands():
        if line.startswith(". .venv"):
            continue
        command = line.replace("./bootstrap ", "")
        done = subprocess.run(
            ["bash", "-c", command], cwd=clone.root, env={**os.environ, **identity, "PATH": path},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=540,
        )  # fmt: skip
        assert (done.returncode != 0) == ("# fails" in line), f"{line}\n{done.stdout}\n{done.stderr}"
        if command.startswith("invoke"):
            served[line.partition("#")[2].strip()] = release(clone)
        if "# fails" in line:
            assert "RuntimeError: broken" in done.stderr
        if "second release" in line:
            assert "Leave a note" in Site(clone.url).get("/").text
    first, second, failed, back, _listed = served.values()
    assert first != second == failed
    assert back == first
    results = [(entry["kind"], entry["result"]) for entry in ledger(clone)]
    assert results == [("rollback", "live"), ("deploy", "failed: wait"), ("deploy", "live"), ("up", "live")]
