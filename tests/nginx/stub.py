"""A stand-in for the application: says what it was sent, and misbehaves on request.

Runs in a container on port 8000, standard library only. GET and POST:

``/echo``            what arrived, as JSON: method, path, header pairs, connection, host's name
``/slow?seconds=N``  answers after N seconds; with ``&hand_over=PATH`` by X-Accel-Redirect to PATH
``/large?bytes=N``   N bytes of text
``/status/CODE``     that status, body "the application's own page"
``/secure``          an answer with every security header set by "the application"
``/plain``           an HTML answer with none
``/drop``            closes the connection without an answer, after counting the request
``/count``           how many requests /drop and /slow have seen, as JSON
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# As much as an application server may take.
http.client._MAXHEADERS = 10_000  # type: ignore[attr-defined]
SEEN = {"drop": 0, "slow": 0}
LOCK = threading.Lock()
APPLICATION_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "geolocation=()",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'self'",
    "Cache-Control": "private",
    "X-Request-ID": "the-applications-own",
    "Retry-After": "120",
}


class Application(BaseHTTPRequestHandler):
    """One connection; kept alive, as gunicorn keeps nginx's."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        first, _, rest = url.path.strip("/").partition("/")
        getattr(self, f"on_{first}", self.on_other)(rest, query)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, status: int, data: object) -> None:
        self.answer(status, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def on_other(self, rest: str, query: dict[str, str]) -> None:
        self.answer_json(
            200,
            {
                "method": self.command,
                "path": self.path,
                "headers": [[name.lower(), value] for name, value in self.headers.items()],
                "connection": self.client_address[1],
                "hostname": socket.gethostname(),
                "body_bytes": len(self.body),
            },
        )

    def on_slow(self, rest: str, query: dict[str, str]) -> None:
        with LOCK:
            SEEN["slow"] += 1
        time.sleep(float(query["seconds"]))
        if "hand_over" in query:
            self.answer(200, b"", {"X-Accel-Redirect": query["hand_over"], "Content-Type": "text/plain"})
            return
        self.answer_json(200, {"slept": query["seconds"]})

    def on_large(self, rest: str, query: dict[str, str]) -> None:
        self.answer(
            200, b"all work and no play " * (int(query["bytes"]) // 21), {"Content-Type": "text/html"}
        )

    def on_status(self, rest: str, query: dict[str, str]) -> None:
        self.answer(int(rest), b"the application's own page", {"Content-Type": "text/html"})

    def on_secure(self, rest: str, query: dict[str, str]) -> None:
        self.answer(503, b"secure", {"Content-Type": "text/html", **APPLICATION_HEADERS})

    def on_plain(self, rest: str, query: dict[str, str]) -> None:
        self.answer(200, b"plain", {"Content-Type": "text/html"})

    def on_drop(self, rest: str, query: dict[str, str]) -> None:
        with LOCK:
            SEEN["drop"] += 1
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def on_count(self, rest: str, query: dict[str, str]) -> None:
        self.answer_json(200, SEEN)

    def on_upgrade(self, rest: str, query: dict[str, str]) -> None:
        """Accept a websocket handshake and echo raw bytes until the client leaves."""
        if (self.headers["Upgrade"], self.headers["Connection"]) != ("websocket", "upgrade"):
            self.answer(426, b"", {})
            return
        self.send_response(101)
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.send_header("Connection", "upgrade")
        self.end_headers()
        while data := self.connection.recv(1024):
            self.connection.sendall(data)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests ask, they do not read logs."""


class Server(ThreadingHTTPServer):
    """The listen queue of a real application server; the default of 5 drops connections under load."""

    request_queue_size = 2048


if __name__ == "__main__":
    Server(("", int(os.environ.get("PORT", "8000"))), Application).serve_forever()
