"""Collect the project's static files while the image is built.

    collect_static.py OUT ENV_FILE...

OUT becomes a tree to lay over the image's root: the collected files under the project's own
STATIC_ROOT, ``/opt/slipway/static-root`` naming it, and the links of written_paths.py and DATA_PATHS. The
environment is the project's own (the ENV_FILEs, later over earlier), with every secret replaced by a random
value that is thrown away. Runs as root, in the folder of ``manage.py``; the project's code runs as the
image's user.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from data_paths import DataPathError
from dotenv import dotenv_values
from entrypoint import PLACEHOLDER, EntrypointError, with_overlay
from first_import import FirstImport
from image_paths import ImagePaths
from overlay_check import require_overlay
from project_static import StaticError, manage, precompress, require_success, static_root

APP_UID = 10001
SECRETS = Path("/run/secrets")
SECRET_FILE = re.compile(r"/run/secrets/([\w.-]+)")
# Of the build; the project may have variables of these names.
ARGUMENTS = {"APP_ENV_DIGEST", "DATA_PATHS", "MANAGE_DIR", "MEDIA_ROOT", "SERVER_TARGET"}
# What `invoke init` generates: settings may read these without any variable naming them.
GENERATED = ("secret_key", "postgres_password")


def project_environment(files: Iterable[Path]) -> dict[str, str]:
    """Return the variables of the env files that exist, later files winning, without valueless names."""
    merged: dict[str, str] = {}
    for file in files:
        if file.is_file():
            # As Compose reads them: what stands in single quotes is nobody's to expand.
            merged |= {
                name: value
                for name, value in dotenv_values(file, interpolate=False).items()
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
    values = {name: secrets.token_urlsafe(48) for name in sorted(names)}
    for name, value in values.items():
        (folder / name).write_text(value + "\n", encoding="utf-8")
        (folder / name).chmod(0o444)
    return values


def fill(environment: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """Return ``environment`` with each ``{{secret:NAME}}`` replaced by its throw-away value."""
    return {
        variable: PLACEHOLDER.sub(lambda match: values.get(match[2], match[0]), value)
        for variable, value in environment.items()
    }


def collect(out: Path, first: FirstImport, environment: dict[str, str]) -> Path:
    """Collect into ``out``; return STATIC_ROOT. Raises StaticError when the project's commands fail."""
    settings = first.run()
    first.require_variables()
    if settings.returncode:
        require_success(settings)
    require_overlay(settings.stdout, environment)
    root = static_root(settings.stdout)

    root.mkdir(parents=True, exist_ok=True)
    os.chown(root, APP_UID, APP_UID)
    require_success(manage("collectstatic", "--noinput", environment=environment, uid=APP_UID))
    compressed = precompress(root)

    place = out / root.relative_to("/")
    shutil.copytree(root, place, symlinks=True)
    note = out / "opt/slipway/static-root"
    note.parent.mkdir(parents=True)
    note.write_text(f"{root}\n", encoding="utf-8")
    print(f"collected into {root}, {compressed} files compressed")
    return root


def main(arguments: list[str]) -> int:
    """Run the usage above, the collecting if COLLECTSTATIC says "build"; return the exit code."""
    out = Path(arguments[0])
    out.mkdir()
    mode = os.environ["COLLECTSTATIC"]
    project = project_environment(map(Path, arguments[1:]))
    values = throw_away(secret_names(project), SECRETS)
    own = {name: value for name, value in os.environ.items() if name not in ARGUMENTS}
    try:
        paths = ImagePaths(os.environ.get("DATA_PATHS", "").split(), APP_UID)
        environment = with_overlay({**own, **fill(project, values)})
        first = FirstImport(environment, APP_UID)
        if mode == "build":
            kept = [str(collect(out, first, environment))]
        else:
            print(f"COLLECTSTATIC={mode}: nothing collected in this build")
            first.run()
            kept = []
        paths.place(out, first.written([*kept, os.environ.get("MEDIA_ROOT", "")]))
    except (StaticError, DataPathError, EntrypointError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
