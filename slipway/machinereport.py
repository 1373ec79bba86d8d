"""What is known of this machine and the engine it uses; looks, changes nothing."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway import engine, engineapi, mirrors
from slipway.enginecheck import endpoint_in_use, plugin_version, probe, refuse, without_credentials
from slipway.osinfo import detect
from slipway.output import human_size
from slipway.run import Runner

__all__ = ["check_disk", "report"]


def check_disk(needed: int) -> None:
    """Refuse to begin when the engine's disk has fewer than ``needed`` bytes free.

    An engine elsewhere, remote or in a virtual machine, cannot be judged and passes.
    Raises ``SlipwayError`` SLIP-031, and what ``engine.facts`` raises.
    """
    if not engineapi.local_socket():
        return
    root = str(engine.facts()["DockerRootDir"])
    disk = _disk(root)
    if disk is None or disk.free >= needed:
        return
    raise refuse(
        "SLIP-031",
        f"the disk of {root} is nearly full: {human_size(disk.free)} free, {human_size(needed)} needed",
        "free some space: invoke prune shows what this project could give back, "
        "invoke prune --system what the whole engine could",
    )


def report(runner: Runner) -> dict[str, Any]:
    """Facts about this machine and its engine for people and bug reports, without credentials.

    Sizes are bytes; a value that is unknown here is ``None`` or left out.
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
    root = str(info.get("DockerRootDir", ""))
    disk = _disk(root) if endpoint.startswith("unix://") else None
    return {
        "engine_os": info.get("OperatingSystem"),
        "storage_driver": info.get("Driver"),
        "cgroup_version": info.get("CgroupVersion"),
        "cpus": info.get("NCPU"),
        "memory_bytes": info.get("MemTotal"),
        "docker_root": root or None,
        "disk_bytes": disk.total if disk else None,
        "disk_free_bytes": disk.free if disk else None,
    }


@dataclass(frozen=True)
class _Disk:
    total: int
    free: int


def _disk(root: str) -> _Disk | None:
    try:
        usage = shutil.disk_usage(root)
    except OSError:
        return None
    return _Disk(usage.total, usage.free)


def _nameservers() -> list[str]:
    path = Path("/etc/resolv.conf")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]
