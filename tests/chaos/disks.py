"""Disks of limited size for a stack's volumes."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.world import World, docker

_MIB = 2**20
# Who owns the mount point in the image, and how: what a named volume of the engine's takes over; its size.
_VOLUMES = {
    "db": (999, 0o700, 400 * _MIB),
    "media": (10001, 0o755, 400 * _MIB),
    # Room for the uploads of test_transfers.py.
    "temporary": (10001, 0o755, 2000 * _MIB),
    "nginx-cache": (101, 0o755, 2000 * _MIB),
}
_BALLAST = "ballast"


@contextlib.contextmanager
def small_volumes(own: World, folder: Path) -> Iterator[None]:
    """Some volumes of the stack, made before Compose does, each a small ext4."""
    with contextlib.ExitStack() as mounted:
        for volume, (owner, mode, size) in _VOLUMES.items():
            mount = folder / volume
            mounted.enter_context(_mounted(folder / f"{volume}.img", mount, size))
            (mount / "lost+found").rmdir()
            os.chown(mount, owner, owner)
            mount.chmod(mode)
            labels = {"project": own.project, "volume": volume}
            docker(
                *("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", f"device={mount}"),
                *(f"--label=com.docker.compose.{name}={value}" for name, value in labels.items()),
                f"{own.project}_{volume}",
            )
        yield


@contextlib.contextmanager
def _mounted(image: Path, mount: Path, size: int) -> Iterator[None]:
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    # No blocks set aside for root, who fills the disk.
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@contextlib.contextmanager
def full(mount: Path, *, but: int = 0) -> Iterator[None]:
    """The disk without room for more than ``but`` bytes, for a while."""
    ballast = mount / _BALLAST
    space = os.statvfs(mount)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(space.f_bavail * space.f_frsize - but - 2**20, 1))
        # The rest in small pieces: the file system needs some of what it counts as free for itself.
        with contextlib.suppress(OSError):
            file.seek(0, os.SEEK_END)
            while os.statvfs(mount).f_bavail * space.f_frsize > but:
                os.write(file.fileno(), b"x" * 4096)
    try:
        yield
    finally:
        ballast.unlink()
