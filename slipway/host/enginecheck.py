"""Checks the engine that the docker command reaches, its plugins and versions; reports why they fail."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import Runner

__all__ = [
    "FLOOR",
    "PLUGINS",
    "WAY_OUT",
    "Probe",
    "check_floor",
    "check_versions",
    "endpoint_in_use",
    "parse_version",
    "plugin_version",
    "probe",
    "refusal",
    "refuse",
    "without_credentials",
]

FLOOR = {"Docker Engine": (26, 1), "Docker Compose": (2, 26), "Docker buildx": (0, 13)}
"""The oldest versions everything here is tested with: what Debian 13 ships."""
PLUGINS = {
    "Docker Compose": ("docker", "compose", "version", "--short"),
    "Docker buildx": ("docker", "buildx", "version"),
}
"""The command that prints the version of each plugin."""
WAY_OUT = "./bootstrap invoke up --local serves the project without an engine"

BROKEN: dict[tuple[int, ...], str] = {
    (29, 1, 0): "containers cannot resolve names outside their networks (fixed in 29.1.1)"
}
"""Engines that are new enough but broken, with the fault."""

_ROOTLESS = "docs/rootless.md says what to set"
_DEFAULT_SOCKETS = {"unix:///var/run/docker.sock", "unix:///run/docker.sock"}
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Probe:
    """The docker command line's answer about the engine."""

    state: str
    """``answers``, ``no-cli``, ``unknown-context``, ``denied`` or ``silent``."""
    endpoint: str = ""
    """The engine's address; not looked up when the engine answers or the context is unknown."""
    detail: str = ""
    """The first line of docker's own error message."""
    version: str = ""

    @property
    def local(self) -> bool:
        """Whether the address is this machine's own engine, which may be started or installed."""
        return self.endpoint in _DEFAULT_SOCKETS


def probe(runner: Runner) -> Probe:
    """Query the engine that the docker command line would use: DOCKER_HOST, any context or the default."""
    done = runner.capture(["docker", "version", "--format", "{{json .}}"], timeout=_ANSWER_SECONDS)
    if done.returncode == 127:
        return Probe("no-cli", os.environ.get("DOCKER_HOST") or min(_DEFAULT_SOCKETS), "no docker command")
    server = _server(done.stdout)
    if server:
        return Probe("answers", version=str(server["Version"]))
    complaint = done.stderr.strip()
    detail = complaint.splitlines()[0] if complaint else "it said nothing"
    if "context not found" in complaint or "is not found on the file system" in complaint:
        return Probe("unknown-context", detail=detail.partition(": open ")[0])
    state = "denied" if "permission denied" in complaint else "silent"
    return Probe(state, endpoint_in_use(runner), detail)


def check_versions(runner: Runner) -> None:
    """Refuse an engine, Compose or buildx that is missing or below the floor; warn of a broken engine.

    Raises ``SlipwayError`` SLIP-025 to SLIP-030, all with exit code 3.
    """
    versions = _versions(runner)
    if not all(parse_version(v) >= floor for v, floor in zip(versions, FLOOR.values(), strict=True)):
        found = probe(runner)
        if found.state != "answers":
            raise refusal(runner, found)
        check_floor(runner, found)
        versions = (found.version, *versions[1:])
    if broken := BROKEN.get(parse_version(versions[0])):
        note(f"warning: SLIP-162: Docker Engine {versions[0]} is broken: {broken}; fix: upgrade the engine")


def check_limits(settings: Settings, info: Mapping[str, Any]) -> None:
    """Warn of production limits and ports that the engine with the report ``info`` does not support.

    These are mostly rootless engines: without cgroup controllers from systemd they enforce no limits, and
    they may not publish ports below the kernel's bound (docs.docker.com/engine/security/rootless).
    """
    rootless = "name=rootless" in (info.get("SecurityOptions") or [])
    kinds = {"MemoryLimit": "memory", "CpuCfsQuota": "processors", "PidsLimit": "processes"}
    if missing := [what for key, what in kinds.items() if not info.get(key, True)]:
        note(
            f"warning: SLIP-164: the engine enforces no limit of {', '.join(missing)}; fix: "
            + (_ROOTLESS if rootless else "enable these cgroup controllers in the kernel")
        )
    first = _first_port() if rootless else 0
    ports = {"HTTP_PORT": settings.http_port}
    ports |= {"HTTPS_PORT": settings.https_port} if settings.tls != "off" else {}
    if low := [f"{name}={port}" for name, port in ports.items() if port < first]:
        note(
            f"warning: SLIP-164: an engine without root's rights may not publish ports below {first}: "
            f"{', '.join(low)}; fix: {_ROOTLESS}"
        )


