"""Engine 29, which no distribution packages yet: its programs, built from Go modules once and kept.

Every program is built in a copy of its own module, by that module's own go.mod and go.sum. Where modules come
from is this machine's configuration (``go env GOPROXY``). They are kept in ``$XDG_CACHE_HOME/slipway``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "29.9.3"


@dataclass(frozen=True)
class Module:
    """One Go module, and what of it is built: a package in it for each program's name."""

    path: str
    version: str
    programs: Mapping[str, str]
    variable: str
    """What holds the version that the programs tell (``go build -ldflags=-X``)."""
    told: str
    tags: str = ""
    cgo: bool = False
    replace: str = ""
    """Another version of a module that it requires (``go mod edit -replace``)."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Other contents of some of its files."""


# The release that the two below require has no archive; the engine's own module takes this commit.
_SWARMKIT = "github.com/moby/swarmkit/v2=github.com/moby/swarmkit/v2@v2.1.3-0.20260828175525-ad0357aedfca"
# Compose asks Docker Desktop who is logged in, by a module that has no archive either. Here is no Desktop.
_DESKTOP = {
    "internal/registry/desktop.go": """package registry

func NewDesktopAuthProvider(fallback AuthProvider) AuthProvider { return fallback }
"""
}
MODULES = (
    Module(
        "github.com/moby/moby/v2",
        "v2.0.0-beta.24",
        {"dockerd": "./cmd/dockerd", "docker-proxy": "./cmd/docker-proxy"},
        "github.com/moby/moby/v2/dockerversion.Version",
        VERSION,
        tags="exclude_graphdriver_btrfs netgo osusergo",
    ),
    Module(
        "github.com/containerd/containerd/v2",
        "v2.4.2",
        {"containerd": "./cmd/containerd", "containerd-shim-runc-v2": "./cmd/containerd-shim-runc-v2"},
        "github.com/containerd/containerd/v2/version.Version",
        "2.4.2",
    ),
    # In C: what joins a container's namespaces before Go starts, and libseccomp.
    Module(
        "github.com/opencontainers/runc", "v1.5.3", {"runc": "."}, "main.version", "1.5.3",
        tags="seccomp", cgo=True,
    ),
    Module(
        "github.com/docker/cli",
        f"v{VERSION}+incompatible",
        {"docker": "./cmd/docker"},
        "github.com/docker/cli/cli/version.Version",
        VERSION,
        replace=_SWARMKIT,
    ),
    Module(
        "github.com/docker/buildx",
        "v0.38.2",
        {"docker-buildx": "./cmd/buildx"},
        "github.com/docker/buildx/version.Version",
        "v0.38.2",
    ),
    Module(
        "github.com/docker/compose/v5",
        "v5.7.1",
        {"docker-compose": "./cmd"},
        "github.com/docker/compose/v5/internal.Version",
        "v5.7.1",
        replace=_SWARMKIT,
        files=_DESKTOP,
    ),
)  # fmt: skip


def programs() -> Path:
    """The folder with all programs. What is missing is built: a quarter of an hour on two cores."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "slipway" / f"engine-{VERSION}-{recipe}"
    folder.mkdir(parents=True, exist_ok=True)
    for module in MODULES:
        if not all((folder / name).exists() for name in module.programs):
            _build(module, folder)
    return folder


def _build(module: Module, folder: Path) -> None:
    if module.cgo and subprocess.run(["pkg-config", "--exists", "libseccomp"], check=False).returncode:
        raise FileNotFoundError(f"{module.path}: apt-get install gcc pkg-config libseccomp-dev")
    asked = ["go", "mod", "download", "-json", f"{module.path}@{module.version}"]
    # Not in the checkout, whose own files would be read as a module's.
    with tempfile.TemporaryDirectory(prefix="slipway-") as work:
        answer = json.loads(subprocess.run(asked, cwd=work, capture_output=True, check=False).stdout)
        assert "Dir" in answer, f"{module.path}: {answer.get('Error')}"
        source = Path(work) / "source"
        shutil.copytree(answer["Dir"], source)
        subprocess.run(["chmod", "--recursive", "u+w", source], check=True)
        # The command line's versions are no semantic ones: it keeps its go.mod under another name.
        for name in ("mod", "sum"):
            if (source / f"vendor.{name}").exists():
                (source / f"vendor.{name}").rename(source / f"go.{name}")
        shutil.rmtree(source / "vendor", ignore_errors=True)
        if module.replace:
            subprocess.run(["go", "mod", "edit", f"-replace={module.replace}"], cwd=source, check=True)
        for name, content in module.files.items():
            (source / name).write_text(content, encoding="utf-8")
        for name, package in module.programs.items():
            draft = folder / f"{name}.part"
            flags = ["-mod=mod", "-trimpath", "-buildvcs=false", f"-tags={module.tags}"]
            flags += [f"-ldflags=-s -w -X {module.variable}={module.told}"]
            environment = {**os.environ, "CGO_ENABLED": str(int(module.cgo))}
            subprocess.run(
                ["go", "build", *flags, "-o", draft, package], cwd=source, env=environment, check=True
            )
            draft.rename(folder / name)
