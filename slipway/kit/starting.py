"""``invoke new``: replace the example of a fresh clone with a new project."""

from __future__ import annotations

import dataclasses
import keyword
import re
import shutil
import sys
from pathlib import Path

from slipway.config.settings import record_machine, settings_file, write_if_changed
from slipway.core import envfile
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import Runner
from slipway.kit import record, wiring
from slipway.project import files
from slipway.services import local

__all__ = ["check", "start"]

_EXAMPLE = "example"
_TEMPLATES = Path(__file__).parent / "new_project"
_WORK = Path(".slipway/new")
_WRITTEN = shutil.ignore_patterns("__pycache__", "media", "staticfiles", "db.sqlite3*", ".env")
# The new noxfile.py needs the pins of the tools that it runs.
_LEFT_OUT = tuple(name for name in files.LEFT_OUT if not name.startswith("requirements/"))
_MOVED = {"README.md": "SLIPWAY.md"}


def start(root: Path, name: str, runner: Runner, *, keep_example: bool = False) -> None:
    """Turn the fresh clone in ``root`` into the project ``name``: the output of ``startproject``, wired.

    With ``keep_example`` the project is the example, under that name. The kit's own tests are removed: they
    test the example. Raises ``SlipwayError`` as ``check``, SLIP-158 if the output of ``startproject`` is not
    as expected, and those of the commands; then nothing has changed.
    """
    check(root, name, runner, keep_example=keep_example)
    if runner.dry:
        note(f"would replace {_EXAMPLE}/ with {name}/, and remove {', '.join(_LEFT_OUT)}")
        return
    left_out = _left_out(keep_example)
    tree = files.without(files.of_folder(root, runner), left_out)
    origin = record.Record(
        {_MOVED.get(path, path): file for path, file in tree.items()},
        record.remote(root, runner),
        files.head(root, runner) if files.toplevel(root, runner) == root else "",
        left_out,
        _MOVED,
    )
    draft = root / _WORK
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    if keep_example:
        shutil.copytree(root / _EXAMPLE, draft / name, ignore=_WRITTEN)
    else:
        _start_project(root, draft / name, name, runner)
    # The steps that can fail are done; from here on files are only moved.
    (draft / name).rename(root / name)
    _describe(root, name, "config" if keep_example else name)
    if not keep_example:
        _describe_environment(root)
    (root / "README.md").replace(root / _MOVED["README.md"])
    for file in ("README.md", "noxfile.py"):
        write_if_changed(root / file, _template(file, name))
    for gone in _LEFT_OUT:
        if gone != "noxfile.py":
            _remove(root / gone)
    shutil.rmtree(draft)
    record.write(root, origin)
    note(f"{name}/ is your project; next: ./bootstrap invoke up, then git add --all and git commit")


def check(root: Path, name: str, runner: Runner, *, keep_example: bool = False) -> None:
    """Refuse an invalid name, and a clone that is in use.

    Raises ``SlipwayError``: SLIP-156 for the name, SLIP-157 for a clone that has a project already, SLIP-153
    for uncommitted changes.
    """
    _check_name(root, name, keep_example=keep_example)
    own = settings_file(root)
    named = envfile.read(own).get("PROJECT_ROOT") if own.is_file() else None
    other = named.value if named and named.value != _EXAMPLE else ""
    if other or (root / record.NAME).exists() or not (root / _EXAMPLE / "manage.py").is_file():
        why = f"PROJECT_ROOT is {other}" if other else "its example is missing"
        raise SlipwayError(
            "SLIP-157",
            f"this clone is in use already: {why}",
            "use a fresh clone; for an existing project: invoke adopt PATH",
        )
    if files.toplevel(root, runner) != root:
        return
    status = runner.capture(["git", "-C", str(root), "status", "--porcelain", "-z", "--no-renames"]).stdout
    changed = [entry[3:] for entry in status.split("\0") if entry]
    if changed:
        raise SlipwayError(
            "SLIP-153",
            f"there are uncommitted changes: {', '.join(changed[:5])}",
            "commit or stash them (git stash --include-untracked), so that you can go back",
        )


