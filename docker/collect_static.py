"""Collect the project's static files while the image is built.

    collect_static.py OUT ENV_FILE...

OUT becomes a tree to lay over the image's root: the collected files under the project's own
STATIC_ROOT, ``/opt/slipway/static-root`` naming it, ``static.json`` with the kit's variables, MEDIA_ROOT, the
links of written_paths.py and DATA_PATHS, and the bytecode of the project. The environment is the project's
own (the ENV_FILEs, later over earlier), with every secret replaced by a random value that is thrown away.
Runs as root; the project's code runs as the image's user, in MANAGE_DIR below ``/app``. Only OUT is kept.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from threading import Thread

from build_cache import BuildCache
from data_paths import DataPathError
from dotenv import dotenv_values
from entrypoint import APP, PLACEHOLDER, EntrypointError, with_overlay
from entrypoint import fill as filled
from first_import import FirstImport
from image_paths import ImagePaths
from overlay_check import require_overlay
from project_static import Project, StaticError, precompress, require_success, static_root
from served_paths import differences

APP_UID = 10001
SECRETS = Path("/run/secrets")
SECRET_FILE = re.compile(r"/run/secrets/([\w.-]+)")
# Secrets that `invoke init` generates: settings may read them although no variable names them.
GENERATED = ("secret_key", "postgres_password")
# Build arguments, which are in the environment of the instruction; the project may have variables of these
# names. The first group is passed to publish_static.py.
KIT_VARIABLES = (
    "AFTER_COLLECTSTATIC",
    "APP_ENV_DIGEST",
    "ASSETS_DIR",
    "MEDIA_ROOT",
    "MEDIA_URL",
    "STATIC_URL",
)
OTHER_ARGUMENTS = ("ALLOW_DEBUG", "DATA_PATHS", "MANAGE_DIR", "SERVER_TARGET")
# As diffsettings --all prints it; a default has hashes in front.
DEBUG = re.compile(r"^DEBUG = (.+)$", re.MULTILINE)
# Production mounts something over these folders of the image: the volume nginx serves, and tmpfs.
HIDDEN = (Path("/srv/static"), Path("/tmp"), Path("/run"), Path("/dev"))  # noqa: S108
# A cache mount.
PRECOMPRESSED = Path("/var/cache/precompressed")
OUT_OF_SIGHT = Path("/opt/slipway/static")


def project_environment(files: Iterable[Path]) -> dict[str, str]:
    """Return the variables of the env files that exist, later files winning, without valueless names."""
    merged: dict[str, str] = {}
    for file in files:
        if file.is_file():
            # As Compose reads them: text in single quotes is not expanded, and CR LF stays.
            stream = StringIO(file.read_bytes().decode())
            merged |= {
                name: value
                for name, value in dotenv_values(stream=stream, interpolate=False).items()
                if value is not None
            }
    return merged


def secret_names(environment: dict[str, str]) -> set[str]:
    """Return every secret the values refer to, as a placeholder or as a file."""
    names = set(GENERATED)
    for value in environment.values():
        names.update(name for kind, name in PLACEHOLDER.findall(value) if kind == "secret")
        names.update(SECRET_FILE.findall(value))
    return names


def throw_away(names: Iterable[str], folder: Path) -> dict[str, str]:
    """Write a random value for each name into ``folder`` and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    values = {name: os.urandom(32).hex() for name in sorted(names)}
    for name, value in values.items():
        (folder / name).write_text(value + "\n", encoding="utf-8")
        (folder / name).chmod(0o444)
    return values


def environment_of(files: Iterable[Path]) -> dict[str, str]:
    """Return the environment of the project's commands: this one's, the env files', and throw-away secrets.

    Without the kit's own variables, which the project may have read under the same names; with the settings
    overlay where there is one. Raises EntrypointError as ``with_overlay`` does.
    """
    project = project_environment(files)
    values = throw_away(secret_names(project), SECRETS)
    arguments = {*KIT_VARIABLES, *OTHER_ARGUMENTS}
    inherited = {name: value for name, value in os.environ.items() if name not in arguments}
    return with_overlay({**inherited, **fill(project, values)})


