"""What is in an image, layer by layer."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator


def everything_in(image: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every file of every layer, and of the manifest and history, of an image."""
    saved = subprocess.run(["docker", "save", image], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        for member in archive:
            if not member.isfile():
                continue
            data = _content(archive, member)
            if not tarfile.is_tarfile(io.BytesIO(data)):
                yield member.name, data
                continue
            with tarfile.open(fileobj=io.BytesIO(data)) as layer:
                for inner in layer:
                    data = _content(layer, inner) if inner.isfile() else inner.linkname.encode()
                    yield f"{member.name}:{inner.name}", data


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""
