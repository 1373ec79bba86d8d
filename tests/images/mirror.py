"""A package mirror on this machine, for builds that must use one."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from slipway.mirrors import debian_mirror
from tests.support.index import INDEX


class Mirror:
    """A package mirror on this machine: sends every request on, and remembers that it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused: set[str] = set()
        """Names of packages that this mirror does not have."""
        debian = (debian_mirror() or "").rstrip("/")
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                if mirror.refused.intersection(self.path.split("/")):
                    self.send_error(404)
                    return
                place = self.path.replace("/simple", INDEX, 1) if self.path.startswith("/simple") else (
                    debian + self.path.removeprefix("/debian")
                )  # fmt: skip
                self.send_response(302)
                self.send_header("Location", place)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_GET  # noqa: N815 - the name http.server asks for

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"
