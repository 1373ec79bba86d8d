"""One test's own copy of the kit: its own name, ports, files and containers."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "artifacts"
# In front of a program that is to be interrupted: what a script starts in the background ignores that.
USUAL_SIGNALS = ("env", "--default-signal=INT")


def free_port() -> int:
    """A TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def loopbacks() -> tuple[str, ...]:
    """The loopback addresses of this machine: IPv4's, and IPv6's where it has any."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ("127.0.0.1",)
    return ("127.0.0.1", "::1")


def docker(*arguments: str, check: bool = True) -> str:
    """Run the docker command and return what it printed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def compose_warnings(output: str) -> list[str]:
    """The lines of ``output`` in which Compose warns, of what it will not take any more for example."""
    marks = ("level=warning", "WARN[0", "is a global compose flag")
    return [line for line in output.splitlines() if any(mark in line for mark in marks)]


class World:
    """A copy of the checkout in ``folder``, with a project name and ports no one else has."""

    engine: tuple[str, ...] = ()
    """Options of ``docker`` that name the engine the stack is on, where it is not this machine's own."""

    def __init__(self, folder: Path, *, prod: bool, **settings: str) -> None:
        self.root = folder / "kit"
        self.prod = prod
        self.name = f"t{secrets.token_hex(4)}"
        self.project = f"{self.name}-{'prod' if prod else 'dev'}"
        self.port = free_port()
        copy_checkout(self.root)
        chosen = {
            "PROJECT_NAME": self.name,
            "HTTP_PORT" if prod else "WEB_PORT": str(self.port),
            **chosen_images(),
            **settings,
        }
        self.write_env(**chosen)

    @property
    def url(self) -> str:
        """Where the stack's site answers."""
        return f"http://localhost:{self.port}"

    def write_env(self, **settings: str) -> None:
        """Set variables in the copy's .env; others stay."""
        path = self.root / ".env"
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if line.split("=")[0] not in settings]
        path.write_text("\n".join([*kept, *(f"{k}={v}" for k, v in settings.items())]) + "\n")

    def invoke(
        self,
        *arguments: str,
        check: bool = True,
        stdin: str | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 540,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``invoke`` in the copy, with ``--prod`` where the stack is; no terminal."""
        task = next((i for i, word in enumerate(arguments) if not word.startswith("-")), 0)
        mode = ["--prod"] if self.prod else []
        argv = [*arguments[: task + 1], *mode, *arguments[task + 1 :]]
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *argv],
            cwd=self.root,
            env={**clean_environment(), **(env or {})},
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        said = f"invoke {' '.join(argv)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0 or not check, said
        assert not compose_warnings(done.stderr), said
        return done

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Run the docker command on the stack's engine and return what it printed."""
        return docker(*self.engine, *arguments, check=check)

    def container(self, service: str, number: int = 1) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", f"{self.project}-{service}-{number}"))
        return found[0]

    def containers(self, *, everything: bool = True) -> list[dict[str, Any]]:
        """Every container of the stack."""
        flags = ["--all"] if everything else []
        label = f"label=com.docker.compose.project={self.project}"
        ids = self.docker("ps", *flags, "--quiet", "--filter", label).split()
        return json.loads(self.docker("inspect", *ids)) if ids else []

    def health(self, service: str, number: int = 1) -> str:
        """``healthy``, ``starting``, ``unhealthy``."""
        return str(self.container(service, number)["State"]["Health"]["Status"])

    def sql(self, query: str) -> str:
        """The database's answer to ``query``, unaligned."""
        settings = ["--username=app", "--dbname=app", "--tuples-only", "--no-align"]
        return self.docker("exec", f"{self.project}-db-1", "psql", *settings, "-c", query).strip()

    def left_behind(self) -> dict[str, list[str]]:
        """Everything on the engine that bears this world's name."""
        label = f"label=com.docker.compose.project={self.project}"
        return {
            "containers": self.docker("ps", "--all", "--quiet", "--filter", label).split(),
            "volumes": self.docker("volume", "ls", "--quiet", "--filter", label).split(),
            "networks": self.docker("network", "ls", "--quiet", "--filter", label).split(),
            "images": self.docker("images", "--quiet", "--filter", label).split()
            + self.docker("images", "--quiet", "--filter", f"reference={self.project}-*").split(),
        }

    def save(self, name: str) -> None:
        """Keep logs and inspect output of every container under ``artifacts/NAME``."""
        folder = ARTIFACTS / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for container in self.containers():
            stem = folder / container["Name"].lstrip("/")
            stem.with_suffix(".json").write_text(json.dumps(container, indent=2))
            logs = subprocess.run(
                ["docker", *self.engine, "logs", container["Id"]],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            stem.with_suffix(".log").write_bytes(logs.stdout)

    def remove(self) -> None:
        """Take everything away, however far the test got."""
        for container in self.docker(
            "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}"
        ).split():
            self.docker("rm", "--force", "--volumes", container, check=False)
        # By which the kit knows whose stack it is.
        self.docker("volume", "rm", "--force", f"{self.project}_folder", check=False)
        left = self.left_behind()
        for kind, remove in (("networks", "network"), ("volumes", "volume"), ("images", "image")):
            for name in dict.fromkeys(left[kind]):
                self.docker(remove, "rm", *(["--force"] if kind == "images" else []), name, check=False)


@contextlib.contextmanager
def world(folder: Path, name: str, *, prod: bool, **settings: str) -> Iterator[World]:
    """A ``World`` that is gone afterwards; on failure its logs are kept in ``artifacts/NAME``.

    With KEEP_FAILED=1 in the environment a failed one stays on the engine too.
    """
    own = World(folder, prod=prod, **settings)
    try:
        yield own
    except BaseException:
        own.save(name)
        if os.environ.get("KEEP_FAILED") != "1":
            own.remove()
        raise
    own.remove()


def copy_checkout(target: Path) -> None:
    """Copy what a clone would have: tracked files and new ones git does not ignore."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=True,
        )  # fmt: skip
        names = [n for n in listing.stdout.decode().split("\0") if n]
    else:
        # A copy without git (as in `fresh`): everything but what the kit and its tools wrote.
        skip = {".venv", ".nox", ".slipway", "secrets", "artifacts", "backups", ".git"}
        names = [
            str(p.relative_to(ROOT))
            for p in ROOT.rglob("*")
            if p.is_file() and p.relative_to(ROOT).parts[0] not in skip
        ]
    for name in names:
        source = ROOT / name
        if not source.exists() or (len(Path(name).parts) == 1 and name in {".env", "app.env"}):
            continue
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, destination, follow_symlinks=False)


def apply_umask(folder: Path, umask: int) -> None:
    """Take from ``folder`` and all that is in it the modes that a checkout under ``umask`` would not have."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o777 & ~umask)


def base_images() -> dict[str, str]:
    """The base images this machine uses, so that a copy does not go looking for them again."""
    sys.path.insert(0, str(ROOT))
    from slipway.config.settings import load

    return load(ROOT, required=False).images()


def chosen_images() -> dict[str, str]:
    """Of those the ones that a person has chosen, in the environment or in .env, or that stand in."""
    images = base_images()
    from slipway.config.settings import variables

    known = variables()
    return {name: image for name, image in images.items() if image != known[name].default}


def clean_environment() -> dict[str, str]:
    """This process's environment without the kit's variables: those of a test are in its own ``.env``."""
    from slipway.config.settings import variables

    return {k: v for k, v in os.environ.items() if k not in variables()}
