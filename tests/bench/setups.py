"""One project, built by the kit and by the usual setups: same packages, same base image, same client."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from slipway.config.settings import load
from slipway.host import mirrors
from slipway.orchestrators.compose import Stack
from tests.bench.engine import Engine, own_engine
from tests.bench.workshop import Workshop
from tests.support.index import INDEX
from tests.support.world import ROOT, World, base_images

__all__ = [
    "SMALL_PACKAGES",
    "USUAL",
    "Setup",
    "compose_file",
    "engine_of",
    "lock",
    "ours",
    "ours_world",
    "usual",
    "uv",
]

USUAL = ("single-pip", "single-pipenv", "two-stage-pip", "two-stage-uv")
# Without dependencies, in nobody's requirements yet: each rebuild adds one that no cache has seen.
SMALL_PACKAGES = (
    "blinker", "cachetools", "certifi", "click", "docutils", "humanize", "idna", "inflection", "iniconfig",
    "itsdangerous", "markupsafe", "more-itertools", "pathspec", "platformdirs", "pluggy", "pygments", "pytz",
    "pyyaml", "six", "tabulate", "toml", "tomli", "wrapt", "xmltodict", "zipp",
    "attrs", "colorama", "decorator", "defusedxml", "distlib", "docopt", "filelock", "fsspec", "markdown",
    "mccabe", "mdurl", "wcwidth", "packaging", "ply", "pyparsing", "soupsieve", "termcolor", "tqdm",
    "zstandard",
)  # fmt: skip
_FIXTURES = Path(__file__).with_name("usual")
_EXAMPLE = ROOT / "example"


@dataclass(frozen=True)
class Setup:
    """A way to build the image of ``project``, whose files a measure may change."""

    name: str
    project: Path
    image: str
    argv: list[str]
    cwd: Path
    engine: Engine

    def build(self) -> float:
        """Build; return the seconds that took. Raises ``RuntimeError``."""
        started = time.monotonic()
        self.output()
        return time.monotonic() - started

    def output(self) -> str:
        """Build; return what was printed. Raises ``RuntimeError``."""
        return self.engine.run(*self.argv, cwd=self.cwd)


def engine_of(place: Workshop) -> Engine:
    """The engine that the measures of one module share."""
    return place.once(own_engine)


def ours_world(place: Workshop) -> World:
    """A copy of the kit that has built its example once, so that all files of a build are written.

    No database: what is built is the same, and the image starts without one.
    """
    own = place.world(prod=True, DATABASE="none")
    place.note("slipway: first build")
    own.invoke("build", "--services=web", env=engine_of(place).env)
    return own


def ours(place: Workshop) -> Setup:
    """The kit: what ``invoke build --prod --services=web`` runs, on the example of a copy of the checkout."""
    own = place.once(ours_world)
    stack = Stack(load(own.root), True, own.root)
    return Setup(
        "slipway", own.root / "example", stack.images()[0], stack.build(["web"]), own.root, engine_of(place)
    )


def usual(place: Workshop, name: str) -> Setup:
    """One of ``USUAL``, on a copy of the example, with its locks; nothing is built yet."""
    engine, folder = engine_of(place), place.folder / name
    project, image = folder / "project", f"bench-{name}"
    if not project.exists():
        shutil.copytree(_EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__", ".env", "*.sqlite3*"))
        shutil.copyfile(_FIXTURES / name / "Dockerfile", project / "Dockerfile")
        if name == "two-stage-uv":
            _lock_with_uv(project)
        if name == "single-pipenv":
            _lock_with_pipenv(project, place)
        text = json.dumps(compose_file(place, image, project, "Dockerfile", engine.docker))
        (folder / "compose.json").write_text(text, encoding="utf-8")
    argv = ["docker", "compose", "--file", "compose.json", "--project-name", image, "build", "web"]
    return Setup(name, project, image, argv, folder, engine)


def compose_file(
    place: Workshop, image: str, project: Path, dockerfile: str, docker: Callable[..., str]
) -> dict[str, object]:
    """What a compose file says of the image of ``project``; ``docker`` runs that command on the engine.

    JSON is YAML.
    """
    python = base_images()["PYTHON_IMAGE"]
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = docker("run", "--rm", python, "python3", "-c", where).strip()
    secrets = {"ca": "ca.pem", "pip": "pip.conf", "apt": "apt-mirror"}
    build = {
        "context": str(project),
        "dockerfile": dockerfile,
        "args": {"PYTHON_IMAGE": python, "SITE_PACKAGES": site_packages},
        "additional_contexts": {"mirrors": str(place.once(_mirrors))},
        "secrets": list(secrets),
    }
    return {
        "services": {"web": {"image": image, "build": build}},
        "secrets": {name: {"file": str(place.folder / "mirrors" / file)} for name, file in secrets.items()},
    }


def _mirrors(place: Workshop) -> Path:
    """A folder with the shell snippet of the usual setups; beside it, in ``mirrors``, the build secrets."""
    folder = place.folder / "snippet"
    folder.mkdir()
    shutil.copyfile(_FIXTURES / "mirrors.sh", folder / "mirrors.sh")
    shutil.copyfile(ROOT / "docker" / "package-index.sh", folder / "package-index.sh")
    mirrors.write_build_secrets(place.folder / "mirrors")
    return folder


# -- locks: made when the bench runs, because some hold the address of the index ------------------------


def lock(project: Path, *more: str) -> None:
    """Make ``requirements.txt`` of the example's packages and ``more``; what was pinned stays."""
    given = [*(_EXAMPLE / "requirements.in").read_text(encoding="utf-8").splitlines(), *more]
    (project / "requirements.in").write_text("\n".join(given) + "\n", encoding="utf-8")
    uv(
        project, "pip", "compile", "--quiet", "--universal", "--python-version=3.11", "--generate-hashes",
        "--no-emit-index-url", "--no-annotate", "--no-header",
        "requirements.in", "--output-file=requirements.txt",
    )  # fmt: skip


