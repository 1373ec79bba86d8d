"""The test sessions: lint and unit without an engine, the rest against real containers.

`nox` runs lint, unit and smoke; `nox -t gate` the longer sessions; `nox -s turn` one file of the remaining
tests, another at each commit. Any session runs by name, and arguments after `--` go to pytest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import nox

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))  # nox runs this file without its folder on the path

from slipway.host import mirrors  # noqa: E402
from tests.support import turns  # noqa: E402

nox.needs_version = ">=2026.8"
nox.options.sessions = ["lint", "unit", "smoke"]
nox.options.default_venv_backend = "uv|virtualenv"
# Only pinned versions are tested, and nothing is downloaded twice.
nox.options.reuse_venv = "yes"

PYTHON_FILES = ("slipway", "tasks.py", "noxfile.py", "tests", "docker", "example")
IMAGE_FILES = [str(path) for path in sorted(ROOT.glob("docker/*.py")) if path.stem.isidentifier()]
SHELL_FILES = ("bootstrap", ".ci/run")
STACKS = ["dev", "prod", "unchanged", "failures"]
# Forms of sessions whose tests take too long for every run; their contents: tests/support/turns.py.
Form = Callable[[str], list[str]]
# The gate has two lanes, side by side in .ci/run: this engine, and machines with engines of their own.
STACKS_LANE, MACHINES_LANE = ["gate", "stacks"], ["gate", "machines"]
FORMS = [nox.param(turns.short, id="short", tags=STACKS_LANE), nox.param(turns.long, id="long")]
MACHINE_FORMS = [nox.param(turns.short, id="short", tags=MACHINES_LANE), nox.param(turns.long, id="long")]


def install(session: nox.Session, *more: str) -> None:
    """Install the kit's tools, the test tools and ``more`` of requirements/, exactly as pinned."""
    pinned = [f"--requirement={ROOT / 'requirements' / name}" for name in ("tools.txt", "test.txt", *more)]
    # uv does not read pip.conf: pass it this machine's mirror, if there is one.
    index = mirrors.pip_index()
    options = [f"--index-url={index}"] if index else []
    session.install("--quiet", "--require-hashes", *options, *pinned)


