"""Queries the Engine API: directly over this machine's socket, in all other cases through the docker SDK.

Importing the SDK takes as long as a whole ``docker compose ps``, and a Unix socket needs nothing that the
SDK provides: no TLS, no SSH, no credentials.
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from slipway.core.errors import SlipwayError

__all__ = ["Answer", "NotFoundError", "get", "local_socket", "raw", "sdk"]

_SECONDS = 60  # the SDK's own default


class NotFoundError(SlipwayError):
    """The engine has no such object. Uncaught it is SLIP-161: the object has disappeared meanwhile."""

    def __init__(self, path: str) -> None:
        super().__init__(
            "SLIP-161",
            f"the engine no longer has {path}: it was removed meanwhile",
            "rerun the command when nothing else builds or removes things",
        )


class Answer(NamedTuple):
    """The engine's answer to a request."""

    status: int
    body: bytes
    api_version: str = ""


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def get(path: str, **query: Any) -> Any:
    """The JSON answer to ``GET path`` (``/containers/json``).

    A ``query`` value that is no text is sent as JSON, as the API expects. Raises as ``raw``.
    """
    return json.loads(raw(path, **query))


def raw(path: str, **query: Any) -> bytes:
    """The body of the answer to ``GET path``, unchanged.

    Raises ``NotFoundError``, and ``SlipwayError`` SLIP-062 when the engine does not answer, SLIP-166 when it
    refuses.
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    place = local_socket()
    answer = _over_socket(place, path, texts) if place else _by_sdk(path, texts)
    if answer.status == http.client.NOT_FOUND:
        raise NotFoundError(path)
    if answer.status != http.client.OK:
        raise SlipwayError(
            "SLIP-166",
            f"the engine answers {answer.status} to {path}: {_text(answer.body)}",
            "its own log may say more (journalctl -u docker); then rerun the command",
        )
    return answer.body


def local_socket() -> str:
    """The Unix socket that the ``docker`` command would use; empty when it would use something else.

    Looks in the same order: DOCKER_HOST, DOCKER_CONTEXT, the current context of its configuration file. Empty
    too if a file cannot be read here: the SDK reads it again and reports the error.
    """
    host = os.environ.get("DOCKER_HOST") or _host_of_context()
    return host.removeprefix("unix://") if host.startswith("unix:///") else ""


def _host_of_context() -> str:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        name = os.environ.get("DOCKER_CONTEXT") or _json(folder / "config.json").get("currentContext")
        if not name or name == "default":
            return "unix:///var/run/docker.sock"
        digest = hashlib.sha256(name.encode()).hexdigest()
        meta = _json(folder / "contexts" / "meta" / digest / "meta.json")
        return str(meta["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace").strip()[:300]


def _over_socket(place: str, path: str, query: dict[str, str]) -> Answer:
    return _ask(place, f"/v{_api_version(place)}{quote(path, safe='/:@')}?{urlencode(query)}")


@functools.cache
def _api_version(place: str) -> str:
    """The newest API version of the engine; paths without a version are deprecated."""
    return _ask(place, "/_ping").api_version


def _ask(place: str, target: str) -> Answer:
    connection = _SocketConnection(place)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return Answer(response.status, response.read(), response.getheader("Api-Version", ""))
    except (OSError, http.client.HTTPException) as silent:
        raise _no_answer(f"{place}: {silent}") from None
    finally:
        connection.close()


def _by_sdk(path: str, query: dict[str, str]) -> Answer:
    from requests import RequestException  # noqa: PLC0415  (slow to import: see above)

    api = sdk().api
    try:
        answer = api.get(f"{api.base_url}/v{api.api_version}{quote(path, safe='/:@')}", params=query)
    except RequestException as silent:
        raise _no_answer(str(silent)) from None
    return Answer(answer.status_code, answer.content)


@functools.cache
def sdk(seconds: int = _SECONDS) -> Any:
    """The docker SDK's client for the engine that the ``docker`` command uses.

    The SDK supports contexts since 7.2. ``seconds`` is how long it waits for an answer.
    Raises ``SlipwayError`` SLIP-062 when no engine answers.
    """
    from docker.errors import DockerException  # noqa: PLC0415

    import docker  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=seconds)
        client.ping()
    except DockerException as silent:
        raise _no_answer(str(silent)) from None
    return client


def _no_answer(why: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-062",
        f"no Docker Engine answers: {why}",
        "invoke machine says what was found; ./bootstrap starts or installs an engine; "
        "invoke up --local needs none",
    )
