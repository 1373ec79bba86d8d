"""Base images: used when present, else pulled, else built as stand-ins from Debian packages.

A stand-in never takes an official image's name: ``slipway/python:3.13-slim-trixie`` stands in for
``python:3.13-slim-trixie``, and the caller of ``ensure`` records the choice in the same variable.
The recipes are in ``docker/bases``; ``docs/base-image.md`` lists how they differ from the official images.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from slipway.config import postgres
from slipway.core.checkout import ROOT
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.engine.pull import WAIT_OR_LOG_IN, Outcome, pull
from slipway.host import aptlists, mirrors

__all__ = ["KINDS", "Kind", "Row", "StandIn", "build", "describe", "ensure", "stand_in_for"]

RECIPES = ROOT / "docker" / "bases"
SECRETS = ROOT / ".slipway" / "build"
PREFIX = "slipway/"
LABEL = "slipway.recipe"
"""On every stand-in: a digest of its recipe; a changed recipe causes a rebuild."""
_LOCKS: dict[str, threading.Lock] = {}
_HOOKS = {"bookworm": "maybe-merged-usr"}
"""mmdebstrap's own hook, by suite: it links into /usr. Otherwise a package would, and pull in all of Perl."""


@dataclass(frozen=True)
class Kind:
    """One family of base images."""

    name: str
    variable: str
    suites: Mapping[str, str]
    """The series in Debian, each with the Debian release that has it."""
    flavour: str
    """A regular expression for what may follow the series in an official tag."""
    example: str
    """A tag of the official image, with ``{series}``, for messages."""
    environment: Mapping[str, str]
    """Version variables of the official image, each with the package whose version it shows."""
    upstream_only: Collection[str] = ()
    """Those of these variables that omit Debian's revision."""
    arguments: Callable[[str], dict[str, str]] = field(default=lambda series: {"SERIES": series})
    """The build arguments of a series."""
    publisher: str = ""
    """The owner of its repository on Docker Hub; empty: Docker's official library."""

    def is_named(self, name: str) -> bool:
        """Whether ``name``, a reference without its tag, is the official image, a mirror's copy or ours."""
        official = rf"([^/]+/)?{self.publisher}/" if self.publisher else r"(([^/]+/)?library/)?"
        return bool(re.fullmatch(rf"({PREFIX}|{official}){self.name}", name))


def _postgres_arguments(series: str) -> dict[str, str]:
    volume = postgres.mount_target(int(series))
    # From 18 on the official image keeps its data below its volume, in a folder named after the version.
    data = f"{volume}/{series}/docker" if int(series) >= 18 else volume
    return {"SERIES": series, "PGDATA": data, "VOLUME_PATH": volume}


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="python",
            variable="PYTHON_IMAGE",
            suites={"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"},
            flavour=r"-slim(-bookworm|-trixie|-forky)?",
            example="{series}-slim-trixie",
            environment={"PYTHON_VERSION": "python{series}"},
            upstream_only=("PYTHON_VERSION",),
        ),
        Kind(
            name="postgres",
            variable="POSTGRES_IMAGE",
            suites={"17": "trixie", "18": "forky"},
            flavour=r"(-trixie|-forky)?",
            example="{series}-trixie",
            environment={"PG_VERSION": "postgresql-{series}", "GOSU_VERSION": "gosu"},
            upstream_only=("GOSU_VERSION",),
            arguments=_postgres_arguments,
        ),
        Kind(
            name="nginx",
            variable="NGINX_IMAGE",
            # Debian 13 has 1.26, which cannot resolve an upstream again while it runs.
            suites={"1.30": "forky"},
            flavour=r"(-trixie|-forky)?",
            example="{series}-trixie",
            environment={"NGINX_VERSION": "nginx"},
            upstream_only=("NGINX_VERSION",),
        ),
        Kind(
            name="valkey",
            publisher="valkey",
            variable="REDIS_IMAGE",
            suites={"8.1": "trixie", "9.1": "forky"},
            flavour=r"(-trixie|-forky)?",
            example="{series}-trixie",
            environment={"VALKEY_VERSION": "valkey-server"},
            upstream_only=("VALKEY_VERSION",),
        ),
        Kind(
            name="node",
            variable="NODE_IMAGE",
            suites={"20": "trixie", "24": "forky"},
            flavour=r"(-trixie|-forky)?(-slim)?",
            example="{series}-trixie-slim",
            environment={"NODE_VERSION": "nodejs"},
            upstream_only=("NODE_VERSION",),
        ),
    )
}


@dataclass(frozen=True)
class StandIn:
    """The stand-in for one official reference."""

    kind: Kind
    series: str
    tag: str

    @property
    def reference(self) -> str:
        """The name it is built under, for example ``slipway/nginx:1.30-trixie``."""
        return f"{PREFIX}{self.kind.name}:{self.tag}"

    @property
    def suite(self) -> str:
        """The Debian release its packages come from."""
        return self.kind.suites[self.series]


