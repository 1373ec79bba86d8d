"""Shared by collecting at build and publishing at release: STATIC_ROOT and .gz siblings."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from report_settings import MARK as SETTINGS_MARK

if TYPE_CHECKING:  # only in a build, not where a container publishes
    from build_cache import BuildCache

# Text, and images that are text: what nginx's gzip_types names. Other formats are compressed already.
COMPRESSIBLE = {
    ".css", ".csv", ".eot", ".html", ".ico", ".js", ".json", ".map", ".md", ".mjs", ".otf", ".svg",
    ".ttf", ".txt", ".wasm", ".webmanifest", ".xml",
}  # fmt: skip
# Below this the answer fits into one packet either way.
SMALLEST_COMPRESSED = 1024
# The messages of Django's hashing storages, and WhiteNoise's, about a reference to a missing file.
MISSING_REFERENCE = re.compile(r"The file '(?P<file>[^']+)' could not be found with <(?P<storage>[\w.]+)")
REFERRING = re.compile(r"Post-processing '(?P<file>[^']+)' failed|file '(?P<other>[^']+)' references")
# The last line of a minified file; addresses and data: URLs need no file.
SOURCE_MAP = re.compile(r"sourceMappingURL=(?P<map>[^\s:*'\"?#]+\.map)")
EMPTY_SOURCE_MAP = '{"version":3,"sources":[],"names":[],"mappings":""}\n'
NO_SUCH_COMMAND = "Unknown command: 'collectstatic'"
COLLECT = ("collectstatic", "--noinput")


class StaticError(Exception):
    """A problem and its fix, ready to print."""


class Project(NamedTuple):
    """Runs the project's own commands, in the working directory, that of manage.py.

    ``environment`` replaces this process's, ``uid`` is the user they run as.
    """

    environment: Mapping[str, str] | None = None
    uid: int | None = None

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with its output captured; no check is made."""
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, **self._as_asked()
        )

    def python(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script with the project's Python: the first on PATH. Raises StaticError without manage.py."""
        _require_manage_py()
        return self.run("python", script, *arguments)

    def start(self, script: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a script as ``python`` runs it; ``options`` are those of ``subprocess.Popen``."""
        _require_manage_py()
        return subprocess.Popen(["python", script, *arguments], **self._as_asked(), **options)

    def _as_asked(self) -> dict[str, Any]:
        options: dict[str, Any] = {"env": None if self.environment is None else dict(self.environment)}
        if self.uid is not None:
            options |= {"user": self.uid, "group": self.uid, "extra_groups": []}
        return options

    def settings(self) -> dict[str, Any]:
        """Return STATIC_ROOT, STATIC_URL, MEDIA_ROOT and MEDIA_URL, as collectstatic would see them.

        Roots are absolute; COLLECTS is whether the app that collects is installed. Raises StaticError when
        the settings do not import.
        """
        result = self.python(str(Path(__file__).with_name("report_settings.py")), *COLLECT)
        said = [line for line in result.stdout.splitlines() if line.startswith(SETTINGS_MARK)]
        if not said:
            require_success(result, "manage.py " + " ".join(COLLECT))
            raise StaticError(
                "SLIP-057: manage.py does not call Django's execute_from_command_line, so its settings"
                " cannot be read; fix: COLLECTSTATIC=skip"
            )
        settings: dict[str, Any] = json.loads(said[-1].removeprefix(SETTINGS_MARK))
        return settings

    def collect(self, root: Path, result: subprocess.CompletedProcess[str] | None = None) -> bool:
        """Run collectstatic, into ``root``; return False in a project without it.

        ``result`` is its result if it has been run already.

        For a storage that requires every referenced file, empty source maps are added, which no page needs
        and packages often lack. Raises StaticError when it fails.
        """
        result = result or self.python("manage.py", *COLLECT)
        output = result.stdout + result.stderr
        if result.returncode and NO_SUCH_COMMAND in output:
            return False
        missing = MISSING_REFERENCE.search(output)
        if result.returncode and missing and missing["file"].endswith(".map") and add_source_maps(root):
            result = self.python("manage.py", *COLLECT)
            output = result.stdout + result.stderr
            missing = MISSING_REFERENCE.search(output)
        if result.returncode and missing:
            raise StaticError(_missing_reference(output, missing))
        require_success(result, "manage.py " + " ".join(COLLECT))
        return True

    def finish(self, command: str) -> None:
        """Run AFTER_COLLECTSTATIC, a shell command, if there is one. Raises StaticError when it fails."""
        if command:
            require_success(self.run("sh", "-c", command), f"AFTER_COLLECTSTATIC={command}")


def _require_manage_py() -> None:
    if not Path("manage.py").is_file():
        raise StaticError(
            f"SLIP-057: there is no manage.py in {Path.cwd()}; fix: "
            "set MANAGE_DIR to its folder, relative to the project's root"
        )


def _missing_reference(output: str, missing: re.Match[str]) -> str:
    referring = REFERRING.search(output)
    name = (referring["file"] or referring["other"]) if referring else "a static file"
    return (
        f"SLIP-134: {name} refers to {missing['file']}, which is not among the static files, and"
        f" {missing['storage']} needs every one; fix: "
        f"add the file or remove the reference from {name}; or use a storage that does not hash names"
    )


def add_source_maps(root: Path) -> int:
    """Write an empty source map wherever a file below ``root`` names one that is missing; return how many."""
    written = 0
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in {".css", ".js", ".mjs"} or not path.is_file():
            continue
        for match in SOURCE_MAP.finditer(path.read_text(encoding="utf-8", errors="replace")):
            place = Path(os.path.normpath(path.parent / match["map"]))
            if place.is_relative_to(root) and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(EMPTY_SOURCE_MAP, encoding="utf-8")
                written += 1
    if written:
        print(f"{written} source maps that are not among the static files are published empty")
    return written


def require_success(result: subprocess.CompletedProcess[str], command: str) -> None:
    """Pass the output on; on failure raise StaticError that ends in the traceback's last line."""
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    if result.returncode:
        lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
        # Django's hint after an unknown command is not the reason.
        lines = [line for line in lines if not line.startswith("Type 'manage.py help'")]
        raise StaticError(
            "SLIP-057: the settings do not import, or the command fails, with app.env and app.prod.env"
            " as its environment; fix: "
            f"make `{command}` work without other services; or COLLECTSTATIC=start, or skip\n"
            f"  {command}: {lines[-1].strip() if lines else f'exit code {result.returncode}'}"
        )


def static_root(settings: Mapping[str, Any]) -> Path:
    """Return STATIC_ROOT. Raises StaticError when there is none, or it holds more than static files."""
    value = settings["STATIC_ROOT"]
    if not value:
        raise StaticError(
            "SLIP-057: the project sets no STATIC_ROOT, so there is no place to collect into; fix: "
            'set it, e.g. STATIC_ROOT = BASE_DIR / "staticfiles";'
            " or SETTINGS_OVERLAY=STATIC_ROOT; or COLLECTSTATIC=skip"
        )
    root = Path(value)
    if root in (Path.cwd(), *Path.cwd().parents):
        raise StaticError(
            f"SLIP-057: STATIC_ROOT is {root}, which holds the project itself; fix: "
            'give it a folder of its own, e.g. BASE_DIR / "staticfiles"'
        )
    return root


def precompress(root: Path, cache: BuildCache | None = None) -> int:
    """Write a ``.gz`` next to every file under ``root`` that gains from it; return how many.

    It has the original's modification time, as nginx's gzip_static advises. ``cache`` has earlier
    results.
    """
    written = 0
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in COMPRESSIBLE or not path.is_file():
            continue
        content = path.read_bytes()
        if len(content) < SMALLEST_COMPRESSED:
            continue
        packed = _packed(content, cache)
        if len(packed) >= len(content):
            continue
        sibling = path.with_name(path.name + ".gz")
        sibling.write_bytes(packed)
        status = path.stat()
        os.utime(sibling, ns=(status.st_atime_ns, status.st_mtime_ns))
        written += 1
    return written


def _packed(content: bytes, cache: BuildCache | None) -> bytes:
    key = cache.key(content) if cache else ""
    packed = cache.get(key) if cache else None
    if packed is None:
        packed = gzip.compress(content, compresslevel=9, mtime=0)
        if cache:
            cache.put(key, packed)
    return packed
