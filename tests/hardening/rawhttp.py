"""Requests as bytes, which no HTTP client would send; and what the application saw of them."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker

# As many as make sure that every connection nginx keeps to the application is used again.
_FOLLOWERS = 12


def send(port: int, data: bytes, patience: float = 5.0) -> bytes:
    """Everything that comes back for ``data`` until nginx closes or is silent for ``patience`` seconds."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        # Refused before all of it was sent: the answer is there already.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while part := connection.recv(65_536):
                received += part
    return received


def statuses(answer: bytes) -> list[int]:
    """The status of each answer in what ``send`` returned."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


@dataclass
class Watch:
    """What the application has seen of the paths that hold ``token``."""

    prod: World
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def path(self, rest: str = "") -> str:
        """A path that ``planted.APPLICATION`` answers."""
        return f"/seen/{self.token}/{rest}"

    def seen(self) -> list[str]:
        """Method and last part of the path of every request the application has answered, in order."""
        return [
            f"{line['method']} {line['path'].rsplit('/', 1)[-1]}"
            for line in _log(self.prod)
            if f"/{self.token}/" in line.get("path", "")
        ]


@contextlib.contextmanager
def watched(prod: World) -> Iterator[Watch]:
    """After the block the application has answered all there is, and nobody gets another's answer."""
    watch = Watch(prod)
    yield watch
    site = Site(prod.url)
    for number in range(_FOLLOWERS):
        path = f"/seen/after-{watch.token}/{number}"
        assert site.get(path).json()["path"] == path, "the answer is that of another request"
    site.client.close()
    last = f"/seen/after-{watch.token}/{_FOLLOWERS - 1}"
    eventually(lambda: any(line.get("path") == last for line in _log(prod)), "the log to be complete", 10)


def _log(prod: World) -> list[dict[str, str]]:
    """The request log of the application."""
    lines = docker("logs", f"{prod.project}-web-1").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and '"path"' in line]
