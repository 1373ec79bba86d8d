"""Make the project importable, with a name and version, without installing it.

An editable install would need the code, and every change of it would install everything again. It would leave
only two small things, which depend on the project's metadata alone: folders on the path, and a ``dist-info``
for ``importlib.metadata``.
"""

from __future__ import annotations

import configparser
import subprocess
from collections.abc import Iterable
from pathlib import Path

from requirements_text import normalised

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

# For a version that a tool computes from files that are not in an image.
UNKNOWN_VERSION = "0"


def write(venv: Path, root: Path, folder: Path, further: Iterable[str]) -> None:
    """Write to ``venv`` the files that importing the project needs.

    ``root`` is the project's root and ``further`` are folders below it (PYTHONPATH_DIRS); ``folder`` is that
    of its metadata. A folder of a project with a name is on the path with its ``src``, as if it were
    installed.
    """
    named = name_and_version(folder)
    paths = [root / name for name in further]
    if not named and not paths:
        return
    site = Path(
        subprocess.run(
            [venv / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
    )  # fmt: skip
    if named:
        paths += [folder / "src", folder]
        _write_metadata(site, *named)
    if paths:
        lines = dict.fromkeys(str(path) for path in paths)
        (site / "_project_folders.pth").write_text("\n".join([*lines, ""]), encoding="utf-8")


def name_and_version(folder: Path) -> tuple[str, str] | None:
    """Return the name and version of the project in ``folder``, from pyproject.toml or setup.cfg."""
    try:
        content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        content = {}
    for table in (content.get("project", {}), content.get("tool", {}).get("poetry", {})):
        if table.get("name"):
            return str(table["name"]), str(table.get("version") or UNKNOWN_VERSION)
    parser = configparser.RawConfigParser()
    try:
        parser.read(folder / "setup.cfg", encoding="utf-8-sig")
    except (configparser.Error, UnicodeDecodeError):
        return None
    name = parser.get("metadata", "name", fallback="")
    version = parser.get("metadata", "version", fallback="")
    return (name, version if version[:1].isdigit() else UNKNOWN_VERSION) if name else None


def _write_metadata(site: Path, name: str, version: str) -> None:
    stem = normalised(name).replace("-", "_")
    place = site / f"{stem}-{version}.dist-info"
    if list(site.glob(f"{stem}-*.dist-info")):
        return  # it is installed after all, by a line of its own
    place.mkdir()
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "INSTALLER": "slipway\n",
        "RECORD": "",
    }
    for file, text in files.items():
        (place / file).write_text(text, encoding="utf-8")
