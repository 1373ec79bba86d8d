"""Copy the files of this image's root that another root lacks, or has in another form.

    root_difference.py OTHER OUT

OTHER is the root of an image, mounted. OUT, which must not exist, gets files, links and folders with owners,
modes, times and extended attributes: copied over OTHER, they turn it into this root. Files that only OTHER
has stay there.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

# The kernel's, and those of a container or a build.
NEVER = (
    "/dev", "/kit", "/mnt", "/opt/slipway", "/out", "/proc", "/run", "/sys", "/tmp",  # noqa: S108
    "/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
)  # fmt: skip


def same(here: Path, there: Path) -> bool:
    """Return whether both are of the same kind, with the same owner, mode, attributes and content."""
    try:
        new, old = here.lstat(), there.lstat()
    except FileNotFoundError:
        return False
    if (new.st_mode, new.st_uid, new.st_gid) != (old.st_mode, old.st_uid, old.st_gid):
        return False
    if _attributes(here) != _attributes(there):
        return False
    if stat.S_ISLNK(new.st_mode):
        return here.readlink() == there.readlink()
    if stat.S_ISREG(new.st_mode):
        return new.st_size == old.st_size and (
            new.st_mtime_ns == old.st_mtime_ns or filecmp.cmp(here, there, shallow=False)
        )
    return True


def _attributes(path: Path) -> dict[str, bytes]:
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False)
        if not name.startswith("trusted.overlay.")
    }


def differences(root: Path, other: Path, skip: frozenset[Path]) -> Iterator[Path]:
    """Yield the paths below ``root`` that ``other`` lacks or has otherwise; folders before their content."""
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        path = Path(entry.path)
        if path in skip:
            continue
        if not same(path, other / entry.name):
            yield path
        if entry.is_dir(follow_symlinks=False):
            yield from differences(path, other / entry.name, skip)


def copy(path: Path, root: Path, out: Path) -> None:
    """Copy one path, and the folders above it, to the same place below ``out``."""
    target = out / path.relative_to(root)
    if path.is_dir() and not path.is_symlink():
        _copy_folder(path, root, out)
        return
    _copy_folder(path.parent, root, out)
    shutil.copy2(path, target, follow_symlinks=False)
    _copy_owner(path, target)


def _copy_folder(path: Path, root: Path, out: Path) -> None:
    target = out / path.relative_to(root)
    if target.is_dir():
        return
    if path != root:
        _copy_folder(path.parent, root, out)
    target.mkdir()
    shutil.copystat(path, target)
    _copy_owner(path, target)


def _copy_owner(path: Path, target: Path) -> None:
    status = path.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        # A change of owner clears the setuid bit and capabilities.
        shutil.copystat(path, target)


def main(arguments: list[str]) -> int:
    """Run the usage above."""
    root = Path("/")
    other, out = map(Path, arguments)
    skip = frozenset({*map(Path, NEVER), other, out})
    out.mkdir(parents=True)
    changed = list(differences(root, other, skip))
    for path in changed:
        copy(path, root, out)
    print(f"production gets {len(changed)} files and folders of its runtime packages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
