"""Loading what runs inside images: files of docker/, which is no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

DOCKER = Path(__file__).resolve().parents[2] / "docker"


def load(name: str) -> ModuleType:
    """Return docker/NAME.py as a fresh module; files beside it can be imported by it."""
    path = DOCKER / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # As an import would: dataclasses look their module up.
    sys.modules[path.stem] = module
    # What docker/backup takes from the folder above lies beside it in its image.
    folders = list(dict.fromkeys([str(path.parent), str(DOCKER)]))
    sys.path[:0] = folders
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.path[: len(folders)]
    return module
