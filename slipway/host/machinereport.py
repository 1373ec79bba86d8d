"""Reports on this machine and the engine it uses; changes nothing."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.core.output import human_size
from slipway.core.run import Runner
from slipway.engine import engine, engineapi
from slipway.host import mirrors
from slipway.host.enginecheck import endpoint_in_use, plugin_version, probe, refuse, without_credentials
from slipway.host.osinfo import detect

__all__ = ["check_disk", "report"]

_CONTAINERD_STORE = "io.containerd.snapshotter.v1"
_SYSTEM_CONTAINERD = Path("/run/containerd/containerd.sock")
_CONTAINERD_CONFIG = Path("/etc/containerd/config.toml")
_CONTAINERD_ROOT = "/var/lib/containerd"


def check_disk(needed: int) -> None:
    """Refuse to start when a disk of the engine has fewer than ``needed`` bytes free.

    Checks each disk with images, containers or volumes. An engine elsewhere, remote or in a virtual machine,
    cannot be checked and passes. Raises ``SlipwayError`` SLIP-031, and the errors of ``engine.facts``.
    """
    for place, disk in _disks(engine.facts() if engineapi.local_socket() else {}).items():
        if disk.free < needed:
            raise refuse(
                "SLIP-031",
                f"the disk of {place} is nearly full: {human_size(disk.free)} free, "
                f"{human_size(needed)} needed",
                "free some space: invoke prune shows what this project could free, "
                "invoke prune --system what the whole engine could",
            )


def report(runner: Runner) -> dict[str, Any]:
    """Facts about this machine and its engine for people and bug reports, without credentials.

    Sizes are in bytes; an unknown value is ``None`` or left out.
    """
    found = probe(runner)
    endpoint = found.endpoint or endpoint_in_use(runner)
    return {
        "os": detect(runner).name,
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "engine": found.version or f"none: {found.detail}",
        "compose": plugin_version(runner, "Docker Compose"),
        "buildx": plugin_version(runner, "Docker buildx"),
        "context": runner.capture(["docker", "context", "show"]).stdout.strip() or None,
        "endpoint": without_credentials(endpoint) or None,
        **(_engine_facts(runner, endpoint) if found.state == "answers" else {}),
        "nameservers": _nameservers(),
        "debian_mirror": without_credentials(mirrors.debian_mirror()) or None,
        "package_index": without_credentials(mirrors.pip_index() or "") or None,
        "ca_bundle": str(mirrors.ca_bundle() or "") or None,
    }


def _engine_facts(runner: Runner, endpoint: str) -> dict[str, Any]:
    info = json.loads(runner.capture(["docker", "info", "--format", "{{json .}}"]).stdout or "{}")
    disks = _disks(info if endpoint.startswith("unix://") else {})
    disk = min(disks.values(), key=lambda disk: disk.free, default=None)
    return {
        "engine_os": info.get("OperatingSystem"),
        "storage_driver": info.get("Driver"),
        "cgroup_version": info.get("CgroupVersion"),
        "cpus": info.get("NCPU"),
        "memory_bytes": info.get("MemTotal"),
        "docker_root": info.get("DockerRootDir") or None,
        "image_root": _image_root(info) or None,
        "disk_bytes": disk.total if disk else None,
        "disk_free_bytes": disk.free if disk else None,
    }


@dataclass(frozen=True)
class _Disk:
    total: int
    free: int


def _disks(info: Mapping[str, Any]) -> dict[str, _Disk]:
    """The disks of this machine's engine with the report ``info``, by the engine's folder on each."""
    here = info.get("Name") in {None, socket.gethostname()}
    found: dict[str, _Disk] = {}
    for root in dict.fromkeys((str(info.get("DockerRootDir", "")), _image_root(info))):
        with contextlib.suppress(OSError):
            if here and root:
                usage = shutil.disk_usage(root)
                found[root] = _Disk(usage.total, usage.free)
    return found


def _image_root(info: Mapping[str, Any]) -> str:
    """The folder with the engine's images: with the containerd image store it is containerd's folder.

    A containerd that the engine itself has started has its folder in the engine's. The API names containerd's
    address since 1.46; before that, an engine uses the system's containerd if there is one.
    """
    root = str(info.get("DockerRootDir", ""))
    if ["driver-type", _CONTAINERD_STORE] not in (info.get("DriverStatus") or []):
        return root
    address = (info.get("Containerd") or {}).get("Address") or _SYSTEM_CONTAINERD
    if Path(address) != _SYSTEM_CONTAINERD or not _SYSTEM_CONTAINERD.exists():
        return root
    try:
        configured = tomllib.loads(_CONTAINERD_CONFIG.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        configured = {}
    return str(configured.get("root") or _CONTAINERD_ROOT)


def _nameservers() -> list[str]:
    path = Path("/etc/resolv.conf")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]