@dataclass(frozen=True)
class Row:
    """One line of ``invoke bases``; ``size`` in bytes, 0 when absent."""

    variable: str
    reference: str
    present: bool
    size: int
    origin: str


def stand_in_for(variable: str, reference: str) -> StandIn:
    """Return the stand-in for an official reference, or for one that begins with ``slipway/``.

    Raises ``SlipwayError`` SLIP-041 when Debian has no packages for it, with a list of those it has, and
    SLIP-042 when ``reference`` is not one of the official images.
    """
    parts = re.fullmatch(r"(.+?)(?::([^:/@]+))?(@.+)?", reference)
    assert parts is not None
    name, tag, digest = parts.groups(default="")
    for kind in KINDS.values():
        if kind.is_named(name):
            break
    else:
        raise SlipwayError(
            "SLIP-042",
            f"{variable}={reference} cannot be pulled, and only the official images have stand-ins",
            f"build or load that image on this machine, or set {variable} to one of: {_offers(variable)}",
        )
    match = re.fullmatch(rf"(\d+(?:\.\d+)*){kind.flavour}", tag + digest)
    if match is None or match.group(1) not in kind.suites:
        raise SlipwayError(
            "SLIP-041",
            f"{variable}={reference} cannot be pulled, and Debian has no packages for it",
            f"set {variable} to one of: {_offers(kind.variable)}",
        )
    return StandIn(kind, match.group(1), tag)


def _offers(variable: str) -> str:
    return ", ".join(
        f"{PREFIX}{kind.name}:{kind.example.format(series=series)}"
        for kind in KINDS.values()
        if kind.variable == variable
        for series in kind.suites
    )


def ensure(images: Mapping[str, str], runner: Runner, pinned: Collection[str] = ()) -> dict[str, str]:
    """Make every base image present on this machine's engine.

    ``images`` maps variables (``PYTHON_IMAGE``) to references, as ``Settings.images`` does. A present
    image is used, an absent one pulled; if its registry cannot be reached, a stand-in is built. A
    reference that begins with ``slipway/`` is built when absent or when its recipe has changed.

    Returns the variables that must change, each with its stand-in: empty when all images are as
    requested. ``pinned`` are variables that the user has set: they are never replaced, but raise
    SLIP-043. Raises ``SlipwayError``: SLIP-040 when a registry refuses, else as ``stand_in_for``
    and ``build``.
    """
    replaced: dict[str, str] = {}
    silent: dict[str, str] = {}
    stand_ins: list[StandIn] = []
    for variable, reference in images.items():
        if reference.startswith(PREFIX):
            stand_ins.append(stand_in_for(variable, reference))
        elif _recipe_of(reference, runner) is None:
            reason = silent.get(_registry(reference)) or _pull(variable, reference, runner)
            if reason:
                silent[_registry(reference)] = reason
                stand_in = stand_in_for(variable, reference)
                if variable in pinned:
                    raise SlipwayError(
                        "SLIP-043",
                        f"{variable}={reference} is not on this machine and its registry cannot be"
                        f" reached: {reason}",
                        f"set {variable}={stand_in.reference}, or remove the line and the kit chooses that",
                    )
                _say(f"{reference}: registry not reachable, {stand_in.reference} stands in")
                stand_ins.append(stand_in)
                replaced[variable] = stand_in.reference
    # In parallel: while one downloads its packages, another unpacks.
    with ThreadPoolExecutor() as pool:
        wanted = {stand_in.reference: stand_in for stand_in in stand_ins}
        list(pool.map(lambda stand_in: _ensure_stand_in(stand_in, runner), wanted.values()))
    return replaced


def _registry(reference: str) -> str:
    """Return the registry's host; empty for the engine's default one."""
    first = reference.split("/", 1)[0]
    return first if "/" in reference and re.search(r"[.:]|^localhost$", first) else ""


def _pull(variable: str, reference: str, runner: Runner) -> str:
    """Pull and return the empty string, or the reason why the registry could not be reached."""
    if runner.dry:
        runner.run(["docker", "pull", reference])
        return ""
    result = pull(reference)
    if result.limited:
        raise SlipwayError(
            "SLIP-163",
            f"{variable}={reference} cannot be pulled: {result.reason}",
            WAIT_OR_LOG_IN + _or_stand_in(variable, reference),
        )
    if result.outcome is Outcome.REFUSED:
        raise SlipwayError(
            "SLIP-040",
            f"{variable}={reference} cannot be pulled: {result.reason}",
            f"correct {variable}, or log in to the registry with docker login",
        )
    return result.reason


