"""docker/probe.py against a real server on this machine."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kitfiles import DOCKER, load

probe = load("probe")


class Answering:
    """A server that answers every connection with the same bytes, or never."""

    def __init__(self, answer: bytes | None) -> None:
        self.requests: list[str] = []
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.requests.append(connection.recv(4096).decode())
            if self._answer is None:
                self._kept.append(connection)
                continue
            connection.sendall(self._answer)
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[type[Answering]]:
    servers = []

    class Kept(Answering):
        def __init__(self, answer: bytes | None) -> None:
            super().__init__(answer)
            servers.append(self)

    yield Kept
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("answer", "code", "printed"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nbody", 0, "HTTP/1.1 200 OK"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 0, "204"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login/\r\n\r\n", 0, "302"),
        (b"HTTP/1.1 301 Moved\r\nlocation: https://localhost/x\r\n\r\n", 1, "HEALTH_FORWARDED_PROTO=https"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 1, "does ALLOWED_HOSTS admit 'localhost'?"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 1, "404"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "503"),
        (b"HTTP/1.1 abc\r\n\r\n", 1, "abc"),
        (b"SSH-2.0-OpenSSH\r\n", 1, "not HTTP"),
        (b"", 1, "not HTTP"),
        (None, 1, "no answer within 0.2 s"),
    ],
)
def test_the_answer_decides(
    serve: type[Answering], capsys: pytest.CaptureFixture[str], answer: bytes | None, code: int, printed: str
) -> None:
    """Red when any HTTP answer counts as healthy, or a silent server is waited for without end."""
    server = serve(answer)
    assert probe.main([], {"HEALTH_TIMEOUT": "0.2"}, server.address) == code
    assert printed in capsys.readouterr().out


REDIRECT = b"HTTP/1.1 301 Moved\r\nlocation: https://shop.test%s\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "environment", "code", "printed"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", {"HEALTH_CODES": "200-399 404"}, 0, "404"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", {}, 1, "HEALTH_CODES='200-399 404'"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", {"HEALTH_CODES": "401-403"}, 0, "403"),
        (b"HTTP/1.1 200 OK\r\n\r\n", {"HEALTH_CODES": "204 301"}, 1, "200"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", {"HEALTH_CODES": "200 400"}, 0, "400"),
        (REDIRECT % b"/healthz/live", {"HEALTH_CODES": "200 301"}, 0, "301"),
        (REDIRECT % b"/healthz/live", {"HEALTH_FORWARDED_PROTO": "https"}, 1, "SECURE_PROXY_SSL_HEADER"),
        (REDIRECT % b"/login/", {"HEALTH_FORWARDED_PROTO": "https"}, 0, "301"),
    ],
)
def test_the_codes_are_the_projects_to_name(
    serve: type[Answering],
    capsys: pytest.CaptureFixture[str],
    answer: bytes,
    environment: dict[str, str],
    code: int,
    printed: str,
) -> None:
    """Red when HEALTH_CODES is ignored, or a redirect to https hides the view unasked."""
    server = serve(answer)
    assert probe.main([], environment, server.address) == code
    assert printed in capsys.readouterr().out


def test_nobody_listening_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Red when OSError is not caught: a traceback would be the health log."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    assert probe.main([], {}, address) == 1
    assert "Connection refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "environment", "lines"),
    [
        ([], {}, ["GET /healthz/live HTTP/1.1", "Host: localhost"]),
        (["/a"], {"HEALTH_PATH": "/b"}, ["GET /a HTTP/1.1"]),
        (
            [],
            {"HEALTH_PATH": "/b", "HEALTH_HOST": "shop.test 127.0.0.1"},
            ["GET /b HTTP/1.1", "Host: shop.test"],
        ),
        ([], {"HEALTH_HOST": "*.shop.test"}, ["Host: shop.test"]),
        ([], {"HEALTH_HOST": ".shop.test"}, ["Host: shop.test"]),
        ([], {"HEALTH_FORWARDED_PROTO": "https"}, ["X-Forwarded-Proto: https"]),
    ],
)
def test_the_request_is_what_was_asked_for(
    serve: type[Answering], arguments: list[str], environment: dict[str, str], lines: list[str]
) -> None:
    """Red when a variable is ignored; X-Forwarded-Proto must not be sent unasked."""
    server = serve(b"HTTP/1.1 200 OK\r\n\r\n")
    probe.main(arguments, environment, server.address)
    sent = server.requests[0].split("\r\n")
    assert set(lines) <= set(sent)
    assert ("X-Forwarded-Proto: https" in sent) == bool(environment.get("HEALTH_FORWARDED_PROTO"))


@pytest.fixture
def told(tmp_path: Path) -> tuple[str, Callable[[], str]]:
    """What stands in for end-if-silent, and a function that returns how it was called."""
    script, record = tmp_path / "end-if-silent", tmp_path / "told"
    script.write_text(f'#!/bin/sh\necho "$@" >{record}\n')
    script.chmod(0o755)
    return str(script), lambda: record.read_text().strip() if record.exists() else "nothing"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (None, "silent"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "answered"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "answered"),
        (b"", "answered"),
    ],
)
def test_only_silence_counts_against_a_server(
    serve: type[Answering], told: tuple[str, Callable[[], str]], answer: bytes | None, word: str
) -> None:
    """Red when a server is ended for being unhealthy: with its database, every replica would go."""
    server = serve(answer)
    probe.main(["--end-if-silent"], {"HEALTH_TIMEOUT": "0.2"}, server.address, told[0])
    assert told[1]() == word


@pytest.mark.parametrize(("age", "word"), [(5, "answered"), (600, "silent")])
def test_a_server_with_no_thread_left_is_none_to_end(
    serve: type[Answering], told: tuple[str, Callable[[], str]], tmp_path: Path, age: int, word: str
) -> None:
    """Red when silence alone counts: as many streams as threads would end the container after a minute."""
    busy = tmp_path / "busy"
    busy.touch()
    os.utime(busy, (time.time() - age,) * 2)
    server = serve(None)
    code = probe.main(["--end-if-silent"], {"HEALTH_TIMEOUT": "0.2"}, server.address, told[0], str(busy))
    assert (code, told[1]()) == (1, word)


def test_a_server_that_does_not_listen_starts_or_stops(told: tuple[str, Callable[[], str]]) -> None:
    """Red when a refused connection counts as silence: a long stop would end in SIGKILL."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    assert probe.main(["--end-if-silent"], {}, address, told[0]) == 1
    assert told[1]() == "answered"