def fill(environment: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """Return ``environment`` with each ``{{secret:NAME}}`` replaced by its throw-away value."""
    return {
        variable: filled(value, lambda match: values.get(match[2], match[0]))
        for variable, value in environment.items()
    }


def link_node_modules(modules: Path, place: Path) -> None:
    """Link the packages that built the assets into the project: settings may name them as static files."""
    if modules.is_dir() and place.parent.is_dir() and not place.exists():
        place.symlink_to(modules)


def hand_over(folder: Path) -> None:
    """Give ``folder``, with the files committed in it, to the user that collects."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, APP_UID, APP_UID, follow_symlinks=False)


def place_for(root: Path, hidden: Iterable[Path]) -> Path:
    """Return where the image has the files collected in ``root``: there, unless a mount will hide it."""
    return OUT_OF_SIGHT if any(root.is_relative_to(mount) for mount in hidden) else root


def require_settings(first: FirstImport, project: Project) -> None:
    """Import the settings for the first time. Raises StaticError when that fails, naming what is missing."""
    settings = first.run()
    first.require_variables()
    if settings.returncode:
        require_success(settings, "manage.py diffsettings --all")
    require_overlay(settings.stdout, project.environment or {})
    require_debug_off(settings)


def require_debug_off(settings: CompletedProcess[str]) -> None:
    """Refuse settings, as printed by ``diffsettings``, with DEBUG on, unless ALLOW_DEBUG is on.

    By Django's own rule: every true value, the text "False" included. Raises StaticError.
    """
    found = DEBUG.search(settings.stdout) if settings.returncode == 0 else None
    if os.environ.get("ALLOW_DEBUG") == "on" or not found or found[1] in {"False", "0", "None", "''", '""'}:
        return
    raise StaticError(
        f"SLIP-178: production would run with DEBUG = {found[1]}, which shows everybody source and settings; "
        "fix: turn it off by the variable that decides it, in app.prod.env; where the settings fix it, "
        "SETTINGS_OVERLAY=DEBUG in .env; if it is intended, ALLOW_DEBUG=on"
    )


def collect(out: Path, project: Project, first: FirstImport, kit: Mapping[str, str]) -> list[str]:
    """Collect into ``out``; return the folders that were collected into. Raises StaticError on failure."""
    settings = first.settings()
    warnings = "".join(f"warning: {difference}\n" for difference in differences(settings, kit))
    print(warnings, end="", file=sys.stderr)
    # Printed again at every release, where somebody reads it.
    (out / "opt/slipway/static-warnings").write_text(warnings, encoding="utf-8")
    if not settings["STATIC_ROOT"] and not settings["COLLECTS"]:
        print("django.contrib.staticfiles is not installed: nothing collected")
        return []
    root = static_root(settings)
    hand_over(root)
    if not project.collect(root, first.collect()):
        print("django.contrib.staticfiles is not installed: what STATIC_ROOT has is published as it is")
        note(out, root)
        return [str(root)]
    project.finish(kit["AFTER_COLLECTSTATIC"])
    place = place_for(root, (*HIDDEN, Path(kit["MEDIA_ROOT"])))
    copied = out / place.relative_to("/")
    shutil.copytree(root, copied, symlinks=True, dirs_exist_ok=True)
    # They belong to root now, and have the modes that Django gives to uploads (FILE_UPLOAD_PERMISSIONS).
    subprocess.run(["chmod", "-R", "u=rwX,go=rX", copied], check=True)
    note(out, place)
    cache = BuildCache(PRECOMPRESSED)
    compressed = precompress(copied, cache)
    cache.prune()
    print(f"collected into {root}, {compressed} files compressed")
    return [str(root)]


def note(out: Path, place: Path) -> None:
    """Record for publish_static.py where the files are."""
    (out / "opt/slipway/static-root").write_text(f"{place}\n", encoding="utf-8")


def make_media_root(out: Path, media: Path) -> None:
    """Create ``media`` in ``out``, for the image's user, with the project's files: a new volume gets them."""
    place = out / str(media).lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    # A folder copied over another one changes its mode.
    for ours, there in zip(place.parents, media.parents, strict=False):
        if there.is_dir() and there != Path("/"):
            shutil.copystat(there, ours)
    if media.is_dir() and not media.is_symlink():
        shutil.copytree(media, place, symlinks=True)
    hand_over(place)


def compile_project(root: Path) -> None:
    """Compile the modules below ``root``. Templates of Python code (cookiecutter, codegen) may fail."""
    from compileall import compile_dir  # noqa: PLC0415 - in a thread, while Django is imported in another process

    if not compile_dir(root, quiet=1):
        print("files that do not compile are copied as they are")


def take_bytecode(root: Path, out: Path) -> None:
    """Copy the bytecode below ``root`` to the same folders below ``out``."""
    for folder, names, _ in os.walk(root):
        if "__pycache__" in names:
            shutil.copytree(f"{folder}/__pycache__", out / folder.lstrip("/") / "__pycache__")


def main(arguments: list[str]) -> int:
    """Run the usage above, collecting files if COLLECTSTATIC is "build"; return the exit code."""
    out = Path(arguments[0])
    kit = {name: os.environ.get(name, "") for name in KIT_VARIABLES}
    (out / "opt/slipway").mkdir(parents=True)
    (out / "opt/slipway/static.json").write_text(json.dumps(kit), encoding="utf-8")
    make_media_root(out, Path(kit["MEDIA_ROOT"]))
    folder = Path(APP, os.environ.get("MANAGE_DIR", "."))
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    # In parallel with Django's start, which takes longer for most projects.
    compiling = Thread(target=compile_project, args=(APP,))
    compiling.start()
    mode = os.environ["COLLECTSTATIC"]
    try:
        paths = ImagePaths(os.environ.get("DATA_PATHS", "").split(), APP_UID)
        project = Project(environment_of(map(Path, arguments[1:])), APP_UID)
        first = FirstImport(project, collects=mode == "build")
        kept: list[str] = []
        if mode == "build":
            link_node_modules(
                Path("/kit-modules/node_modules"), Path("/app", kit["ASSETS_DIR"], "node_modules")
            )
            require_settings(first, project)
            kept = collect(out, project, first, kit)
        else:
            print(f"COLLECTSTATIC={mode}: nothing collected in this build")
            require_debug_off(first.run())
        paths.place(out, first.written([*kept, kit["MEDIA_ROOT"]]))
        first.close()
    except (StaticError, DataPathError, EntrypointError) as error:
        compiling.join()
        print(error, file=sys.stderr)
        return 1
    compiling.join()
    take_bytecode(Path(APP), out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
