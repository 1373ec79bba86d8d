"""A package mirror on this machine, for builds that must use one."""

from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from slipway.host.mirrors import debian_mirror
from tests.support.index import INDEX


class Mirror:
    """A package mirror on this machine: sends every request on, and remembers that it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused: set[str] = set()
        """Names of packages that this mirror does not have."""
        self.credentials = ""
        """USER:PASSWORD without which the package index says nothing; empty: it asks nobody."""
        debian = (debian_mirror() or "").rstrip("/")
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/simple") and not mirror.admits(self.headers["Authorization"]):
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="packages"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
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

    def admits(self, authorization: str | None) -> bool:
        """Whether a request with this header gets an answer."""
        wanted = base64.b64encode(self.credentials.encode()).decode()
        return not self.credentials or authorization == f"Basic {wanted}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"
