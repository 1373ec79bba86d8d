"""Facts about this machine: operating system, init system, and whether the kit may change it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.core.run import Runner

__all__ = ["Host", "detect", "parse_os_release"]


@dataclass(frozen=True)
class Host:
    """The facts that decide how to get an engine here."""

    system: str
    """``Linux`` or ``Darwin``, as from ``uname``."""
    distribution: str
    """The ``ID`` of os-release (``debian``, ``ubuntu``), ``macos`` on a Mac, else empty."""
    version: str
    """The ``VERSION_ID`` of os-release; empty on Debian testing."""
    codename: str
    name: str
    """For people: ``Debian GNU/Linux 13 (trixie)``."""
    rights: str
    """``root``, ``sudo`` (without a password, or with a terminal to ask for it), or empty."""
    systemd: bool
    """Whether systemd is the running init, as sd_booted(3) tests it."""

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers; Debian testing, which has none, counts as newer than any."""
        numbers = tuple(int(part) for part in self.version.split(".") if part.isdigit())
        return numbers or (9999,)

    def as_root(self, argv: Sequence[str]) -> list[str]:
        """``argv``, with sudo in front if this process is not root."""
        return list(argv) if self.rights == "root" else ["sudo", *argv]


def parse_os_release(text: str) -> dict[str, str]:
    """The fields of os-release(5), without the quotes."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def detect(runner: Runner) -> Host:
    """Detect the facts of this machine; tests whether sudo works, without a prompt."""
    path = Path("/etc/os-release")
    fields = parse_os_release(path.read_text(encoding="utf-8")) if path.is_file() else {}
    system = platform.system()
    if system == "Darwin":
        fields = {"ID": "macos", "VERSION_ID": platform.mac_ver()[0], "PRETTY_NAME": "macOS"}
    return Host(
        system=system,
        distribution=fields.get("ID", ""),
        version=fields.get("VERSION_ID", ""),
        codename=fields.get("VERSION_CODENAME", ""),
        name=fields.get("PRETTY_NAME", system),
        rights=_rights(runner),
        systemd=Path("/run/systemd/system").is_dir(),
    )


def _rights(runner: Runner) -> str:
    if os.geteuid() == 0:
        return "root"
    answer = runner.capture(["sudo", "-n", "true"]).returncode
    if answer == 0 or (answer != 127 and sys.stdin.isatty()):
        return "sudo"
    return ""
