"""What production keeps of an image it is not built on: changed files, variables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

import pytest
from kitfiles import DOCKER, load

ENTRYPOINT = load("entrypoint")
BASE = load("base_environment")
DOCKERFILE = (DOCKER.parent / "Dockerfile").read_text(encoding="utf-8")


def test_the_usual_path_is_the_same_in_three_places() -> None:
    """Red when one of the three is changed alone."""
    assert f"ENV PATH={ENTRYPOINT.USUAL_PATH} " in DOCKERFILE
    assert ENTRYPOINT.USUAL_PATH == BASE.USUAL_PATH


def test_production_sets_what_the_base_stage_sets() -> None:
    """Red when a variable is added to the stage `base` alone."""
    base, root = (
        set(re.findall(r"^(?:ENV|   ) *(\w+)=", block, re.MULTILINE))
        for block in re.findall(r"^ENV PATH=(?:.*\\\n)*.*$", DOCKERFILE, re.MULTILINE)
    )
    assert base == root == BASE.SET_AGAIN | {"PATH"}


def test_variables_of_the_base_image_come_back(tmp_path: Path) -> None:
    """Red when the file is not read, or wins over what the container's own environment sets."""
    given = {"ORACLE_HOME": "/opt/o", "A": "1\n2", "PATH": "/opt/x:/bin", "HOME": "/tmp", "no_proxy": "x"}
    recorded = BASE.of_base(given)
    file = tmp_path / "base-environment"
    file.write_bytes(b"".join(f"{name}={value}\0".encode() for name, value in recorded.items()))
    usual = {"PATH": ENTRYPOINT.USUAL_PATH, "A": "mine"}
    assert ENTRYPOINT.with_base(usual, file) == {"ORACLE_HOME": "/opt/o", "PATH": "/opt/x:/bin", "A": "mine"}
    assert ENTRYPOINT.with_base({"PATH": "/own"}, file)["PATH"] == "/own"
    assert ENTRYPOINT.with_base(usual, tmp_path / "none") == usual


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    new, old = tmp_path / "new", tmp_path / "old"
    for root in (new, old):
        (root / "etc").mkdir(parents=True)
        for name in ("same", "mode", "text"):
            (root / "etc" / name).write_text("1")
            os.utime(root / "etc" / name, (1, 1))
        (root / "link").symlink_to("etc")
    (new / "etc/text").write_text("2")
    (new / "etc/mode").chmod(0o700)
    (new / "usr/lib").mkdir(parents=True)
    (new / "usr/lib/libpq.so.5").symlink_to("libpq.so.5.17")
    (new / "tool").write_text("#!")
    (new / "tool").chmod(0o4755)
    return new, old


def test_what_is_new_or_otherwise_is_copied_and_nothing_else(
    roots: tuple[Path, Path], tmp_path: Path
) -> None:
    """Red when mode or content is not compared, links are followed, or the setuid bit is lost."""
    difference: ModuleType = load("root_difference")
    new, old = roots
    out = tmp_path / "out"
    out.mkdir()
    for path in difference.differences(new, old, frozenset()):
        difference.copy(path, new, out)
    found = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    assert found == {"etc/mode", "etc/text", "tool", "usr/lib/libpq.so.5"}
    assert (out / "usr/lib/libpq.so.5").readlink() == Path("libpq.so.5.17")
    assert (out / "tool").stat().st_mode & 0o7777 == 0o4755
