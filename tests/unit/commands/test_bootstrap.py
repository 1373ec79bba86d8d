"""The script ./bootstrap itself, on a kit whose requirements are empty: no network, no engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.commands.bootstrap import needs_engine
from slipway.core.checkout import ROOT

CREATES = "creating the tool environment"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A kit with the real script; slipway.commands.bootstrap is one that notes its arguments."""
    kit = tmp_path / "kit"
    (kit / "slipway").mkdir(parents=True)
    (kit / "requirements").mkdir()
    (kit / "requirements" / "tools.txt").touch()
    for name in (
        "bootstrap", "slipway/__init__.py", "slipway/host/__init__.py", "slipway/host/mirrors.py",
        "slipway/host/npmrc.py", "slipway/commands/__init__.py",
    ):  # fmt: skip
        (kit / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, kit / name)
    (kit / "slipway/commands/bootstrap.py").write_text(
        "import os, sys\nprint('ready for', *sys.argv[1:])\nsys.exit(int(os.environ.get('REFUSE', 0)))\n"
    )
    return kit


def bootstrap(kit: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # The folder of this Python has uv, which needs no network to make an empty environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [kit / "bootstrap", *command],
        env={**os.environ, "PATH": path, "UV_OFFLINE": "1", "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


def test_the_command_runs_in_the_tool_environment(kit: Path) -> None:
    """Red when .venv/bin is not first on PATH, or bootstrap talks on stdout."""
    done = bootstrap(kit, "sh", "-c", "command -v python; pwd; echo $VIRTUAL_ENV")
    assert done.stdout.split() == [str(kit / ".venv/bin/python"), str(kit), str(kit / ".venv")]
    assert "ready for sh -c" in done.stderr


def test_words_of_the_command_arrive_unchanged(kit: Path) -> None:
    """Red when "$@" loses its quotes."""
    assert bootstrap(kit, "printf", "%s|", "a b", "*", "").stdout == "a b|*||"


def test_without_a_command_the_machine_is_only_made_ready(kit: Path) -> None:
    """Red when a missing command is a usage error, or ends in a shell."""
    done = bootstrap(kit)
    assert (done.returncode, done.stdout) == (0, "")
    assert "ready for" in done.stderr


def test_the_commands_exit_code_is_handed_on(kit: Path) -> None:
    """Red when the command is not exec'd."""
    assert bootstrap(kit, "sh", "-c", "exit 7").returncode == 7


def test_a_machine_that_is_not_ready_runs_nothing(kit: Path) -> None:
    """Red when the exit code of slipway.commands.bootstrap is lost."""
    done = bootstrap(kit, "echo", "ran", REFUSE="3")
    assert (done.returncode, done.stdout) == (3, "")


def test_a_second_run_creates_nothing(kit: Path) -> None:
    """Red when the stamp is not written or not compared."""
    assert CREATES in bootstrap(kit, "true").stderr
    before = (kit / ".venv/slipway-stamp").stat().st_mtime_ns
    assert CREATES not in bootstrap(kit, "true").stderr
    assert (kit / ".venv/slipway-stamp").stat().st_mtime_ns == before


def test_changed_requirements_are_installed(kit: Path) -> None:
    """Red when the stamp does not hold the requirements."""
    bootstrap(kit, "true")
    (kit / "requirements/tools.txt").write_text("# something else\n")
    assert CREATES in bootstrap(kit, "true").stderr


def test_an_interrupted_creation_is_begun_again(kit: Path) -> None:
    """Red when a folder named .venv is enough."""
    (kit / ".venv/bin").mkdir(parents=True)
    (kit / ".venv/bin/python").write_text("half a file")
    done = bootstrap(kit, "python", "-c", "print('whole')")
    assert done.stdout == "whole\n"


def test_a_moved_checkout_gets_a_new_environment(kit: Path) -> None:
    """Red when the stamp does not hold the folder."""
    bootstrap(kit, "true")
    moved = kit.rename(kit.with_name("moved"))
    done = bootstrap(moved, "sh", "-c", "command -v python")
    assert CREATES in done.stderr
    assert done.stdout.strip() == str(moved / ".venv/bin/python")


@pytest.mark.parametrize("name", ["a:b", "a\tb", "a\nb", "a\rb"])
def test_a_folder_whose_name_no_environment_takes_is_refused(kit: Path, name: str) -> None:
    """Red when the package index is blamed, or the command is not found: PATH and #! lines cannot hold it."""
    moved = kit.rename(kit.parent / name)
    done = bootstrap(moved, "echo", "ran")
    assert (done.returncode, done.stdout) == (3, "") and not (moved / ".venv").exists()
    assert "SLIP-033: the path of this folder has a colon" in done.stderr and "fix: rename" in done.stderr


def test_a_failed_installation_is_refused_and_begun_again(kit: Path) -> None:
    """Red when the stamp is written before the packages are there."""
    pin = f"nosuchpackage==1 --hash=sha256:{'0' * 64}\n"
    (kit / "requirements/tools.txt").write_text(pin)
    for _ in range(2):
        done = bootstrap(kit, "echo", "ran")
        assert (done.returncode, done.stdout) == (3, "")
        assert "SLIP-022" in done.stderr


OLD = "exec {python} -c 'import sys; sys.version_info = (3, 10, 12); '\"$2\""


@pytest.mark.parametrize(
    ("question", "answer", "found"),
    [(OLD, "echo Python 3.10.12", "3.10.12"), ("exit 127", "exit 127", "at all")],
    ids=["3.10", "none"],
)
def test_a_python_that_is_too_old_is_refused(
    kit: Path, tmp_path: Path, question: str, answer: str, found: str
) -> None:
    """Red when find_python accepts 3.10, or takes another Python than the one that was named."""
    old = tmp_path / "python3"
    question = question.format(python=sys.executable)
    old.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then {answer}; exit 0; fi\n{question}\n')
    old.chmod(0o755)
    done = bootstrap(kit, "echo", "ran", PYTHON=str(old))
    assert (done.returncode, done.stdout) == (3, "")
    assert "SLIP-020" in done.stderr
    assert found in done.stderr
    assert not (kit / ".venv").exists()


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("", True),
        ("invoke up", True),
        ("nox", True),
        ("invoke up --local", False),
        ("invoke --list", False),
        ("invoke --help up", False),
        ("invoke --dry up --prod", False),
        ("invoke exec web -- ls -l", True),
    ],
)
def test_which_commands_need_an_engine(command: str, needed: bool) -> None:
    """Red when a word leaves the rule, or what follows -- counts."""
    assert needs_engine(command.split()) is needed
