"""TLS=files: certificates of somebody else's are checked before anything runs, and replaced without a cut."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from authority import DAY, Authority, Issued, write
from cryptography.hazmat.primitives import serialization
from tlskit import (
    SlowRequest,
    certs,
    docker_fails,
    files_folder,
    last_health_check,
    nginx_id,
    publish,
    served,
    visitor,
)

from tests.support.polling import eventually
from tests.support.world import World, docker

NAMES = ("localhost", "127.0.0.1", "site.test")


@pytest.fixture(scope="module")
def files(prod: World, company: Authority) -> Iterator[World]:
    """The stack with a good certificate from files. nginx's container is the one TLS=local had."""
    company.issue(*NAMES).write(files_folder(prod))
    nginx = nginx_id(prod)
    prod.write_env(TLS="files")
    prod.invoke("up", "--no-build")
    assert nginx_id(prod) == nginx, "nginx was replaced"
    yield prod
    prod.write_env(TLS="local")
    prod.invoke("up", "--no-build")


def test_the_site_with_the_whole_chain(files: World, root_file: Path) -> None:
    """Red when the intermediate is not sent: who trusts the root alone could not verify."""
    assert visitor(files, root_file).get("/").status_code == 200
    said = certs(files)
    assert (said["state"], said["fingerprint"]) == ("served", served(files))
    assert said["issuer"] == "CN=Test Intermediate"


def _encrypted(folder: Path, good: Issued, company: Authority) -> None:
    write(folder, good.chain, good.key_pem(b"passphrase"))


def _old_form_encrypted(folder: Path, good: Issued, company: Authority) -> None:
    pem = good.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"passphrase"),
    )  # fmt: skip
    write(folder, good.chain, pem)


def _readable(folder: Path, good: Issued, company: Authority) -> None:
    good.write(folder)
    (folder / "privkey.pem").chmod(0o644)


def _no_pem(folder: Path, good: Issued, company: Authority) -> None:
    good.write(folder)
    (folder / "fullchain.pem").write_text("not a certificate\n")


def _missing(folder: Path, good: Issued, company: Authority) -> None:
    good.write(folder)
    (folder / "privkey.pem").unlink()


_Fault = Callable[[Path, Issued, Authority], None]
_FAULTS: dict[str, tuple[str, str, _Fault]] = {
    "wrong key": (
        "SLIP-118",
        "is not the key of the first certificate",
        lambda folder, good, company: write(folder, good.chain, company.issue(*NAMES).key_pem()),
    ),
    "expired": (
        "SLIP-120",
        "expired on",
        lambda folder, good, company: company.issue(*NAMES, begins=-2 * DAY, ends=-DAY).write(folder),
    ),
    "not yet valid": (
        "SLIP-120",
        "is not valid before",
        lambda folder, good, company: company.issue(*NAMES, begins=DAY).write(folder),
    ),
    "missing intermediate": (
        "SLIP-119",
        "an intermediate is missing",
        lambda folder, good, company: write(folder, good.chain[:1], good.key_pem()),
    ),
    "wrong order": (
        "SLIP-119",
        "and not by the next one (Test Root)",
        lambda folder, good, company: write(folder, [good.chain[i] for i in (0, 2, 1)], good.key_pem()),
    ),
    "wrong names": (
        "SLIP-121",
        "does not cover site.test of SERVER_NAMES; it is for localhost, 127.0.0.1",
        lambda folder, good, company: company.issue("localhost", "127.0.0.1").write(folder),
    ),
    "encrypted key": ("SLIP-117", "is encrypted", _encrypted),
    "encrypted key, old form": ("SLIP-117", "is encrypted", _old_form_encrypted),
    "readable key": ("SLIP-118", "everybody on this machine can read", _readable),
    "not PEM": ("SLIP-116", "no certificate in PEM", _no_pem),
    "no key": ("SLIP-116", "No such file", _missing),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_cannot_work_is_refused_before_anything_runs(
    files: World, company: Authority, fault: str
) -> None:
    """Red when a check is missing: nginx would be told, or visitors would find out."""
    code, words, break_it = _FAULTS[fault]
    folder, kept = files_folder(files), files.root / "kept"
    before, containers = served(files), {c["Id"]: c["State"]["StartedAt"] for c in files.containers()}
    shutil.copytree(folder, kept)
    try:
        break_it(folder, company.issue(*NAMES), company)
        # All of them go through the same check; one fault shows that each does.
        everywhere = [("up", "--no-build"), ("deploy",), ("certs", "--reload")]
        for task in everywhere if fault == "wrong key" else everywhere[:1]:
            refused = files.invoke(*task, check=False)
            assert refused.returncode == 1, task
            assert f"{code}: " in refused.stderr, task
            assert words in refused.stderr, task
            assert "docker compose" not in refused.stderr, "something ran"
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)
    assert served(files) == before
    assert {c["Id"]: c["State"]["StartedAt"] for c in files.containers()} == containers


