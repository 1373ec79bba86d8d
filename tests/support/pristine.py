"""A machine that has never seen the project: Debian's root file system with Python, and nothing else."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.host import mirrors
from tests.support.world import ARTIFACTS, ROOT, docker

SUITES = {"12": "bookworm", "13": "trixie", "14": "forky"}
CHECKOUT = "/srv/kit"
_LABEL = "slipway.test=fresh"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CA_IN_MACHINE = "/usr/local/share/host-ca.pem"


def root_image(release: str) -> str:
    """The image of Debian ``release`` with Python, made when this engine does not have it yet."""
    reference = f"slipway-test/pristine:{release}"
    if docker("image", "ls", "--quiet", reference).strip():
        return reference
    if not shutil.which("mmdebstrap"):
        raise FileNotFoundError("mmdebstrap makes the pristine machine: apt-get install mmdebstrap")
    suite, mirror = SUITES[release], mirrors.debian_mirror()
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        # mmdebstrap may work as another user than the one who runs it.
        Path(folder).chmod(0o755)
        archive = f"{folder}/root.tar"
        # A frozen mirror does not renew the date; the signature is checked all the same.
        past = ['--aptopt=Acquire::Check-Valid-Until "false"'] if suite == "forky" else []
        argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3", *past, suite, archive]
        subprocess.run([*argv, *([mirror] if mirror else [])], check=True)
        docker("import", "--change", f"LABEL {_LABEL.replace('=', ' ')}", archive, reference)
    return reference


class Machine:
    """One running pristine machine; commands are run in it as ``docker exec`` does."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log

    def run(
        self, *argv: str, user: str = "root", check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` in the checkout; the output (both streams in one) also goes to the log."""
        call = ["docker", "exec", "--user", user, "--workdir", CHECKOUT, self.name, *argv]
        with self.log.open("a+", encoding="utf-8", errors="replace") as log:
            log.write(f"$ {' '.join(argv)}   [{user}]\n")
            log.flush()
            start = log.tell()
            code = subprocess.run(call, stdout=log, stderr=log, timeout=timeout, check=False).returncode
            log.seek(start)
            done = subprocess.CompletedProcess(call, code, log.read())
            log.write(f"[exit code {code}]\n\n")
        if check and done.returncode:
            tail = "\n".join(done.stdout.splitlines()[-40:])
            raise AssertionError(
                f"{' '.join(argv)} ended with {done.returncode} ({self.log} has it all):\n{tail}"
            )
        return done

    def background(self, *argv: str, user: str) -> None:
        """Start ``argv`` in the checkout and leave it running."""
        docker("exec", "--detach", "--user", user, "--workdir", CHECKOUT, self.name, *argv)

    def get(self, url: str) -> tuple[int, str]:
        """Status and body of ``url``, asked from inside."""
        script = (
            "import sys, urllib.request as u\n"
            "with u.urlopen(sys.argv[1], timeout=10) as a: print(a.status); print(a.read().decode())"
        )
        status, _, body = self.run("python3", "-c", script, url).stdout.partition("\n")
        return int(status), body

    def tree(self) -> set[str]:
        """Every file of the checkout with its size and time; what Python caches is left out."""
        skip = ["-name", "__pycache__", "-prune", "-o"]
        return set(self.run("find", ".", *skip, "-type", "f", "-printf", r"%p %s %t\n").stdout.splitlines())

    def stop_engine(self) -> None:
        """End the inner engine and wait until it is gone."""
        pid = self.run("cat", "/var/run/docker.pid").stdout.strip()
        self.run("sh", "-c", f"kill {pid} && tail --pid={pid} -f /dev/null")
        assert self.run("docker", "version", check=False).returncode != 0


@contextmanager
def pristine(release: str, label: str, *options: str) -> Iterator[Machine]:
    """A machine with Debian ``release`` and a copy of this checkout, removed with all it made.

    It is told what this host is told about where packages come from: apt's mirror (through the root
    file system), pip's index, the CA bundle and proxies. Nothing of that is written into the checkout.
    ``options`` are more of ``docker run``.
    """
    name = f"slipway-fresh-{label}-{secrets.token_hex(4)}"
    image = root_image(release)
    ARTIFACTS.mkdir(exist_ok=True)
    log = ARTIFACTS / f"fresh-{label}.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        # A volume for the inner engine: an overlay file system cannot lie on another one.
        docker(
            "run", "--detach", "--privileged", "--init", "--name", name, "--label", _LABEL,
            "--label", f"slipway.test.folder={folder}",  # how .ci/run knows its own
            "--volume", "/var/lib/docker", "--volume", "/var/lib/containerd",
            *_surroundings(Path(folder)), *options, image, "sleep", "infinity",
        )  # fmt: skip
        try:
            machine = Machine(name, log)
            _copy_checkout(machine)
            yield machine
        finally:
            docker("rm", "--force", "--volumes", name, check=False)


def _surroundings(folder: Path) -> list[str]:
    """Options of ``docker run`` that give the machine this host's package index, CA and proxies."""
    options = [f"--env={name}" for name in _PROXIES if os.environ.get(name)]
    bundle = mirrors.ca_bundle()
    if bundle:
        options += [f"--volume={bundle.resolve()}:{CA_IN_MACHINE}:ro"]
        options += [f"--env=SSL_CERT_FILE={CA_IN_MACHINE}"]
    config = mirrors.pip_settings().as_config()
    if config:
        (folder / "pip.conf").write_text(config, encoding="utf-8")
        options += [f"--volume={folder / 'pip.conf'}:/etc/pip.conf:ro"]
    return options


def _copy_checkout(machine: Machine) -> None:
    """Copy what a clone of this working tree would have; no .git, so nothing may depend on it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    present = b"\0".join(path for path in listed.split(b"\0") if path and (ROOT / os.fsdecode(path)).exists())
    docker("exec", machine.name, "mkdir", "-p", CHECKOUT)
    packed = subprocess.run(
        ["tar", "--create", "--null", "--files-from=-", "--owner=0", "--group=0"],
        cwd=ROOT, input=present, capture_output=True, check=True,
    ).stdout  # fmt: skip
    unpack = ["docker", "exec", "--interactive", machine.name, "tar", "--extract", "--directory", CHECKOUT]
    subprocess.run(unpack, input=packed, check=True)