def _or_stand_in(variable: str, reference: str) -> str:
    try:
        return f"; or set {variable}={stand_in_for(variable, reference).reference}, which is built here"
    except SlipwayError:
        return ""


def _ensure_stand_in(stand_in: StandIn, runner: Runner) -> None:
    if _recipe_of(stand_in.reference, runner) != _recipe(stand_in.kind):
        build(stand_in, runner)


def describe(images: Mapping[str, str]) -> list[Row]:
    """Return the state of ``images`` (variable to reference) on this machine's engine."""
    sizes = engine.image_sizes(images.values())
    return [
        Row(
            variable,
            reference,
            present=reference in sizes,
            size=sizes.get(reference, 0),
            origin="stand-in" if reference.startswith(PREFIX) else "registry",
        )
        for variable, reference in images.items()
    ]


def _recipe_of(reference: str, runner: Runner) -> str | None:
    """Return the recipe of a local image, empty if it is no stand-in; None when there is no such image."""
    template = f'{{{{with .Config.Labels}}}}{{{{index . "{LABEL}"}}}}{{{{end}}}}'
    answer = runner.capture(["docker", "image", "inspect", "--format", template, reference])
    return answer.stdout.strip() if answer.returncode == 0 else None


def build(stand_in: StandIn, runner: Runner, *, force: bool = False) -> None:
    """Build a stand-in, and the Debian root file system below it if that is missing or outdated.

    ``force`` rebuilds both, for Debian's newest packages. Raises ``SlipwayError`` SLIP-044 when the
    root file system cannot be built on this machine, SLIP-045 when a step fails.
    """
    started = time.monotonic()
    with _lock_of(stand_in.suite):
        base = _debian(stand_in.suite, runner, force=force)
    with _lock_of("build secrets"):
        mirrors.write_build_secrets(SECRETS)
    packages = f"{stand_in.reference}-packages"
    fresh = ["--no-cache"] if force else []
    _command(
        f"{stand_in.reference}: installing the packages",
        _build_argv(stand_in, base, ["--target=packages", f"--tag={packages}", *fresh]),
        runner,
    )
    versions = _versions(stand_in, packages, runner)
    arguments = [f"--build-arg={name}={value}" for name, value in versions.items()]
    label = f"--label={LABEL}={_recipe(stand_in.kind)}"
    _command(
        f"{stand_in.reference}: configuring",
        _build_argv(stand_in, base, [*arguments, label, f"--tag={stand_in.reference}"]),
        runner,
    )
    runner.capture(["docker", "image", "rm", packages])  # the stand-in keeps its layers
    _say(f"{stand_in.reference}: ready after {time.monotonic() - started:.0f} s")


def _lock_of(thing: str) -> threading.Lock:
    """Return the lock that makes a second stand-in wait until the first has made ``thing``."""
    return _LOCKS.setdefault(thing, threading.Lock())


def _build_argv(stand_in: StandIn, base: str, options: list[str]) -> list[str]:
    kind = stand_in.kind
    # The shell's proxy; docker takes the values from the environment.
    proxies = [
        f"--build-arg={name}" for name in ("http_proxy", "https_proxy", "no_proxy") if os.environ.get(name)
    ]
    arguments = {"BASE": base, **kind.arguments(stand_in.series)}
    return [
        "docker", "build", "--progress=plain",
        *proxies,
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        f"--secret=id=ca,src={SECRETS / 'ca.pem'}",
        *options,
        str(RECIPES / kind.name),
    ]  # fmt: skip


def _versions(stand_in: StandIn, packages: str, runner: Runner) -> dict[str, str]:
    """Return the version variables of the official image, as installed in the image ``packages``."""
    kind = stand_in.kind
    versions = {}
    for variable, template in kind.environment.items():
        argv = [
            "docker", "run", "--rm", "--network=none", "--entrypoint=dpkg-query", packages,
            "--show", "--showformat=${Version}", template.format(series=stand_in.series),
        ]  # fmt: skip
        version = runner.capture(argv, check=True).stdout if not runner.dry else "0"
        # Without Debian's revision and its mark of a repacked source (8.1.1+dfsg1-3).
        upstream = version.rsplit("-", 1)[0].partition("+")[0]
        versions[variable] = upstream if variable in kind.upstream_only else version
    return versions