def _first_port() -> int:
    """The first port that any user may listen on; 1024, the kernel's default, if it is unreadable."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _versions(runner: Runner) -> tuple[str, str, str]:
    """The versions of engine, Compose and buildx, from a single command; empty if it does not print them."""
    done = runner.capture(["docker", "info", "--format", "{{json .}}"], timeout=_ANSWER_SECONDS)
    try:
        info = json.loads(done.stdout)
        plugins = {plugin["Name"]: plugin["Version"] for plugin in info["ClientInfo"]["Plugins"]}
        return info["ServerVersion"], plugins["compose"], plugins["buildx"]
    except (ValueError, KeyError, TypeError):
        return "", "", ""


def check_floor(runner: Runner, engine: Probe) -> None:
    """Refuse versions below ``FLOOR``. Raises ``SlipwayError`` SLIP-029, SLIP-030 for a missing plugin."""
    _check_version("Docker Engine", engine.version)
    for name in PLUGINS:
        version = plugin_version(runner, name)
        if version is None:
            raise refuse(
                "SLIP-030",
                f"the docker command has no {name} plugin",
                "./bootstrap installs it for Debian's or Ubuntu's engine; for Docker's own engine: "
                "apt-get install docker-compose-plugin docker-buildx-plugin",
            )
        _check_version(name, version)


def plugin_version(runner: Runner, name: str) -> str | None:
    """The version of one of ``PLUGINS``; ``None`` when the docker command does not have it."""
    done = runner.capture(PLUGINS[name], timeout=_ANSWER_SECONDS)
    match = _VERSION.search(done.stdout)
    return match[0] if done.returncode == 0 and match else None


def refuse(code: str, message: str, fix: str) -> SlipwayError:
    """The error for a machine that cannot be made ready, with exit code 3."""
    return SlipwayError(code, message, fix, exit_code=3)


def refusal(runner: Runner, found: Probe) -> SlipwayError:
    """The error for an engine that cannot be used, from the answer ``found``: SLIP-025 to SLIP-028."""
    if found.state == "unknown-context":
        # Run under the default context: under an unknown one docker refuses even the list.
        listing = runner.capture(
            ["env", "-u", "DOCKER_HOST", "DOCKER_CONTEXT=default", "docker", "context", "ls", "-q"]
        )
        names = ", ".join(listing.stdout.split()) or "default"
        return refuse(
            "SLIP-027",
            f"the docker context in use does not exist: {found.detail}",
            f"choose one that does (docker context use NAME, or DOCKER_CONTEXT=NAME): {names}",
        )
    if found.state == "denied":
        return refuse(
            "SLIP-026",
            f"an engine is there, but you may not use it: {found.detail}",
            "join its group and log in again: sudo usermod -aG docker $USER (members of that group are as "
            f"good as root on this machine); {WAY_OUT}",
        )
    if not found.local:
        origin = "DOCKER_HOST" if os.environ.get("DOCKER_HOST") else "the docker context in use"
        where = without_credentials(found.endpoint) or "an endpoint docker cannot read"
        return refuse(
            "SLIP-028",
            f"{origin} names {where}, and no engine answers there: {found.detail}",
            "start that engine, or choose this machine's: unset DOCKER_HOST DOCKER_CONTEXT; "
            f"docker context use default; {WAY_OUT}",
        )
    return refuse(
        "SLIP-025",
        f"no Docker Engine answers on this machine: {found.detail}",
        f"./bootstrap starts or installs one, or says what to do; {WAY_OUT}",
    )


_VERSION = re.compile(r"\d+(\.\d+)+[^\s\"]*")


def parse_version(text: str) -> tuple[int, ...]:
    """The numbers of a version, without prefix and suffix: ``v2.26.1-4`` is ``(2, 26, 1)``."""
    match = re.search(r"\d+(\.\d+)+", text)
    return tuple(map(int, match[0].split("."))) if match else ()


def _check_version(name: str, version: str) -> None:
    floor = FLOOR[name]
    if parse_version(version) < floor:
        needed = ".".join(map(str, floor))
        raise refuse(
            "SLIP-029",
            f"{name} {version} is too old: {needed} or newer is needed",
            f"upgrade it, then run ./bootstrap again; {WAY_OUT}",
        )


def _server(output: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(output)
    except ValueError:
        return None
    server = answer.get("Server")
    return server if server and server.get("Version") else None


def endpoint_in_use(runner: Runner) -> str:
    """The engine's address as the docker command sees it; empty when it does not print one."""
    asked: Sequence[str] = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    return os.environ.get("DOCKER_HOST") or runner.capture(asked).stdout.strip()


def without_credentials(url: str) -> str:
    """The URL without user and password, for messages."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.netloc else url
