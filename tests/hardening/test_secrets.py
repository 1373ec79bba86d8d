"""Where secrets must not be: looked for by their values in everything the engine shows and keeps.

Build secrets and throw-away values in images: tests/images/test_image_secrets.py.
"""

from __future__ import annotations

import json
import re

import pytest
from grants import GRANTS
from inside import by_service, execute, running
from planted import MARKS

from tests.support.imagefiles import everything_in
from tests.support.world import World, docker

# Which services may have which secret in the environment of their processes; `docker inspect` shows neither.
IN_PROCESSES = {
    # The placeholder in app.env, which the image's entrypoint fills in.
    "web": {"secrets/api_token"},
    "worker": {"secrets/api_token"},
    # PostgreSQL's own entrypoint reads the file into a variable and hands it on.
    "db": {"secrets/postgres_password"},
}


@pytest.fixture(scope="module")
def values(prod: World) -> dict[str, str]:
    """Every secret of the copy by the name of its file."""
    found = {
        str(path.relative_to(prod.root)): path.read_text().strip()
        for path in (prod.root / "secrets").rglob("*")
        if path.is_file()
    }
    assert {"secrets/postgres_password", "secrets/secret_key", "secrets/backup/passphrase"} <= found.keys()
    assert all(len(value) >= 32 for value in found.values())
    return {**found, "example/.env": MARKS["forgotten"]}


def _file(mounted: str) -> str:
    """The file of a mounted secret: a subfolder of ``secrets/`` is in the name, as ``backup_passphrase``."""
    return mounted.replace("/backup_", "/backup/")


def _images(prod: World) -> set[str]:
    """The images that containers of the stack were made of, and those whose layers they are built on."""
    return {c["Image"] for c in prod.containers()} | {c["Config"]["Image"] for c in prod.containers()}


def _held_by(values: dict[str, str], text: str) -> list[str]:
    return [name for name, value in values.items() if value in text]


def test_what_the_engine_shows_has_no_secret(prod: World, values: dict[str, str]) -> None:
    """Containers, images and their history, networks, volumes, and the list of what builds left in the cache.

    Red with a password in `environment:` in place of its file, or a secret as a build argument.
    """
    shown = json.dumps(prod.containers())
    assert "{{secret:api_token}}" in shown, "the placeholder is shown, so inspect is what it should be"
    for image in _images(prod):
        shown += docker("image", "inspect", image) + docker("history", "--no-trunc", image)
    for kind in ("network", "volume"):
        shown += docker(kind, "inspect", *prod.left_behind()[f"{kind}s"])
    shown += docker("buildx", "du", "--verbose")
    assert _held_by(values, shown) == []


def test_what_the_tasks_show_has_no_secret(prod: World, values: dict[str, str]) -> None:
    """Red when a task prints resolved variables; seen with a plain value in app.env."""
    for task in (("config",), ("config", "--json"), ("ps", "--json"), ("--dry", "up")):
        done = prod.invoke(*task)
        assert _held_by(values, done.stdout + done.stderr) == [], task


def test_logs_have_no_secret(prod: World, values: dict[str, str]) -> None:
    """Those of containers that have ended too. Red when an entrypoint prints its environment."""
    for name, container in by_service(prod).items():
        said = docker("logs", container["Id"])
        assert _held_by(values, said) == [], name


def test_a_process_has_the_secrets_of_its_own_service_alone(prod: World, values: dict[str, str]) -> None:
    """Every process of every container, its environment and its command line.

    Red when nginx or db get the project's env files, or its entrypoint its own copies of secrets.
    """
    every = "for each in /proc/[0-9]*; do cat $each/environ $each/cmdline; done"
    for name, container in running(prod).items():
        held = set(_held_by(values, execute(container, "sh", "-c", every)))
        assert held == IN_PROCESSES.get(name, set()), name


def test_a_container_reads_the_secrets_it_is_listed_with_and_no_other(
    prod: World, values: dict[str, str]
) -> None:
    """Looked for in every file that its user can read. Red when the folder secrets/ is mounted as a whole."""
    # Not /proc, which holds the command line of this very search.
    prune = "-path /proc -prune -o -path /sys -prune -o"
    wanted = " ".join(f"-e {value}" for value in values.values())
    looking = f"find / {prune} -type f -size -64k -readable -print0 2>/dev/null | xargs -0 grep -oHF {wanted}"
    for name, container in running(prod).items():
        listed = {f"secrets/{g.removeprefix('secret ')}" for g in GRANTS[name] if g.startswith("secret ")}
        mounted = execute(container, "find", "/run/secrets", "-type", "f").splitlines()
        assert {path.replace("/run/", "", 1) for path in mounted if path.startswith("/run/")} == listed, name
        held = {path: values[_file(path)] for path in listed}
        for path, value in held.items():
            assert execute(container, "cat", f"/run/{path}").strip() == value, path
        found = set(execute(container, "sh", "-c", looking).splitlines())
        assert found == {f"/run/{path}:{value}" for path, value in held.items()}, name


def test_images_hold_no_secret_and_no_file_that_might(prod: World, values: dict[str, str]) -> None:
    """Every file of every layer, those that a later layer removes too.

    Red when Dockerfile.dockerignore lets `.env` or `secrets/` through.
    """
    built = {i for i in _images(prod) if i.startswith(prod.project)}
    assert len(built) == 3, built
    wanted = {name: value.encode() for name, value in values.items()}
    searched = 0
    for image in built:
        for path, content in everything_in(image):
            searched += 1
            name = path.rpartition(":")[2]
            assert not re.search(r"(^|/)(app(\.\w+)?\.env|\.env|slipway\.env)$|^app/secrets/", name), path
            assert [secret for secret, value in wanted.items() if value in content] == [], path
    assert searched > 3000
