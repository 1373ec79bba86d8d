"""Installs an engine from this operating system's own packages, or advises the person how to."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.host import aptlists, mirrors
from slipway.host.osinfo import Host

__all__ = ["Plan", "advice", "install", "plan"]

# From the newer release, on a Debian that is too old to have them. Nothing else may come from there:
# its runc and tini would need the newer libc6 (Debian 12's own are recent enough).
PINNED = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd")
DEBIAN = (*PINNED, "iptables", "ca-certificates")
UBUNTU = ("docker.io", "docker-compose-v2", "docker-buildx", "iptables", "ca-certificates")

SOURCES = "/etc/apt/sources.list.d/slipway-trixie.sources"
PREFERENCES = "/etc/apt/preferences.d/slipway-trixie"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

_BY_HAND = {
    "macos": "Docker Desktop, or: brew install colima docker docker-compose docker-buildx && colima start",
    "debian": "Debian 13: apt-get install docker.io docker-cli docker-compose docker-buildx",
    "ubuntu": "apt-get install docker.io docker-compose-v2 docker-buildx",
    "fedora": "dnf install moby-engine docker-cli docker-compose docker-buildx",
    "arch": "pacman -S docker docker-compose docker-buildx",
    "alpine": "apk add docker docker-cli-compose docker-cli-buildx",
    "opensuse-leap": "zypper install docker docker-compose docker-buildx",
    "opensuse-tumbleweed": "zypper install docker docker-compose docker-buildx",
}


@dataclass(frozen=True)
class Plan:
    """The packages to install, and the apt files that they need (path to content)."""

    packages: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)


def plan(host: Host) -> Plan | None:
    """How to install the engine on ``host``; ``None`` when its packages are unknown or too old.

    Raises ``SlipwayError`` SLIP-024 when Debian 12's mirror cannot be found in its apt sources.
    """
    if host.distribution == "ubuntu" and host.release >= (24, 4):
        return Plan(UBUNTU)
    if host.distribution != "debian" or host.release < (12,):
        return None
    if host.release >= (13,):
        return Plan(DEBIAN)
    return Plan(
        DEBIAN,
        {
            SOURCES: trixie_sources(mirrors.debian_mirror(), mirrors.debian_security_mirror()),
            PREFERENCES: trixie_preferences(),
        },
    )


def advice(host: Host) -> str:
    """How a person installs an engine by hand on ``host``: a command, or the names to look for."""
    return _BY_HAND.get(
        host.distribution,
        "Docker Engine 26.1 or newer with the Compose (2.26) and buildx (0.13) plugins",
    )


def trixie_sources(archive: str, security: str) -> str:
    """The deb822 source of Debian 13 on this machine's own mirrors; ``security`` may be empty."""
    if not archive:
        raise SlipwayError(
            "SLIP-024",
            "no Debian archive is named in apt's sources, so Debian 13's engine cannot be fetched from it",
            "add a source with the suite bookworm and the component main, then rerun ./bootstrap",
            exit_code=3,
        )
    suites = {"trixie": archive} | ({"trixie-security": security} if security else {})
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nSigned-By: {_KEYRING}\n"
        for suite, uri in suites.items()
    )


def trixie_preferences() -> str:
    """Pins (apt_preferences(5)) that allow the engine's packages from Debian 13, and nothing else."""
    return "\n".join(
        f"Package: {packages}\nPin: release n={suite}\nPin-Priority: {priority}\n"
        for suite in ("trixie", "trixie-security")
        for packages, priority in (("*", -10), (" ".join(PINNED), 600))
    )


def install(runner: Runner, host: Host, wanted: Plan) -> None:
    """Install ``wanted``; on failure the apt files written here are removed again.

    Raises ``SlipwayError`` SLIP-024.
    """
    written = [path for path in wanted.files if not Path(path).exists()]
    for path in written:
        _write(runner, host, path, wanted.files[path])
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]
    try:
        if written or not aptlists.are_fresh():
            runner.run(host.as_root([*apt, "update"]))
        runner.run(host.as_root([*apt, "install", "-y", "--no-install-recommends", *wanted.packages]))
    except BaseException as failed:
        if written:
            runner.run(host.as_root(["rm", "-f", *written]), check=False)
        if not isinstance(failed, SlipwayError):
            raise
        raise SlipwayError(
            "SLIP-024",
            f"the engine's packages could not be installed on {host.name} (apt's output is above)",
            f"fix apt and rerun ./bootstrap, or install by hand: {advice(host)}; "
            "without an engine, ./bootstrap invoke up --local serves the project",
            exit_code=3,
        ) from None


def _write(runner: Runner, host: Host, path: str, content: str) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="slipway-") as draft:
        draft.write(content)
        draft.flush()
        runner.run(host.as_root(["install", "-D", "-m", "0644", draft.name, path]))