def _debian(suite: str, runner: Runner, *, force: bool) -> str:
    """Return the name of the Debian image of ``suite``; make it if it is absent or outdated."""
    reference = f"{PREFIX}debian:{suite}-slim"
    recipe = "-".join(filter(None, (_digest(RECIPES / "debian"), _HOOKS.get(suite))))
    if _recipe_of(reference, runner) == recipe and not force:
        return reference
    with _lock_of("mmdebstrap"):
        _require_mmdebstrap(runner)
    with tempfile.TemporaryDirectory(prefix="slipway-") as directory:
        archive = Path(directory) / "root.tar"
        # mmdebstrap may work as another user.
        Path(directory).chmod(0o755)
        _command(
            f"Debian {suite}: making the root file system (about 30 s)",
            rootfs_argv(suite, archive, mirrors.debian_mirror(), mirrors.debian_security_mirror()),
            runner,
        )
        _forbid_service_starts(archive, runner)
        _command(
            f"Debian {suite}: importing it",
            [
                "docker", "import", "--change", 'CMD ["bash"]',
                "--change", f"LABEL {LABEL}={recipe}", str(archive), reference,
            ],
            runner,
        )  # fmt: skip
    return reference


def _forbid_service_starts(archive: Path, runner: Runner) -> None:
    """Add the policy file that every Debian image has: mmdebstrap removes one that its hooks install."""
    if runner.dry:
        return
    with tarfile.open(archive, "a") as tar:
        member = tar.gettarinfo(RECIPES / "debian" / "policy-rc.d", "./usr/sbin/policy-rc.d")
        member.mode, member.uid, member.gid, member.uname, member.gname = 0o755, 0, 0, "", ""
        with (RECIPES / "debian" / "policy-rc.d").open("rb") as content:
            tar.addfile(member, content)


def rootfs_argv(suite: str, archive: Path, mirror: str, security: str) -> list[str]:
    """Return the command that makes a Debian root file system as the tar file ``archive``.

    ``mirror`` and ``security`` are archive URLs; with an empty ``mirror`` mmdebstrap uses its own
    defaults. For Debian testing an expired Release file is accepted, because a frozen mirror does
    not renew it; its signature is still checked.
    """
    recipe = RECIPES / "debian"
    sources = [f"deb {mirror} {suite} main"] if mirror else []
    if mirror and suite != "forky":
        sources.append(f"deb {mirror} {suite}-updates main")
        if security:
            sources.append(f"deb {security} {suite}-security main")
    testing = ['--aptopt=Acquire::Check-Valid-Until "false"'] if suite == "forky" else []
    hooks = [f"--hook-dir=/usr/share/mmdebstrap/hooks/{_HOOKS[suite]}"] if suite in _HOOKS else []
    return [
        "mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates",
        f"--dpkgopt={recipe / 'dpkg.cfg'}",
        *testing,
        *hooks,
        # A shell runs it, with the root file system as $1.
        f'--customize-hook=sh {shlex.quote(str(recipe / "configure.sh"))} "$1"',
        suite, str(archive), *sources,
    ]  # fmt: skip


def _require_mmdebstrap(runner: Runner) -> None:
    """Install mmdebstrap if it is missing and this user may install it, else raise SLIP-044."""
    if shutil.which("mmdebstrap") or runner.dry:
        return
    root = os.geteuid() == 0
    packages = ["mmdebstrap", "debian-archive-keyring", *([] if root else ["uidmap"])]
    allowed = root or runner.capture(["sudo", "-n", "true"]).returncode == 0
    if not shutil.which("apt-get") or not allowed:
        raise SlipwayError(
            "SLIP-044",
            "no image registry can be reached, and stand-ins need mmdebstrap",
            "install it (Debian, Ubuntu: sudo apt-get install " + " ".join(packages) + "); on another"
            " system copy the images from a machine that has them: docker save there, docker load here",
        )
    sudo = [] if root else ["sudo", "-n"]
    if not aptlists.are_fresh():
        _command("reading the package lists", [*sudo, "apt-get", "update"], runner)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    _command("installing mmdebstrap", [*sudo, *install], runner)


def _command(step: str, argv: list[str], runner: Runner) -> None:
    """Run one step of a build and show its output only when it fails. Raises SLIP-045."""
    with _timed(step):
        if runner.dry:
            runner.run(argv)
            return
        answer = runner.capture(argv)
    if answer.returncode != 0:
        lines = (answer.stderr or answer.stdout).strip().splitlines()
        raise SlipwayError(
            "SLIP-045",
            "\n    ".join([f"{step}: failed ({shlex.join(argv)})", *lines[-25:]]),
            "the last lines above say why; a mirror that cannot be reached is the usual cause",
        )


@contextmanager
def _timed(step: str) -> Iterator[None]:
    _say(f"{step} ...")
    started = time.monotonic()
    yield
    _say(f"{step}: {time.monotonic() - started:.0f} s")


def _say(message: str) -> None:
    print(f"bases: {message}", file=sys.stderr, flush=True)


def _recipe(kind: Kind) -> str:
    return _digest(RECIPES / "debian", RECIPES / kind.name)


def _digest(*folders: Path) -> str:
    """Return a short digest of the names, contents and executable bits of all files in ``folders``."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                mode = "x" if os.access(path, os.X_OK) else "-"
                digest.update(f"{path.relative_to(RECIPES)}{mode}".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