def pytest(session: nox.Session, *what: str) -> None:
    """Run tests; artefacts of failures go to `artifacts/`."""
    session.run("pytest", *what, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, mypy, hadolint, shellcheck, and the compose files' own validation."""
    install(session)
    session.run("ruff", "format", "--check", *PYTHON_FILES)
    session.run("ruff", "check", *PYTHON_FILES)
    session.run("mypy")
    session.run("lint-imports", "tests/lint/imports.toml")
    # An image may have Python 3.10: nothing that these files import or call may be newer.
    kinds = ("arg-type", "assignment", "call-arg", "return-value", "var-annotated")
    disabled = [f"--disable-error-code={kind}" for kind in kinds]
    options = [
        "--config-file=",
        "--python-version=3.10",
        "--ignore-missing-imports",
        "--follow-imports=silent",
    ]
    session.run("mypy", *options, *disabled, *IMAGE_FILES)
    session.run("hadolint", "Dockerfile", *map(str, sorted(ROOT.glob("docker/**/*Dockerfile"))))
    session.run("shellcheck", "--external-sources", *SHELL_FILES, *_shell_scripts())
    # Checked by the two tools that read these files at run time.
    session.run("pytest", "--quiet", "tests/lint")
    session.run("pytest", "--quiet", "tests/nginx", "-k", "configuration_is_clean")


@nox.session
def unit(session: nox.Session) -> None:
    """Builders, settings, messages: everything that needs no engine."""
    install(session)
    pytest(session, "tests/unit")


@nox.session
@nox.parametrize("stack", STACKS, ids=STACKS)
def smoke(session: nox.Session, stack: str) -> None:
    """Build the real images, start the real stack, and check what it promises."""
    install(session)
    pytest(session, f"tests/smoke/test_{stack}.py")


@nox.session(default=False, tags=STACKS_LANE)
def nginx(session: nox.Session) -> None:
    """nginx's configuration against a stub application."""
    install(session)
    pytest(session, "tests/nginx")


@nox.session(default=False)
@nox.parametrize("form", FORMS)
def images(session: nox.Session, form: Form) -> None:
    """The Dockerfile with every dependency manager, and what must not be in an image."""
    install(session)
    pytest(session, *form("images"))


@nox.session(default=False)
def assets(session: nox.Session) -> None:
    """The stage with Node.js, whose base is built where it cannot be pulled."""
    install(session)
    pytest(session, f"tests/{turns.ASSETS}")


@nox.session(default=False)
@nox.parametrize("form", FORMS)
def rollout(session: nox.Session, form: Form) -> None:
    """Deploys, failed and killed deploys, changes and rollback under load: no request fails."""
    install(session)
    pytest(session, *form("rollout"))


@nox.session(default=False)
@nox.parametrize("form", FORMS)
def tls(session: nox.Session, form: Form) -> None:
    """TLS by a local CA, by files and by ACME: served, refused, replaced, renewed; no request fails."""
    install(session)
    pytest(session, *form("tls"))


@nox.session(default=False)
@nox.parametrize("form", FORMS)
def backup(session: nox.Session, form: Form) -> None:
    """Backups: restored exactly, verified, refused when bad, killed at any step."""
    install(session)
    pytest(session, *form("backup"))


@nox.session(default=False)
def services(session: nox.Session) -> None:
    """Redis, Celery, other processes and a second database: run, deployed, restored, upgraded."""
    install(session)
    pytest(session, *turns.long("services"))


@nox.session(default=False)
@nox.parametrize("form", FORMS)
def adopt(session: nox.Session, form: Form) -> None:
    """Generated projects of many kinds: adopted, built, started, probed, and not one byte of them changed."""
    install(session)
    pytest(session, *form("adopt"))


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Failures under load recover without intervention, within the limits of docs/reliability.md. As root."""
    install(session)
    pytest(session, *turns.long("chaos"))


@nox.session(default=False)
@nox.parametrize("form", FORMS)
def hardening(session: nox.Session, form: Form) -> None:
    """Permissions of containers, places without secrets, and nginx's answers to hostile requests."""
    install(session)
    pytest(session, *form("hardening"))


@nox.session(default=False)
def turn(session: nox.Session) -> None:
    """One file of the long forms: the one named after `--`, else the one whose turn it is at this commit."""
    install(session)
    every = turns.turns()
    name, *options = session.posargs or [turns.turn_of(turns.number_now())]
    if name not in every:
        session.error(f"no turn is called {name}; there are: {', '.join(every)}")
    session.run("pytest", *every[name], *options)


@nox.session(default=False, tags=STACKS_LANE)
def migrations(session: nox.Session) -> None:
    """Migrations against a real PostgreSQL: started together, killed, kept waiting."""
    install(session)
    pytest(session, "tests/migrations")


@nox.session(default=False, tags=STACKS_LANE)
def conformance(session: nox.Session) -> None:
    """The base images (PYTHON_IMAGE, POSTGRES_IMAGE, ...) against the official contract."""
    install(session)
    # Including the images that are only built on request.
    session.run("invoke", "bases", env={"REDIS": "on"})
    pytest(session, "tests/conformance")


@nox.session(default=False, tags=MACHINES_LANE)
@nox.parametrize("debian", ["13", "12"], ids=["debian-13", "debian-12"])
def fresh(session: nox.Session, debian: str) -> None:
    """The README's two commands on a machine that has never seen the project."""
    install(session)
    pytest(session, "tests/fresh", f"--debian={debian}")


@nox.session(default=False)
@nox.parametrize("form", MACHINE_FORMS)
def newest(session: nox.Session, form: Form) -> None:
    """The gate's sessions on Debian forky, with the newest packaged engine; in both image stores."""
    install(session)
    pytest(session, *form("newest"))


@nox.session(default=False)
def engine29(session: nox.Session) -> None:
    """The same on Engine 29, which is built from Go modules: a quarter of an hour, once."""
    install(session, "engine29.txt")
    pytest(session, *turns.short("newest"), "--engine=29")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Slipway against the usual setups, in pairs: ratios, --record, --check against the recorded ones."""
    install(session, "bench.txt")
    session.run("invoke", "bases")
    session.run("python", "-m", "tests.bench", *session.posargs)


def _shell_scripts() -> list[str]:
    """Return every file in docker/ whose first line names a shell."""
    found = []
    for path in sorted((ROOT / "docker").rglob("*")):
        first_line = path.read_bytes().split(b"\n", 1)[0] if path.is_file() else b""
        if first_line.startswith(b"#!") and first_line.endswith(b"sh"):
            found.append(str(path))
    return found
