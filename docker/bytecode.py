"""The bytecode of installed packages, compiled once for every build on the machine.

    bytecode.py ROOT CACHE [MARK]

With the file MARK, only the bytecode of files newer than it.

Compiling Django takes longer than installing it, and an environment is recreated whenever one of its
packages changes. Bytecode depends on the source, on its path (tracebacks name it) and on the version of
Python; bytecode compiled from the same three before is taken from a cache.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

from build_cache import BuildCache

# The header of bytecode that is checked by time and size: magic number, flags, time, size (PEP 552).
_HEADER = 16
_BATCH = 50


def compile_all(root: Path, cache: BuildCache, since: int = 0) -> tuple[int, int]:
    """Write the bytecode of every module below ``root``; return how many ``cache`` had, and how many not.

    Modules that do not compile get none. The Python that runs this will also read the bytecode. Files may
    appear and vanish meanwhile: another call handles new ones, and skips those older than ``since`` (ns).
    """
    lacking = []
    found = 0
    folders: set[str] = set()
    for path in modules(root):
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                source, status = file.read(), os.fstat(file.fileno())
        except FileNotFoundError:
            continue
        if status.st_ctime_ns < since:
            continue
        key = cache.key(MAGIC_NUMBER, path.encode(), source)
        code = cache.get(key)
        if code is None:
            lacking.append((path, key))
            continue
        found += 1
        place = cache_from_source(path)
        folder = os.path.dirname(place)  # noqa: PTH120
        if folder not in folders:
            folders.add(folder)
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        with suppress(FileNotFoundError), open(place, "wb") as file:  # noqa: PTH123
            file.write(_header(status) + code)
    batches = [lacking[start : start + _BATCH] for start in range(0, len(lacking), _BATCH)]
    for key, code in _compile_all(batches):
        cache.put(key, code)
    if batches:
        cache.prune()
    return found, len(lacking)


def modules(root: Path) -> Iterator[str]:
    """Yield the path of every source file below ``root``."""
    for folder, _, files in os.walk(root):
        yield from (f"{folder}/{name}" for name in files if name.endswith(".py"))


def _header(status: os.stat_result) -> bytes:
    numbers = (0, int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    return MAGIC_NUMBER + b"".join(number.to_bytes(4, "little") for number in numbers)


def _compile_all(batches: list[list[tuple[str, str]]]) -> Iterator[tuple[str, bytes]]:
    # Starting other processes takes longer than one batch.
    if len(batches) < 2:
        yield from (found for batch in batches for found in _compile(batch))
        return
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    with ProcessPoolExecutor(min(len(batches), os.cpu_count() or 1)) as pool:
        for compiled in pool.map(_compile, batches):
            yield from compiled


def _compile(batch: Iterable[tuple[str, str]]) -> list[tuple[str, bytes]]:
    from compileall import compile_file  # noqa: PLC0415 - not needed if all is cached

    done = []
    for path, key in batch:
        if compile_file(path, quiet=2):
            with suppress(FileNotFoundError):
                done.append((key, Path(cache_from_source(path)).read_bytes()[_HEADER:]))
    return done


if __name__ == "__main__":
    marked = Path(sys.argv[3]).stat().st_mtime_ns if sys.argv[3:] else 0
    from_cache, compiled = compile_all(Path(sys.argv[1]), BuildCache(Path(sys.argv[2])), marked)
    print(f"dependencies: bytecode of {compiled} modules compiled, of {from_cache} taken from the cache")
