"""Asking an engine: which socket, what becomes of its answers, and the SDK where there is no socket."""

from __future__ import annotations

import hashlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from slipway.core.errors import SlipwayError
from slipway.engine import engine, engineapi
from slipway.engine.engineapi import NotFoundError
from slipway.orchestrators import init


class _FakeEngine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self._answer(urlsplit(self.path).path.removeprefix("/v1.45"))
        self.send_response(status)
        self.send_header("Api-Version", "1.45")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, path: str) -> tuple[int, bytes]:
        if path.endswith("/logs"):
            return 200, b"".join(bytes((n, 0, 0, 0)) + len(t).to_bytes(4, "big") + t for n, t in _SAID)
        answers: dict[str, Any] = {
            "/_ping": "OK",
            "/version": {"ApiVersion": "1.45"},
            "/images/acme/shop:1.2/json": {"Id": "sha256:1", "Size": 7},
            "/images/untagged/json": {"Id": "sha256:2", "Size": 3},
            "/images/json": [{"Id": "sha256:1", "Size": 5}],
        }
        if path in answers:
            return 200, json.dumps(answers[path]).encode()
        return (500, b'{"message":"disk full"}') if path == "/volumes" else (404, b"{}")

    def log_message(self, *_: Any) -> None:
        pass


_SAID = [(1, b"one\n"), (2, b"two\n"), (1, b"a line in "), (1, b"two pieces\n")]


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        # The handler wants a client address, which a Unix socket has not.
        return super().get_request()[0], ("local", 0)


class _TcpServer(socketserver.ThreadingTCPServer):
    # Not http.server's, which asks DNS for its own name.
    daemon_threads = True


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    yield
    engineapi._api_version.cache_clear()
    engineapi.sdk.cache_clear()


