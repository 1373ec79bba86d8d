"""What keeps a build short: docker/bytecode.py, build_cache.py, and the commands of one process."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
from kitfiles import DOCKER, load

from tests.support.polling import eventually

build_cache = load("build_cache")
bytecode = load("bytecode")
project_static = load("project_static")
project_commands = load("project_commands")


def test_bytecode_comes_from_the_cache_for_the_same_source_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the key leaves the source or the path out, or the header is that of the earlier file."""
    root, cache = tmp_path / "lib", build_cache.BuildCache(tmp_path / "cache")
    root.mkdir()
    module = root / "slipway_bytecode_probe.py"
    module.write_text("VALUE = 'one'\n")
    (root / "template.py").write_text("{{ cookiecutter.name }} = \n")
    assert bytecode.compile_all(root, cache) == (0, 2)
    Path(cache_from_source(str(module))).unlink()
    os.utime(module, (1, 1))
    assert bytecode.compile_all(root, cache) == (1, 1)
    # Python compares the time in the header, in whole seconds (PEP 552).
    assert Path(cache_from_source(str(module))).read_bytes()[8:12] == (1).to_bytes(4, "little")
    monkeypatch.syspath_prepend(root)
    assert importlib.import_module("slipway_bytecode_probe").VALUE == "one"
    del sys.modules["slipway_bytecode_probe"]
    module.write_text("VALUE = 'two'\n")
    assert bytecode.compile_all(root, cache) == (0, 2)
    moved = tmp_path / "elsewhere"
    root.rename(moved)
    assert bytecode.compile_all(moved, cache) == (0, 2)


def test_what_came_later_is_compiled_alone(tmp_path: Path) -> None:
    """Red when the time is not looked at, or it is the source's own, older than its installation."""
    root, cache = tmp_path / "lib", build_cache.BuildCache(tmp_path / "cache")
    root.mkdir()
    (root / "earlier.py").write_text("VALUE = 1\n")
    since = (root / "earlier.py").stat().st_ctime_ns + 1
    later = root / "later.py"

    def install() -> bool:
        later.write_text("VALUE = 2\n")
        os.utime(later, (1, 1))
        return later.stat().st_ctime_ns >= since

    eventually(install, "the next tick of the file system's clock", interval=0.01)
    assert bytecode.compile_all(root, cache, since) == (0, 1)
    assert Path(cache_from_source(str(later))).exists()
    assert not Path(cache_from_source(str(root / "earlier.py"))).exists()


def test_a_package_may_go_while_its_bytecode_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when what is no longer there ends the build."""
    gone = str(tmp_path / "gone.py")
    monkeypatch.setattr(bytecode, "modules", lambda root: [gone])
    assert bytecode.compile_all(tmp_path, build_cache.BuildCache(tmp_path / "cache")) == (0, 0)


def test_what_nobody_asks_for_leaves_the_cache(tmp_path: Path) -> None:
    """Red when get does not renew the time, or prune deletes what is young."""
    cache = build_cache.BuildCache(tmp_path)
    for name in ("asked", "forgotten", "young"):
        cache.put(name, name.encode())
    old = time.time() - 40 * 24 * 3600
    for name in ("asked", "forgotten"):
        os.utime(tmp_path / name, (old, old))
    assert cache.get("asked") == b"asked"
    cache.prune()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked", "young"]
    assert cache.get("forgotten") is None


MANAGE = """\
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop_settings")
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
# As much of Django as the commands are run by; the real one is in the images' tests.
MANAGEMENT = """\
import importlib, os, sys
def execute_from_command_line(argv): raise SystemExit(9)
class ManagementUtility:
    def __init__(self, argv): self.argv = argv
    def execute(self): self.run_from_argv(self.argv)
    def fetch_command(self, name): return self
    def run_from_argv(self, argv):
        importlib.import_module("shop_settings")
        print("ran", *argv[1:], "in", os.getpid())
        if argv[1] == "check" and os.environ.get("FAILS"):
            print("KeyError: 'DATABASE_URL'", file=sys.stderr)
            raise SystemExit(1)
"""
CONF = """\
class settings:
    STATIC_ROOT = '/s'
    STATIC_URL = MEDIA_ROOT = MEDIA_URL = ''
    INSTALLED_APPS = []
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that starts the three commands of a project, with lines of its settings."""
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "django/core").mkdir(parents=True)
    (tmp_path / "django/__init__.py").touch()
    (tmp_path / "django/conf.py").write_text(CONF)
    (tmp_path / "django/core/__init__.py").touch()
    (tmp_path / "django/core/management.py").write_text(MANAGEMENT)
    monkeypatch.chdir(tmp_path)
    opened = []

    def start(settings: str = "", **environment: str) -> Any:
        (tmp_path / "shop_settings.py").write_text(settings)
        path = f"{Path(sys.executable).parent}"
        project = project_static.Project({"PATH": path, "PYTHONPATH": f"{tmp_path}:{DOCKER}", **environment})
        opened.append(
            project_commands.Commands(
                project, ["diffsettings", "--all"], ["check"], ["collectstatic", "--noinput"]
            )
        )
        return opened[-1]

    yield start
    for commands in opened:
        commands.close()