def _lock_with_uv(project: Path) -> None:
    direct = _requirements(project / "requirements.in")
    pinned = _requirements(project / "requirements.txt")
    text = (
        '[project]\nname = "guestbook"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(direct)}\n\n[tool.uv]\nconstraint-dependencies = {json.dumps(pinned)}\n"
    )
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    uv(project, "lock", "--quiet")


def _lock_with_pipenv(project: Path, place: Workshop) -> None:
    """By the Python of the base image: Pipenv locks for the one it runs on."""
    python = {"python_version": "3.13", "python_full_version": "3.13.0"}
    pinned = [Requirement(line) for line in _requirements(project / "requirements.txt")]
    chosen = [found for found in pinned if found.marker is None or found.marker.evaluate(python)]
    packages = "".join(f'{found.name} = "{found.specifier}"\n' for found in chosen)
    source = f'[[source]]\nurl = "{INDEX}"\nverify_ssl = true\nname = "index"\n'
    (project / "Pipfile").write_text(f"{source}\n[packages]\n{packages}", encoding="utf-8")
    given = place.folder / "mirrors"
    engine_of(place).docker(
        "run", "--rm", f"--volume={project}:/project", "--workdir=/project",
        f"--volume={place.once(_mirrors)}:/mirrors:ro",
        f"--volume={given / 'ca.pem'}:/run/secrets/ca:ro",
        f"--volume={given / 'pip.conf'}:/run/secrets/pip:ro",
        base_images()["PYTHON_IMAGE"], "sh", "-c",
        ". /mirrors/mirrors.sh && pip install --quiet --root-user-action=ignore pipenv && pipenv lock",
    )  # fmt: skip


def _requirements(path: Path) -> list[str]:
    """The lines of a requirements file that name packages, without hashes."""
    lines = (
        line.partition("#")[0].strip().removesuffix("\\").strip() for line in path.read_text().splitlines()
    )
    return [line for line in lines if line and not line.startswith("--")]


def uv(project: Path, *arguments: str) -> None:
    """Run uv in ``project`` with the package index of this machine."""
    subprocess.run(
        [sys.executable, "-m", "uv", *arguments],
        cwd=project, env={**os.environ, "UV_DEFAULT_INDEX": INDEX}, check=True,
    )  # fmt: skip
