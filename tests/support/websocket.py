"""The smallest WebSocket client (RFC 6455): one text message at a time, none of them long."""

from __future__ import annotations

import base64
import os
import re
import socket
from types import TracebackType


class WebSocket:
    """A connection to ``path`` on this machine's ``port``; ``status`` is the answer to the upgrade."""

    def __init__(self, port: int, path: str, *, origin: str = "", timeout: float = 10) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._stream = self._connection.makefile("rb")
        request = [
            f"GET {path} HTTP/1.1", f"Host: localhost:{port}", f"Origin: {origin or f'http://localhost:{port}'}",
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        ]  # fmt: skip
        self._connection.sendall("\r\n".join([*request, "", ""]).encode())
        first = self._stream.readline()
        while self._stream.readline().strip():
            pass  # headers
        said = re.match(rb"HTTP/1\.1 (\d{3})", first)
        self.status = int(said[1]) if said else 0

    def send(self, text: str) -> None:
        """Send a text message of at most 125 bytes; what a client sends is masked."""
        payload, mask = text.encode(), os.urandom(4)
        assert len(payload) <= 125
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._connection.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)

    def receive(self) -> str:
        """The next text message, of at most 125 bytes."""
        opcode, length = self._stream.read(2)
        assert (opcode, length <= 125) == (0x81, True), (opcode, length)
        return self._stream.read(length).decode()

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._connection.close()