def _check_name(root: Path, name: str, *, keep_example: bool) -> None:
    problem = ""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        problem = "is not valid as the name of a Python package, a Compose project and a folder"
    elif name in sys.stdlib_module_names or name in {"django", "gunicorn", "psycopg", "test"}:
        problem = "would hide a module of Python or Django"
    elif name == _EXAMPLE or (root / name).exists():
        problem = "is taken: there is a file or folder of that name"
    if problem:
        raise SlipwayError(
            "SLIP-156", f"{name!r} {problem}",
            "use lower-case letters, digits and _, with a letter first: invoke new shop",
        )  # fmt: skip


def _left_out(keep_example: bool) -> tuple[str, ...]:
    # These describe variables of the example's settings; the user describes those of the new ones.
    own = () if keep_example else ("app.env.example", "app.dev.env.example", "app.prod.env.example")
    return (*_LEFT_OUT, *own)


def _start_project(root: Path, folder: Path, name: str, runner: Runner) -> None:
    """Run ``startproject`` with the Django that the example pins, and wire its output to the kit."""
    folder.mkdir()
    example = root / _EXAMPLE
    for file in (
        "requirements.in",
        "requirements.txt",
        "requirements-dev.in",
        "requirements-dev.txt",
        ".gitignore",
    ):
        write_if_changed(folder / file, wiring.requirements((example / file).read_text(encoding="utf-8")))
    venv = root / ".slipway" / "new-venv"
    tools = dataclasses.replace(runner, env={**runner.env, **local.tool_environment(venv)})
    for argv in local.install_commands(root, folder, venv):
        tools.run(argv, cwd=str(folder))
    tools.run([str(venv / "bin" / "django-admin"), "startproject", name, str(folder)])
    shutil.rmtree(venv)
    package = folder / name
    settings, urls = package / "settings.py", package / "urls.py"
    write_if_changed(
        settings, wiring.settings(settings.read_text(encoding="utf-8"), name, _template("settings.py", name))
    )
    write_if_changed(urls, wiring.urls(urls.read_text(encoding="utf-8"), name))
    for module in (
        "env.py",
        "health.py",
        "testrunner.py",
        "tests/__init__.py",
        "tests/test_env.py",
        "tests/test_health.py",
    ):
        (package / module).parent.mkdir(exist_ok=True)
        write_if_changed(
            package / module, wiring.module((example / "config" / module).read_text(encoding="utf-8"), name)
        )


def _describe(root: Path, name: str, package: str) -> None:
    """Write the project's name into the tracked files, and into the ``.env`` of this clone."""
    chosen = {
        "PROJECT_NAME": name,
        "PROJECT_ROOT": name,
        "DJANGO_SETTINGS_MODULE": f"{package}.settings",
        "SERVER_TARGET": f"{package}.wsgi:application",
    }
    for path in {root / ".env.example", settings_file(root)}:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            for variable, value in chosen.items():
                text, found = re.subn(
                    rf"^#?{variable}=.*$", f"{variable}={value}", text, count=1, flags=re.MULTILINE
                )
                text += "" if found else f"{variable}={value}\n"
            write_if_changed(path, text, mode=path.stat().st_mode)
    for file in ("pyproject.toml", ".gitignore"):
        text = (root / file).read_text(encoding="utf-8")
        write_if_changed(root / file, re.sub(rf"(?<=[\"/]){_EXAMPLE}(?=[\"/])", name, text))
    # The recorded build and release are the example's.
    record_machine(root, {"RELEASE": "", "REVISION": "", "SOURCE": ""})


def _describe_environment(root: Path) -> None:
    for path in root.glob("app*.env.example"):
        write_if_changed(path, wiring.environment(path.read_text(encoding="utf-8")))


def _template(file: str, name: str) -> str:
    return (_TEMPLATES / f"{file}-tpl").read_text(encoding="utf-8").replace("{{ name }}", name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
