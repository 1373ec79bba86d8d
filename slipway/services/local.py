"""``invoke up --local``: the same project without containers, on its embedded database."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from slipway.config import secretfiles
from slipway.config.settings import Settings
from slipway.core import envfile
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import Runner
from slipway.host import mirrors
from slipway.services import ports

__all__ = ["install_commands", "tool_environment", "up"]

# Same names and order as in the image build (docker/install-dependencies).
_REQUIREMENTS = (
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
)
_DEV_REQUIREMENTS = (
    "requirements-dev.txt",
    "requirements/dev.txt",
    "requirements/local.txt",
    "requirements/development.txt",
    "dev-requirements.txt",
)


def up(settings: Settings, runner: Runner) -> None:
    """Install the project's dependencies, migrate, and serve in the foreground until interrupted.

    The project's environment is this process's, with the variables of ``app.local.env`` on top. Raises
    ``SlipwayError`` SLIP-032 when there is nothing to install from, SLIP-060 when a command fails, SLIP-063
    for a port in use, and what ``envfile`` and ``secretfiles`` raise.
    """
    venv = settings.root / ".slipway" / "local-venv"
    project = settings.path(settings.project_root)
    if not runner.dry:
        ports.check("WEB_PORT", "127.0.0.1", settings.web_port, project="")
    prepared = dataclasses.replace(runner, env={**runner.env, **tool_environment(venv)})
    for argv in install_commands(
        settings.root, project / settings.dependency_dir, venv, fresh=not _is_complete(venv)
    ):
        prepared.run(argv, cwd=str(project / settings.dependency_dir))

    serving = dataclasses.replace(
        runner, env={**runner.env, **_project_environment(settings, venv, required=not runner.dry)}
    )
    manage = [str(venv / "bin" / "python"), "manage.py"]
    folder = str(project / settings.manage_dir)
    serving.run([*manage, "migrate", "--noinput"], cwd=folder)
    address = f"127.0.0.1:{settings.web_port}"
    note(f"{settings.name} is served without containers on http://{address}/ (Ctrl-C ends it)")
    serving.run([*manage, "runserver", address], cwd=folder)


def install_commands(root: Path, folder: Path, venv: Path, *, fresh: bool = True) -> list[list[str]]:
    """Return the commands that install the packages of ``folder``'s lock or requirements file into ``venv``.

    ``root`` is the kit's folder, which pins the Poetry and Pipenv that read their locks; ``fresh`` starts
    with an empty environment. Raises ``SlipwayError`` SLIP-032 when there is nothing to install from.
    """
    uv = str(Path(sys.executable).with_name("uv"))
    exported = root / ".slipway" / "local-requirements.txt"
    commands = [[uv, "venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(venv)]]
    if not fresh:
        commands = []
    if (folder / "uv.lock").is_file():
        commands.append(
            [uv, "export", "--quiet", "--frozen", "--no-emit-project", "--output-file", str(exported)]
        )
        files = [exported]
    elif (folder / "poetry.lock").is_file():
        export = ["export", "--all-groups", "--output", str(exported)]
        commands += _with_tool(root, uv, "poetry", export)
        files = [exported]
    elif (folder / "Pipfile.lock").is_file():
        commands += _with_tool(
            root, uv, "pipenv", ["requirements", "--dev", "--hash", "--exclude-index"], into=exported
        )
        files = [exported]
    else:
        files = [path for path in (_first(folder, _REQUIREMENTS), _first(folder, _DEV_REQUIREMENTS)) if path]
    if not files:
        raise SlipwayError(
            "SLIP-032",
            f"no uv.lock, poetry.lock, Pipfile.lock or requirements.txt in {folder}",
            "add one, or set DEPENDENCY_DIR in .env to the folder that holds it",
        )
    python = str(venv / "bin" / "python")
    # One by one: if one file has a hash, uv requires hashes for everything in the same call.
    commands += [[uv, "pip", "install", "--quiet", "--python", python, "-r", str(path)] for path in files]
    return commands


def _with_tool(
    root: Path, uv: str, tool: str, arguments: list[str], into: Path | None = None
) -> list[list[str]]:
    home = root / ".slipway" / f"{tool}-venv"
    python = str(home / "bin" / "python")
    pins = str(root / "docker" / "requirements" / f"{tool}.txt")
    call = [str(home / "bin" / tool), *arguments]
    install = [
        [uv, "venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(home)],
        [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", pins],
    ]
    return [
        *([] if Path(call[0]).exists() else install),
        ["sh", "-c", '"$@" >"$0"', str(into), *call] if into else call,
    ]


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _is_complete(venv: Path) -> bool:
    """Whether the environment's Python still exists: replacing the system's Python breaks its link."""
    return (venv / "bin" / "python").exists() and (venv / "pyvenv.cfg").is_file()


def tool_environment(venv: Path) -> dict[str, str]:
    """Return variables for uv, Poetry and Pipenv to reach this machine's index; uv reads no pip.conf."""
    environment = {"VIRTUAL_ENV": str(venv), "PIPENV_IGNORE_VIRTUALENVS": "1"}
    index, bundle = mirrors.pip_index(), mirrors.ca_bundle()
    if index and "UV_DEFAULT_INDEX" not in os.environ:
        environment["UV_DEFAULT_INDEX"] = index
    if bundle:
        environment["SSL_CERT_FILE"] = str(bundle)
    return environment


def _project_environment(settings: Settings, venv: Path, *, required: bool) -> dict[str, str]:
    path = settings.path(settings.app_local_env)
    secrets = settings.path(settings.secrets_dir)
    values: dict[str, str] = {}
    # A dry run only shows commands; these files may not exist yet.
    if required:
        entries = envfile.read(path)
        secretfiles.check(secrets, entries)
        values = {name: secretfiles.fill_in(name, entry.value, secrets) for name, entry in entries.items()}
    return {
        "DJANGO_SETTINGS_MODULE": settings.settings_module,
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        **values,
    }
