"""The links of an image, at the paths a project writes to, and the list that the entrypoint reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import entrypoint
from data_paths import absolute, lay
from written_paths import links


class ImagePaths:
    """The links of DATA_PATHS, and those found at the first import."""

    def __init__(self, data_paths: list[str], uid: int) -> None:
        """Lay ``data_paths`` here too, and create their targets as ``uid``: the settings may need them.

        Raises DataPathError as ``data_paths.lay`` does.
        """
        self._data = dict.fromkeys(lay(path) for path in data_paths)
        # Those inside the project are already in the image.
        self._outside = [
            place for path in data_paths if not (place := absolute(path)).is_relative_to(entrypoint.APP)
        ]
        if self._data:
            self._list(Path("/"), self._data)
            start = [sys.executable, entrypoint.__file__, "true"]
            subprocess.run(start, check=True, user=uid, group=uid, extra_groups=[])

    def place(self, out: Path, written: Mapping[str, str]) -> None:
        """Put links and list into ``out``, a tree to lay over the image's root, and print them."""
        chosen = {str(path): f"{entrypoint.DATA}{path}" for path in self._outside} | links(written)
        for path, target in chosen.items():
            place = out / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
            first = Path(f"{entrypoint.FIRST}{path}")
            if path in written and first.exists():
                kept = out / str(first).lstrip("/")
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(first, kept)
        lines = [*self._data, *(f"{kind}\t{path}" for path, kind in written.items())]
        if lines:
            self._list(out, lines)
        for line in self._data:
            print("DATA_PATHS: {1}: a {0} in the volume data".format(*line.removeprefix("data-").split("\t")))
        reported = {path: kind for path, kind in written.items() if kind == "log" or path in chosen}
        for path, kind in reported.items():
            where = "the container's standard error" if kind == "log" else "memory, gone with the container"
            print(f"written when the settings are imported: {path}: in production to {where}")
        if any(kind != "log" for kind in reported.values()):
            print("add those that must last to DATA_PATHS (docs/environment.md)")

    def _list(self, root: Path, lines: Mapping[str, None] | list[str]) -> None:
        place = root / entrypoint.PATHS.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        os.chmod(place, 0o644)  # noqa: PTH101
