"""The command surface: what is listed, what --dry prints without an engine, what is refused."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.tasks import Task
from taskkit import NAMES, REQUIRED

import tasks
from tests.support.world import copy_checkout

# About the kit's own files: refused in a checkout without git, and no docker command is run.
ABOUT_FILES = {"new", "upgrade"}
# No command is theirs to print.
ONLY_LOOK = {"doctor", "init", "machine", "releases", "url"}
# Refused without --prod.
PROD_ONLY = {"maintenance"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone nobody has run `init` in."""
    root = tmp_path_factory.mktemp("kit") / "shop"
    copy_checkout(root)
    return root


def _invoke(kit: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "invoke", *arguments],
        cwd=kit,
        env={**os.environ, **({"PATH": path, "DOCKER_HOST": "unix:///nowhere.sock"} if path else {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_promised_task_is_there() -> None:
    """Red when a task is dropped or renamed."""
    promised = (
        "init build up down start stop restart ps logs shell manage migrate makemigrations collectstatic "
        "createsuperuser test exec stats inspect config images url open prune bases machine maintenance "
        "doctor db.backup db.backups db.fetch db.restore db.import media.import db.verify db.prune"
    )
    assert set(promised.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_task_takes_prod_and_explains_every_flag(name: str) -> None:
    """Red when a flag is added without help."""
    task: Task = tasks.namespace[name]  # type: ignore[type-arg]
    helps = {argument.name: argument.help for argument in task.get_arguments()}
    assert "prod" in helps
    assert all(helps.values()), helps
    assert inspect.getdoc(task)


def test_the_list_is_grouped_and_fits_a_screen(kit: Path) -> None:
    """Red when Invoke's own alphabetical list comes back, or a summary wraps."""
    shown = _invoke(kit, "--list")
    lines = shown.stdout.splitlines()
    assert [line for line in lines if line.endswith(":") and not line.startswith(" ")] == [
        "stack:", "project:", "db:", "media:", "look:", "machine:", "kit:",
    ]  # fmt: skip
    assert len(lines) <= 60
    assert all(len(line) <= 80 for line in lines)
    assert lines.index(next(x for x in lines if x.startswith("  up "))) < lines.index("project:")


def test_the_list_loads_nothing_that_tasks_need_to_run(kit: Path) -> None:
    """What makes it quick; red when a module is imported at the top of tasks.py or session.py again."""
    script = (
        "import sys, tasks; print(sorted(m for m in sys.modules if m.split('.')[0] in ('docker', 'slipway')))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=kit, capture_output=True, text=True, check=True)
    loaded = {name for name in ast.literal_eval(done.stdout) if name.count(".") > 1}
    assert {name for name in loaded if not name.startswith("slipway.tasks.")} == {
        "slipway.core.checkout", "slipway.orchestrators.session",
    }  # fmt: skip


_OWN = """
from invoke.tasks import task


@task
def report(c):
    \"\"\"Mail the report.\"\"\"
    print("mailed")


@task
def url(c):
    \"\"\"The address behind our proxy.\"\"\"
    print("https://shop.example.org")


namespace.add_task(report)
namespace.add_task(url)
"""


def test_a_task_of_ones_own_is_listed_and_takes_the_place_of_the_kits(tmp_path: Path) -> None:
    """Red when the list shows the kit's tasks alone, or the kit's task of that name runs."""
    own = tmp_path / "own"
    copy_checkout(own)
    with (own / "tasks.py").open("a") as file:
        file.write(_OWN)
    shown = _invoke(own, "--list").stdout
    assert shown.endswith("own:\n  report   Mail the report.\n\n"), shown
    assert "The address behind our proxy." in shown and "Print the site's URL." not in shown
    assert _invoke(own, "report").stdout == "mailed\n"
    assert _invoke(own, "url").stdout == "https://shop.example.org\n"


def test_the_example_of_a_task_of_ones_own_works(tmp_path: Path) -> None:
    """Red when the lines at the end of tasks.py do not run as they stand there."""
    own = tmp_path / "own"
    copy_checkout(own)
    text = (own / "tasks.py").read_text()
    head, example = text.split("takes its place.\n#\n")
    (own / "tasks.py").write_text(head + "takes its place.\n" + re.sub(r"^# ?", "", example, flags=re.M))
    done = _invoke(own, "--dry", "report")
    assert done.returncode == 0 and done.stdout.endswith(" python manage.py mail_report\n"), done


def test_looking_needs_no_docker_sdk(kit: Path) -> None:
    """It takes longer to import than `docker compose ps` takes; red when engineapi imports it on top."""
    modules = "slipway.services.views, slipway.commands.commands, slipway.release.lifecycle"
    script = f"import sys, {modules}; print('docker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=kit, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, []) for name in NAMES if name not in ONLY_LOOK | PROD_ONLY | ABOUT_FILES),
        *((name, ["--prod"]) for name in NAMES if name not in ONLY_LOOK | ABOUT_FILES),
    ],
)
def test_dry_prints_commands_and_needs_no_docker(
    kit: Path, tmp_path: Path, name: str, mode: list[str]
) -> None:
    """Red when a task asks the engine, or writes a file, in a dry run.

    PATH holds nothing but the Python that runs Invoke: no docker, no git. Nor does an engine answer.
    """
    before = {str(p) for p in kit.rglob("*") if "__pycache__" not in p.parts}
    done = _invoke(kit, "--dry", name, *REQUIRED.get(name, []), *mode, path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    after = {str(p) for p in kit.rglob("*") if "__pycache__" not in p.parts}
    assert after == before
    if name not in {"open", "adopt"}:
        assert done.stdout.startswith(("docker ", "env RELEASE=", "env POSTGRES_IMAGE=")), done.stdout


def test_dry_up_prints_the_two_commands_it_would_run(kit: Path) -> None:
    """Red when the printed command is not the one that runs."""
    flags = (
        "docker compose --project-name shop-dev --project-directory . --env-file .slipway/machine.env "
        "--env-file .env -f compose/base.yaml -f compose/backup.yaml -f compose/db.yaml "
        "-f compose/dev.yaml -f compose/dev-db.yaml -f .slipway/secrets-dev.yaml"
    )
    lines = _invoke(kit, "--dry", "up", "--scale", "2").stdout.splitlines()
    assert lines[-2:] == [
        f"{flags} build",
        f"{flags} up --detach --no-build --remove-orphans --scale web=2",
    ]


@pytest.fixture
def own(kit: Path, tmp_path: Path) -> Path:
    """A clone of one's own, with what `init` makes."""
    root = tmp_path / "shop"
    shutil.copytree(kit, root)
    assert _invoke(root, "init").returncode == 0
    return root


def test_init_creates_what_is_missing_and_overwrites_nothing(kit: Path, tmp_path: Path) -> None:
    """Red when an existing file is written again."""
    root = tmp_path / "shop"
    shutil.copytree(kit, root)
    (root / "app.env").write_text("MINE=1\n")
    first = _invoke(root, "init")
    assert first.returncode == 0, first.stderr
    assert "created .env" in first.stderr and "app.env (" not in first.stderr.replace("app.env.example", "")
    assert (root / "app.env").read_text() == "MINE=1\n"
    before = {p: p.read_bytes() for p in [*root.glob("*.env"), root / ".env", *(root / "secrets").iterdir()]}
    second = _invoke(root, "init")
    assert second.returncode == 0 and "created" not in second.stderr
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        (".env", "WEB_PORT=http\n", "SLIP-006"),
        (".env", "what is this\n", "SLIP-003"),
        (".env", "PROJECT_NAME=a$b\n", "SLIP-004"),
        (".env", "PROJECT_ROOT=missing\n", "SLIP-007"),
        (".env", b"WEB_PORT=\xff\n", "SLIP-002"),
    ],
)
def test_a_bad_env_file_ends_in_one_message(own: Path, file: str, text: str | bytes, code: str) -> None:
    """Red when a bad value ends in a traceback or in exit code 0."""
    (own / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = _invoke(own, "ps")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{code}: "), done.stderr
    assert "\n  fix: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_env_file_names_init(own: Path) -> None:
    """Red when another task creates it silently, or fails in Compose."""
    (own / ".env").unlink()
    done = _invoke(own, "ps")
    assert (done.returncode, done.stderr.split(":")[0]) == (1, "SLIP-001")
    assert "invoke init" in done.stderr


def test_an_unknown_task_is_named(kit: Path) -> None:
    """Invoke's own message; red when it becomes a traceback."""
    done = _invoke(kit, "dance")
    assert done.returncode == 1
    assert "dance" in done.stderr and "Traceback" not in done.stderr
