"""What collecting at build and publishing at release both need: STATIC_ROOT and .gz siblings."""

from __future__ import annotations

import ast
import gzip
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Text, and images that are text: what nginx's gzip_types names. Other formats are compressed already.
COMPRESSIBLE = {
    ".css", ".csv", ".eot", ".html", ".ico", ".js", ".json", ".map", ".md", ".mjs", ".otf", ".svg",
    ".ttf", ".txt", ".wasm", ".webmanifest", ".xml",
}  # fmt: skip
# Below this the answer fits into one packet either way.
SMALLEST_COMPRESSED = 1024
SETTING = re.compile(r"^(?:### )?STATIC_ROOT = (?:\w+Path\()?(None|'.*?'|\".*?\")\)?(?:\s+###)?$", re.M)


class StaticError(Exception):
    """What is wrong and the fix, ready to print."""


def manage(
    *arguments: str, environment: Mapping[str, str] | None = None, uid: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` of the working directory, as ``uid`` if given; output captured, no check made."""
    if not Path("manage.py").is_file():
        raise StaticError(
            f"SLIP-057: there is no manage.py in {Path.cwd()}; fix: "
            "set MANAGE_DIR to its folder, relative to the project's root"
        )
    as_user: dict[str, Any] = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    return subprocess.run(
        ["python", "manage.py", *arguments],  # the project's python: first on PATH
        env=None if environment is None else dict(environment),
        capture_output=True,
        text=True,
        check=False,
        **as_user,
    )


def require_success(result: subprocess.CompletedProcess[str]) -> None:
    """Pass the output on; on failure raise StaticError that ends in the traceback's last line."""
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    if result.returncode:
        lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
        # What Django says after an unknown command is not the reason.
        lines = [line for line in lines if not line.startswith("Type 'manage.py help'")]
        command = " ".join(result.args[1:])
        raise StaticError(
            "SLIP-057: the settings do not import, or the command fails, with app.env and app.prod.env"
            " as its environment; fix: "
            f"make `{command}` work without other services; or COLLECTSTATIC=start, or skip\n"
            f"  {command}: {lines[-1].strip() if lines else f'exit code {result.returncode}'}"
        )


def static_root(diffsettings: str) -> Path:
    """Return STATIC_ROOT from the output of ``manage.py diffsettings --all``, absolute.

    Raises StaticError when the project sets none, or one that holds more than static files.
    """
    values = SETTING.findall(diffsettings)
    value = ast.literal_eval(values[-1]) if values else None
    if not value:
        raise StaticError(
            "SLIP-057: the project sets no STATIC_ROOT, so there is no place to collect into; fix: "
            'set it, e.g. STATIC_ROOT = BASE_DIR / "staticfiles"; or COLLECTSTATIC=skip'
        )
    root = Path(os.path.abspath(value))  # noqa: PTH100 - resolve() would follow links the project wants
    if root in (Path.cwd(), *Path.cwd().parents):
        raise StaticError(
            f"SLIP-057: STATIC_ROOT is {root}, which holds the project itself; fix: "
            'give it a folder of its own, e.g. BASE_DIR / "staticfiles"'
        )
    return root


def precompress(root: Path) -> int:
    """Write a ``.gz`` beside every file under ``root`` that gains from it; return how many.

    It carries the original's modification time, as nginx's gzip_static advises.
    """
    written = 0
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in COMPRESSIBLE or not path.is_file():
            continue
        content = path.read_bytes()
        if len(content) < SMALLEST_COMPRESSED:
            continue
        packed = gzip.compress(content, compresslevel=9, mtime=0)
        if len(packed) >= len(content):
            continue
        sibling = path.with_name(path.name + ".gz")
        sibling.write_bytes(packed)
        status = path.stat()
        os.utime(sibling, ns=(status.st_atime_ns, status.st_mtime_ns))
        written += 1
    return written