def test_the_live_path_speaks_for_a_server_whose_readiness_is_silent(
    told: tuple[str, Callable[[], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when only the readiness path is asked: a project's check may wait for a database without end."""
    asked: list[bytes] = []

    def exchange(request: bytes, address: Any, timeout: float) -> str:
        asked.append(request.split()[1])
        if b"/ready" in request:
            raise probe.Silent("no answer")
        return "HTTP/1.1 404 Not Found"

    monkeypatch.setattr(probe, "exchange", exchange)
    environment = {"HEALTH_PATH": "/ready", "HEALTH_LIVE_PATH": "/live"}
    assert probe.main(["--end-if-silent"], environment, end_if_silent=told[0]) == 1
    assert asked == [b"/ready", b"/live"]
    assert told[1]() == "answered"


def test_without_the_flag_nothing_is_ended(
    serve: type[Answering], told: tuple[str, Callable[[], str]]
) -> None:
    """Red when development has it too: a server at a breakpoint is silent."""
    server = serve(None)
    assert probe.main([], {"HEALTH_TIMEOUT": "0.2"}, server.address, told[0]) == 1
    assert told[1]() == "nothing"


def test_the_times_of_the_health_check_fit_into_each_other() -> None:
    """Red when the engine cuts a check off before both questions, or a start has less time than given."""
    base, prod = ((DOCKER.parent / "compose" / f"{name}.yaml").read_text() for name in ("base", "prod"))
    script = (DOCKER / "end-if-silent").read_text()
    start_period = re.search(r"start_period: (\d+)s", base)
    assert start_period and f"\nstart_period={start_period[1]}\n" in script
    conf = (DOCKER / "gunicorn.conf.py").read_text()
    looks = re.search(r"^LOOK_SECONDS = ([\d.]+)$", conf, re.MULTILINE)
    assert f'BUSY = Path("{probe.BUSY}")' in conf
    assert looks and float(looks[1]) * 3 <= probe.BUSY_SECONDS
    timeout = re.search(r'"--end-if-silent"\].*?timeout: (\d+)s', prod, re.DOTALL)
    assert timeout and int(timeout[1]) > 2 * 4
