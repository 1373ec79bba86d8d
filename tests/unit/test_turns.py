"""Every test file is run by `nox`, by the gate or in a turn: one that nobody runs proves nothing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nox
import nox.registry
import pytest
from minikit import GIT

from slipway.core.checkout import ROOT
from tests.support import turns

FILES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("*/test_*.py")}


class _Session:
    """Stands in for nox's: keeps what pytest is told to run."""

    def __init__(self, *posargs: str) -> None:
        self.posargs = list(posargs)
        self.told: list[list[str]] = []

    def install(self, *_: str) -> None:
        pass

    def run(self, program: str, *arguments: str, **_: object) -> None:
        if program == "pytest":
            self.told.append(list(arguments))

    def error(self, message: str) -> None:
        raise AssertionError(message)


@pytest.fixture(scope="module")
def noxfile() -> Iterator[ModuleType]:
    before = dict(nox.registry._REGISTRY)
    spec = importlib.util.spec_from_file_location("the_noxfile", ROOT / "noxfile.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    nox.registry._REGISTRY.clear()
    nox.registry._REGISTRY.update(before)


def _files(told: list[str]) -> set[str]:
    """The test files pytest would look at. Of a folder's tests with one mark, all files that have such."""
    ignored = {word.partition("=")[2] for word in told if word.startswith("--ignore=")}
    paths = [word for word in told if word.startswith("tests/")]
    found = {file for file in FILES if any(file == path or file.startswith(f"{path}/") for path in paths)}
    return found - ignored


def _runs(noxfile: ModuleType, wanted: str) -> Iterator[list[str]]:
    """What pytest is told by the sessions that ``wanted`` (``default``, ``gate``) selects."""
    for name, session in nox.registry.get().items():
        for param in getattr(session, "parametrize", None) or [None]:
            tags = [*session.tags, *(param.tags if param else [])]
            if wanted in tags or (wanted == "default" and name in noxfile.nox.options.sessions):
                recorder = _Session()
                session.func(recorder, **(param.call_spec if param else {}))
                # A selection by name says nothing of the rest of a folder.
                yield from (told for told in recorder.told if "-k" not in told)


def test_every_test_file_is_run_by_somebody(noxfile: ModuleType) -> None:
    """Red when a folder has no session in `nox` or the gate and no turn, or a session leaves a file out."""
    by_nox = {file for told in _runs(noxfile, "default") for file in _files(told)}
    by_gate = {file for told in _runs(noxfile, "gate") for file in _files(told)}
    by_turn = {file for told in turns.turns().values() for file in _files(told)}
    assert by_nox and by_gate and by_turn
    assert by_nox | by_gate | by_turn == FILES


def test_the_gate_is_its_two_lanes(noxfile: ModuleType) -> None:
    """Red when a session has the tag of the gate alone, or of both lanes: `.ci/run` runs the lanes."""
    lanes = [*_runs(noxfile, "stacks"), *_runs(noxfile, "machines")]
    assert sorted(lanes) == sorted(_runs(noxfile, "gate"))


def test_what_is_marked_long_has_a_turn(noxfile: ModuleType) -> None:
    """Red when a marked test is in a folder whose sessions know no mark: the gate runs it, or nobody does."""
    marked = {
        file for file in FILES - {"tests/unit/test_turns.py"} if "mark.long" in (ROOT / file).read_text()
    }
    by_mark = {told[0] for told in turns.turns().values() if "long" in told}
    assert marked == by_mark


@pytest.mark.parametrize("session", ["adopt", "assets", "backup", "chaos", "hardening", "images", "newest",
                                     "rollout", "services", "tls"])  # fmt: skip
def test_a_long_form_is_its_turns(noxfile: ModuleType, session: str) -> None:
    """Red when `nox -s "rollout(long)"` runs what is in no turn, or a turn what is in no session."""
    recorder = _Session()
    function = nox.registry.get()[session]
    params = getattr(function, "parametrize", None)
    function.func(recorder, **(next(p.call_spec for p in params if p.id == "long") if params else {}))
    whole = {file for told in recorder.told for file in _files(told)}
    marked = any("long" in told for told in recorder.told)
    folder = "images" if session == "assets" else session
    mine = {f"tests/{name}" for name in turns.turns() if name.startswith(f"{folder}/")}
    mine = mine & {f"tests/{turns.ASSETS}"} if session == "assets" else mine - {f"tests/{turns.ASSETS}"}
    assert mine and (mine <= whole if marked else mine == whole)


def test_a_new_file_has_its_turn_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when turns are a list that somebody must remember."""
    for name in ("rollout/test_deploys.py", "rollout/test_new.py", "hardening/test_quick.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "hardening/test_slow.py").write_text("pytestmark = pytest.mark.long\n")
    monkeypatch.setattr(turns, "TESTS", tmp_path)
    assert list(turns.turns()) == ["hardening/test_slow.py", "rollout/test_new.py"]
    assert [turns.turn_of(number) for number in (4, 5)] == ["hardening/test_slow.py", "rollout/test_new.py"]


def test_a_turn_is_run_by_its_name_or_by_the_commit(noxfile: ModuleType) -> None:
    """Red when a name is not looked up, or what follows it does not reach pytest."""
    by_name = _Session("rollout/test_killed.py", "-x")
    noxfile.turn.func(by_name)
    assert by_name.told == [["tests/rollout/test_killed.py", "-x"]]
    by_commit = _Session()
    noxfile.turn.func(by_commit)
    assert by_commit.told == [turns.turns()[turns.turn_of(turns.number_now())]]
    with pytest.raises(AssertionError, match=r"no turn is called nothing; .*rollout/test_killed.py"):
        noxfile.turn.func(_Session("nothing"))


@GIT
def test_the_turn_follows_the_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the day where git cannot count them. Red when a shallow clone always has the turn of one commit."""

    def git(*arguments: str) -> None:
        author = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
        subprocess.run(["git", *author, *arguments], check=True, capture_output=True)

    whole, shallow, none = (tmp_path / name for name in ("whole", "shallow", "none"))
    git("init", str(whole))
    for message in ("one", "two", "three"):
        git("-C", str(whole), "commit", "--allow-empty", "--message", message)
    git("clone", "--depth=1", f"file://{whole}", str(shallow))
    none.mkdir()
    monkeypatch.setattr(turns.time, "time", lambda: 20_000 * 86_400.0)
    for folder, number in ((whole, 3), (shallow, 20_000), (none, 20_000)):
        monkeypatch.setattr(turns, "TESTS", folder)
        assert turns.number_now() == number, folder.name


def test_a_run_says_its_turn_and_the_next() -> None:
    """What `.ci/run` reads. Red when it prints anything else."""
    argv = [sys.executable, "-m", "tests.support.turns"]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    number = turns.number_now()
    assert said == [turns.turn_of(number), turns.turn_of(number + 1)]