def test_the_commands_share_a_process_and_not_their_output(started: Any) -> None:
    """Red when each starts a Python of its own, or one command's output is taken for the next one's."""
    commands = started()
    results = [commands.next() for _ in range(3)]
    words = [result.stdout.split() for result in results]
    assert [line[1] for line in words] == ["diffsettings", "check", "collectstatic"]
    assert len({line[-1] for line in words}) == 1
    assert commands.settings["STATIC_ROOT"] == "/s"
    assert not commands.told_apart


def test_what_a_project_does_at_its_end_is_done(started: Any, tmp_path: Path) -> None:
    """Red when the process ends before what is registered with atexit; or Django is taken apart."""
    done, undone = tmp_path / "done", tmp_path / "undone"
    settings = f"""
import atexit
from pathlib import Path
class Slow:
    def __del__(self, path=Path({str(undone)!r})): path.touch()
kept = Slow()
atexit.register(Path({str(done)!r}).touch)
"""
    commands = started(settings)
    for _ in range(3):
        assert commands.next().returncode == 0
    commands.close()
    assert done.exists()
    assert not undone.exists()


def test_a_command_that_fails_ends_the_process_and_says_why(started: Any) -> None:
    """Red when a failure is answered like a success: what the project lacks would not be found."""
    commands = started(FAILS="1")
    assert commands.next().returncode == 0
    failed = commands.next()
    assert (failed.returncode, failed.stderr) == (1, "KeyError: 'DATABASE_URL'\n")
    assert not commands.alive


@pytest.mark.parametrize(
    ("line", "told_apart"),
    [
        ("import sys; STATIC = 'collectstatic' in sys.argv", True),
        ("import sys; STATIC = sys.argv[1:2] == ['collectstatic']", True),
        ("import sys; STATIC = any(word == 'check' for word in sys.argv)", True),
        ("import sys; TESTING = 'test' in sys.argv", False),
        ("import sys; NAME = sys.argv[0]", False),
    ],
)
def test_settings_that_ask_for_the_command_are_noticed(started: Any, line: str, told_apart: bool) -> None:
    """Red when Watched does not look at one of the ways; or a project with TESTING pays for three starts."""
    commands = started(line)
    commands.next()
    assert commands.told_apart is told_apart


def test_code_is_copied_with_the_modes_that_git_would_set(tmp_path: Path) -> None:
    """Red when modes are the host's (umask 077), every file becomes executable, or setuid stays."""
    project, out = tmp_path / "project", tmp_path / "out"
    modes = {
        "manage.py": 0o700, "settings.py": 0o600, "group.txt": 0o640, "none.txt": 0o000, "open.txt": 0o666,
        "setuid": 0o4711, "shop": 0o311, "shop/views.py": 0o400, "shared": 0o3770, "shared/a.css": 0o604,
    }  # fmt: skip
    for name, mode in modes.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in {"shop", "shared"}:
            path.mkdir()
        else:
            path.write_text(name)
            path.chmod(mode)
    (project / "link").symlink_to("nowhere")
    (project / "shared").chmod(0o3770)
    (project / "shop").chmod(0o311 if os.getuid() == 0 else 0o500)
    project.chmod(0o700)
    for name in ("manage.py", "group.txt"):
        os.utime(project / name, (1, 1))
    subprocess.run([DOCKER / "copy-code", project, out, "shared", "db.sqlite3"], check=True)
    found = {
        str(path.relative_to(out / "app")): path.stat().st_mode & 0o7777
        for path in (out / "app").rglob("*")
        if not path.is_symlink() and ".slipway" not in path.parts
    }
    assert found == {
        "manage.py": 0o755, "settings.py": 0o644, "group.txt": 0o644, "none.txt": 0o644, "open.txt": 0o644,
        "setuid": 0o755, "shop": 0o755, "shop/views.py": 0o644,
    }  # fmt: skip
    assert (out / "app").stat().st_mode & 0o7777 == 0o755
    assert (out / "app/link").readlink() == Path("nowhere")
    # What has bytecode has the same time in every image; an asset keeps its own, which browsers are told.
    assert (out / "app/group.txt").stat().st_mtime == 1
    times = {(out / "app" / name).stat().st_mtime for name in ("manage.py", "settings.py", "shop/views.py")}
    assert len(times) == 1 and 1 not in times
    # What DATA_PATHS names is the first content of a volume.
    seed = out / "app/.slipway/first/app/shared"
    assert (seed.stat().st_mode & 0o7777, (seed / "a.css").stat().st_mode & 0o7777) == (0o755, 0o644)
    assert (out / "app/db.sqlite3").readlink() == Path("/srv/data/app/db.sqlite3")
