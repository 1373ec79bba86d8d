"""A Docker engine of the bench's own, whose caches can be emptied while nobody else's is touched."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

from slipway.host import mirrors
from tests.bench.workshop import Workshop
from tests.support.polling import eventually
from tests.support.world import ROOT, base_images, docker

__all__ = ["LABEL", "Engine", "built", "own_engine"]

LABEL = "slipway.bench.folder"  # how .ci/run and a person know what a killed bench left


class Engine:
    """A running engine in a container, spoken to through a socket in the workshop's folder.

    That folder is at the same place in the container, so bind mounts and Compose's secrets work from it.
    """

    def __init__(self, name: str, socket: Path) -> None:
        self.name = name
        self.env = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "BUILDX_BUILDER": "default"}
        """The environment in which ``docker``, Compose and Invoke speak to this engine."""
        self.env.pop("DOCKER_CONTEXT", None)

    def run(self, *argv: str, cwd: Path = ROOT) -> str:
        """Run ``argv`` against this engine; return standard output and standard error as one.

        Raises ``RuntimeError`` with the last lines where it fails.
        """
        done = subprocess.run(
            argv, cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            tail = "\n".join(done.stdout.splitlines()[-40:])
            raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}:\n{tail}")
        return done.stdout

    def docker(self, *arguments: str) -> str:
        """Run the docker command on this engine."""
        return self.run("docker", *arguments)

    @property
    def address(self) -> str:
        """The address at which this host reaches ports that containers of this engine publish."""
        return docker(
            "inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.name
        ).strip()

    def forget(self, *images: str) -> None:
        """Remove ``images``, what they replaced, and all of the build cache; base images stay."""
        self.docker("image", "rm", "--force", *images)
        self.docker("image", "prune", "--force")
        self.docker("builder", "prune", "--all", "--force")


def own_engine(place: Workshop) -> Engine:
    """Start an engine that has this machine's base images, and nothing else; it is removed with ``place``."""
    bases = base_images()
    image, name = built(place, "engine.Dockerfile"), f"slipway-bench-{secrets.token_hex(4)}"
    socket = place.folder / "docker.sock"
    # A volume for the engine: an overlay file system cannot lie on another one.
    docker(
        "run", "--detach", "--privileged", "--init", "--name", name, "--label", f"{LABEL}={place.folder}",
        "--volume", "/var/lib/docker", "--volume", "/var/lib/containerd",
        "--volume", f"{place.folder}:{place.folder}",
        image, "dockerd", f"--host=unix://{socket}", f"--group={os.getgid()}",
    )  # fmt: skip
    place.at_end(lambda: docker("rm", "--force", "--volumes", name, check=False))
    engine = Engine(name, socket)
    eventually(lambda: engine.docker("version"), "the bench's own engine to answer")
    place.note("an engine of its own is there; it gets the base images")
    wanted = sorted({bases[key] for key in ("PYTHON_IMAGE", "NGINX_IMAGE", "POSTGRES_IMAGE")})
    with subprocess.Popen(["docker", "save", *wanted], stdout=subprocess.PIPE) as saved:
        subprocess.run(
            ["docker", "load", "--quiet"],
            stdin=saved.stdout,
            env=engine.env,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return engine


def built(place: Workshop, dockerfile: str) -> str:
    """Build an image of Debian's packages by a ``dockerfile`` beside this file; return its name."""
    image = f"slipway-bench-{dockerfile.partition('.')[0]}:{secrets.token_hex(4)}"
    given = place.folder / "mirrors-of-packages"
    mirrors.write_build_secrets(given)
    docker(
        "build", f"--file={Path(__file__).with_name(dockerfile)}", f"--tag={image}",
        f"--build-context=docker={ROOT / 'docker'}",
        f"--build-arg=PYTHON_IMAGE={base_images()['PYTHON_IMAGE']}",
        f"--secret=id=apt,src={given / 'apt-mirror'}", str(given),
    )  # fmt: skip
    place.at_end(lambda: docker("image", "rm", "--force", image, check=False))
    return image