@pytest.fixture(params=["unix", "tcp"])
def asked(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """An engine that answers, behind a socket and behind an address, for which the SDK is asked."""
    handler = type("Handler", (_FakeEngine,), {"asked": []})
    make: Callable[[], Any] = {
        "unix": lambda: _UnixServer(str(tmp_path / "engine.sock"), handler),
        "tcp": lambda: _TcpServer(("127.0.0.1", 0), handler),
    }[request.param]
    with make() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        place = f"unix://{tmp_path}/engine.sock"
        monkeypatch.setenv(
            "DOCKER_HOST", place if request.param == "unix" else f"tcp://127.0.0.1:{server.server_address[1]}"
        )
        yield handler.asked
        server.shutdown()


def test_an_image_is_known_or_not(asked: list[str]) -> None:
    """Red when 404 is no NotFoundError, or the slash and colon of a reference are escaped."""
    assert engine.image_id("acme/shop:1.2") == "sha256:1"
    # As `docker images` shows, where the image itself has another one.
    sizes = engine.image_sizes(["acme/shop:1.2", "untagged", "absent"])
    assert sizes == {"acme/shop:1.2": 5, "untagged": 3}
    with pytest.raises(NotFoundError):
        engineapi.get("/containers/absent/json")


_PROJECT = {engine.PROJECT_LABEL: "shop-dev"}
_IDLE = {
    "Names": ["/shop-dev-migrate-1"], "State": "exited", "Labels": _PROJECT, "ImageID": "sha256:3",
    "SizeRw": 1,    "Mounts": [{"Type": "volume", "Name": "old"}],
}  # fmt: skip
_RUNS = {**_IDLE, "Names": ["/web"], "State": "running", "Mounts": [{"Type": "volume", "Name": "media"}]}
_IMAGES = [
    {
        "Id": f"sha256:{n}", "Labels": labels, "RepoTags": tags, "Containers": used, "Size": 10,
        "SharedSize": 4,
    }
    for n, labels, tags, used in (
        (1, _PROJECT, [], 0), (2, _PROJECT, ["shop-dev-web:latest"], 0), (3, _PROJECT, [], -1),
        (4, {}, [], 0),        (5, _PROJECT, ["<none>:<none>"], -1), (6, _PROJECT, None, 2),
    )
]  # fmt: skip
_VOLUMES = [{"Name": n, "Labels": _PROJECT, "UsageData": {"Size": 100}} for n in ("old", "media")]
_USAGE = {"Image": _IMAGES, "Container": [_IDLE, _RUNS], "Volume": _VOLUMES}


@pytest.mark.parametrize(
    "answer",
    [
        {f"{kind}s": items for kind, items in _USAGE.items()},
        {f"{kind}Usage": {"Items": items, "TotalSize": 1} for kind, items in _USAGE.items()},
        # What API 1.52 says: both, and the lists of earlier ones are empty.
        {**{f"{kind}Usage": {"Items": items} for kind, items in _USAGE.items()}, "Images": None},
    ],
    ids=["before 1.52", "since 1.53", "both"],
)
def test_leftovers_are_found_in_every_form(
    answer: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when only one form is read; an image that a container has, or a tag, counts as left over."""
    asked = _answering(monkeypatch, [answer])
    found = engine.leftovers("shop-dev", volumes=True)
    assert found.containers == ("shop-dev-migrate-1",)
    assert (found.images, found.volumes, found.size) == (("1", "5"), ("old",), 1 + 2 * 6 + 100)
    assert asked == [{"verbose": True}]
    _answering(monkeypatch, [{f"{kind}Usage": None for kind in _USAGE}])
    assert engine.leftovers("shop-dev", volumes=True) == engine.Leftovers((), (), (), (), 0)


def test_counting_is_tried_again_while_images_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the containerd store, during a build. Red when one 404 is a traceback, or the end."""
    monkeypatch.setattr(engine.time, "sleep", lambda _: None)
    gone = engineapi.NotFoundError("/system/df")
    _answering(monkeypatch, [gone, gone, {}])
    assert engine.leftovers("shop-dev", volumes=False).size == 0
    asked = _answering(monkeypatch, [gone] * 50)
    with pytest.raises(SlipwayError, match=r"SLIP-161.*images come and go") as refused:
        engine.leftovers("shop-dev", volumes=False)
    assert "nothing was removed" in refused.value.fix and len(asked) == 5


def _answering(monkeypatch: pytest.MonkeyPatch, answers: list[Any]) -> list[dict[str, object]]:
    """Have ``/system/df`` answered by these, one after the other; returns what it is asked with."""
    asked: list[dict[str, object]] = []
    left = iter(answers)

    def get(path: str, **query: object) -> Any:
        if path != "/system/df":
            return []
        asked.append(query)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(engineapi, "get", get)
    return asked


def test_what_went_meanwhile_is_one_line() -> None:
    """Red when a 404 that nobody has caught is a traceback."""
    assert isinstance(NotFoundError("/containers/x/json"), SlipwayError)
    assert "SLIP-161" in str(NotFoundError("/containers/x/json"))


def test_questions_bear_the_version_and_filters_as_json(asked: list[str]) -> None:
    """Red when the version is left out, which the Engine API calls deprecated, or a filter is not JSON."""
    with pytest.raises(NotFoundError):
        engineapi.get("/containers/json", all=True, filters={"label": ["a=b"]})
    path, _, query = asked[-1].partition("?")
    assert path == "/v1.45/containers/json"
    assert parse_qs(query) == {"all": ["true"], "filters": ['{"label": ["a=b"]}']}


def test_a_refusal_is_told(asked: list[str]) -> None:
    """Red when any answer counts as one."""
    with pytest.raises(SlipwayError, match=r"SLIP-166.*500.*disk full"):
        engineapi.get("/volumes")


def test_a_log_is_its_lines(asked: list[str]) -> None:
    """Red when the eight bytes in front of each piece stay, or one is left out."""
    state = engine.ContainerState(
        id="abc", name="web", service="web", image="", state="running", health="", exit_code=0, ports=(),
        addresses={}, health_output="", error="", restarts=0,
    )  # fmt: skip
    assert engine.logs(state, 10) == ["one", "two", "a line in two pieces"]
    assert "until" not in asked[-1]


@pytest.mark.parametrize(
    ("uid", "socket", "options", "ids", "backup"),
    [
        (1500, "/run/user/1500/docker.sock", ["name=seccomp", "name=rootless"], (0, 0), (0, 0)),
        (1500, "/home/me/.colima/docker.sock", ["name=seccomp"], (1500, 1500), (1500, 1500)),
        (1500, "/run/user/1500/docker.sock", None, (1500, 1500), (1500, 1500)),
        # Nobody is asked here: an answer would change it.
        (1500, "/var/run/docker.sock", ["name=rootless"], (1500, 1500), (1500, 1500)),
        (0, "/run/user/0/docker.sock", ["name=rootless"], (0, 0), (10001, 10001)),
    ],
)
def test_who_a_person_is_in_a_container(
    monkeypatch: pytest.MonkeyPatch, uid: int, socket: str, options: list[str] | None, ids: tuple[int, int],
    backup: tuple[int, int],
) -> None:  # fmt: skip
    """Red when a rootless engine's containers are given a user that cannot write this person's folders."""

    def facts() -> dict[str, object]:
        if options is None:
            raise SlipwayError("SLIP-062", "no Docker Engine answers", "start it")
        return {"SecurityOptions": options}

    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    monkeypatch.setattr(engine, "facts", facts)
    monkeypatch.setattr(init.os, "getuid", lambda: uid)
    monkeypatch.setattr(init.os, "getgid", lambda: uid)
    assert (init._in_containers(), init.backup_user()) == (ids, backup)


def test_nobody_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the error of the socket comes through."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(SlipwayError, match=r"SLIP-062.*nowhere"):
        engineapi.get("/containers/json")


@pytest.mark.parametrize(
    ("environ", "current", "expected"),
    [
        ({}, None, "/var/run/docker.sock"),
        ({}, "", "/var/run/docker.sock"),
        ({"DOCKER_HOST": "unix:///mine.sock", "DOCKER_CONTEXT": "far"}, "near", "/mine.sock"),
        ({"DOCKER_HOST": "ssh://there"}, "near", ""),
        ({}, "near", "/near.sock"),
        ({}, "far", ""),
        ({"DOCKER_CONTEXT": "far"}, "near", ""),
        ({"DOCKER_CONTEXT": "default"}, "near", "/var/run/docker.sock"),
        ({}, "unknown", ""),
    ],
)
def test_the_socket_is_the_one_the_docker_command_uses(
    environ: dict[str, str],
    current: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Red when a context is not followed, or another variable has the last word."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    if current is not None:
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": current}))
    for name, host in {"near": "unix:///near.sock", "far": "ssh://somebody@far"}.items():
        folder = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    assert engineapi.local_socket() == expected


def test_a_broken_configuration_is_left_to_the_sdk(tmp_path: Path) -> None:
    """Red when it raises here, where nobody says what is wrong with it."""
    (tmp_path / "config.json").write_text("{")
    assert engineapi.local_socket() == ""