def test_a_replaced_certificate_is_served_and_nothing_is_cut(files: World, company: Authority) -> None:
    """Red when the reload is missing, or nginx is restarted for it: the request in flight would be cut."""
    nginx, old, new = nginx_id(files), served(files), company.issue(*NAMES)
    with SlowRequest(files) as held:
        new.write(files_folder(files))
        files.invoke("certs", "--reload")
        assert served(files) == new.fingerprint
        assert not held.done, "the request ended too early to prove anything"
    assert (held.status, held.fingerprint) == (200, old)
    assert nginx_id(files) == nginx, "nginx was replaced"
    front = docker("exec", f"{files.project}-nginx-1", "/srv/nginx/live/bin/front", "live").strip()
    docker("exec", f"{files.project}-nginx-1", "/srv/nginx/live/bin/front", "at-rest", front)


def test_nginx_takes_up_by_itself_what_is_published(files: World, company: Authority) -> None:
    """Red when only the task that published it has it served: an ACME client could not."""
    nginx, new = nginx_id(files), company.issue(*NAMES)
    publish(files, new.key_pem(), new.chain)
    eventually(lambda: served(files) == new.fingerprint, "nginx to serve what was published", timeout=40)
    newer = company.issue(*NAMES)
    docker("stop", nginx)
    publish(files, newer.key_pem(), newer.chain)
    docker("start", nginx)
    eventually(lambda: served(files) == newer.fingerprint, "nginx to come up with what was published")
    assert certs(files)["state"].startswith("another certificate than the one in the file is served")


def test_what_nginx_refuses_harms_nobody(files: World, company: Authority) -> None:
    """Red when `front` reloads without `nginx -t`, or a refused certificate makes nginx unhealthy."""
    before, new = served(files), company.issue(*NAMES)
    publish(files, company.issue(*NAMES).key_pem(), new.chain)
    front = ["exec", f"{files.project}-nginx-1", "/srv/nginx/live/bin/front", "certificate"]
    assert "it serves as before" in docker_fails(*front)
    assert served(files) == before
    latest = last_health_check(files)
    eventually(lambda: last_health_check(files) != latest, "the next health check")
    assert files.health("nginx") == "healthy"
    new.write(files_folder(files))
    files.invoke("certs", "--reload")
    assert served(files) == new.fingerprint


def test_a_certificate_that_ends_soon_is_a_warning(files: World, company: Authority) -> None:
    """Red when nobody is told, or the start is refused."""
    ends = timedelta(days=5, hours=1)
    company.issue(*NAMES, begins=ends - timedelta(days=90), ends=ends).write(files_folder(files))
    warned = files.invoke("certs", "--reload")
    assert "expires in 5 days" in warned.stderr
    assert "warning: SLIP-120: " in files.invoke("doctor").stdout
    assert certs(files)["days_left"] == 5
