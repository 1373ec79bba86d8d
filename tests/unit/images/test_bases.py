"""Which stand-in takes an image's place, with which commands, and when."""

import subprocess
import time
from pathlib import Path

import pytest

from slipway.core.checkout import ROOT
from slipway.core.errors import SlipwayError
from slipway.engine.pull import Outcome, Pull, classify, pull
from slipway.host import mirrors
from slipway.images import bases

OFFICIAL = {
    "PYTHON_IMAGE": "python:3.13-slim-trixie",
    "POSTGRES_IMAGE": "postgres:17-trixie",
    "NGINX_IMAGE": "nginx:1.30-trixie",
}
STAND_INS = {variable: f"slipway/{reference}" for variable, reference in OFFICIAL.items()}
NO_NETWORK = Pull(Outcome.UNREACHABLE, "no such host")


@pytest.mark.parametrize(
    ("variable", "reference", "name", "suite"),
    [
        ("PYTHON_IMAGE", "python:3.13-slim-trixie", "slipway/python:3.13-slim-trixie", "trixie"),
        ("PYTHON_IMAGE", "python:3.14-slim", "slipway/python:3.14-slim", "forky"),
        ("PYTHON_IMAGE", "python:3.11-slim-trixie", "slipway/python:3.11-slim-trixie", "bookworm"),
        ("PYTHON_IMAGE", "mirror.example/library/python:3.13-slim", "slipway/python:3.13-slim", "trixie"),
        ("POSTGRES_IMAGE", "postgres:17", "slipway/postgres:17", "trixie"),
        ("POSTGRES_IMAGE", "library/postgres:18-trixie", "slipway/postgres:18-trixie", "forky"),
        ("NGINX_IMAGE", "slipway/nginx:1.30-trixie", "slipway/nginx:1.30-trixie", "forky"),
        ("NGINX_IMAGE", "mirror.example:5000/library/nginx:1.30", "slipway/nginx:1.30", "forky"),
        ("REDIS_IMAGE", "valkey/valkey:8.1-trixie", "slipway/valkey:8.1-trixie", "trixie"),
        ("REDIS_IMAGE", "mirror.example/valkey/valkey:9.1", "slipway/valkey:9.1", "forky"),
        ("REDIS_IMAGE", "slipway/valkey:8.1-trixie", "slipway/valkey:8.1-trixie", "trixie"),
    ],
)
def test_stand_in_of_a_reference(variable, reference, name, suite):
    """Red when: a series moves to another suite, or the tag is not kept."""
    stand_in = bases.stand_in_for(variable, reference)
    assert (stand_in.reference, stand_in.suite) == (name, suite)


@pytest.mark.parametrize(
    "reference",
    [
        "python:3.12-slim-trixie", "python:3.13.5-slim", "python:3.13", "python:3.13-alpine", "python",
        "python:latest", "python@sha256:0123", "slipway/python:2.7-slim",
    ],
)  # fmt: skip
def test_what_debian_cannot_supply_is_refused_with_what_it_can(reference):
    """Red when: an unknown series or flavour falls back to a known one."""
    with pytest.raises(SlipwayError) as caught:
        bases.stand_in_for("PYTHON_IMAGE", reference)
    assert caught.value.slip_code == "SLIP-041"
    assert reference in caught.value.problem
    assert "slipway/python:3.13-slim-trixie, slipway/python:3.14-slim-trixie" in caught.value.fix


@pytest.mark.parametrize(
    "reference",
    ["acme/python:3.13-slim", "ghcr.example/acme/python:3.13-slim", "acme/base:1", "library/valkey:8.1"],
)
def test_another_image_has_no_stand_in(reference):
    """Somebody's own image is not the official one. Red when: only the last name is compared."""
    with pytest.raises(SlipwayError) as caught:
        bases.stand_in_for("PYTHON_IMAGE", reference)
    assert caught.value.slip_code == "SLIP-042"


@pytest.mark.parametrize(
    ("series", "data", "volume"),
    [
        ("17", "/var/lib/postgresql/data", "/var/lib/postgresql/data"),
        ("18", "/var/lib/postgresql/18/docker", "/var/lib/postgresql"),
    ],
)
def test_postgres_paths_by_series(series, data, volume):
    """Red when: 18 keeps the layout of 17."""
    arguments = bases.KINDS["postgres"].arguments(series)
    assert arguments == {"SERIES": series, "PGDATA": data, "VOLUME_PATH": volume}


NOBODY = 'Error response from daemon: Get "https://r.example/v2/": '


@pytest.mark.parametrize(
    ("output", "outcome"),
    [
        (NOBODY + "dial tcp: lookup r.example: no such host", "unreachable"),
        (NOBODY + "dial tcp 192.0.2.1:443: connect: connection refused", "unreachable"),
        (NOBODY + "net/http: request canceled while waiting for connection", "unreachable"),
        (NOBODY + "context deadline exceeded", "unreachable"),
        (NOBODY + "tls: failed to verify certificate: x509: unknown authority", "unreachable"),
        (NOBODY + "net/http: TLS handshake timeout", "unreachable"),
        (NOBODY + "proxyconnect tcp: EOF", "unreachable"),
        (NOBODY + "Forbidden", "unreachable"),
        (NOBODY + "EOF", "unreachable"),
        ("received unexpected HTTP status: 503 Service Unavailable", "unreachable"),
        ("manifest for python:9-slim not found: manifest unknown: manifest unknown", "refused"),
        ("pull access denied for acme/x, repository may require 'docker login': denied", "refused"),
        ("unauthorized: authentication required", "refused"),
        ("toomanyrequests: You have reached your pull rate limit.", "refused"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "refused"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "refused"),
        ("write /var/lib/docker/tmp/x: no space left on device", "refused"),
        ("", "refused"),
    ],
)  # fmt: skip
def test_silence_is_told_apart_from_an_answer(output, outcome):
    """Red when: the pattern loses an alternative, or takes "denied" for silence."""
    assert classify(1, output).outcome.value == outcome
    assert classify(0, output).outcome is Outcome.PULLED


def fake_docker(folder, monkeypatch, script):
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_silent_pull_is_ended(tmp_path, monkeypatch):
    """Red when: the wait for the first line has no bound (the program would sleep on)."""
    fake_docker(tmp_path, monkeypatch, "exec sleep 600")
    result = pull("python:3.13-slim", answer_seconds=0.2)
    assert (result.outcome, result.reason) == (Outcome.UNREACHABLE, "no answer in 0.2 s")


def test_slow_download_is_not_ended(tmp_path, monkeypatch, capfd):
    """Only the first line has a deadline. Red when: the bound is put on the whole pull."""
    fake_docker(tmp_path, monkeypatch, "echo 'Pulling from'; sleep 1; echo done")
    assert pull("python:3.13-slim", answer_seconds=0.5).outcome is Outcome.PULLED
    assert "done" in capfd.readouterr().err


class Machine:
    """A runner for an engine that holds ``images`` (reference to recipe), and what it was asked."""

    dry = False

    def __init__(self, images=()):
        self.images = dict(images)
        self.commands = []

    def capture(self, argv, *, check=False, timeout=None):
        self.commands.append(list(argv))
        code, out = 0, ""
        if argv[:3] == ["docker", "image", "inspect"]:
            code = 0 if argv[-1] in self.images else 1
            out = f"{self.images.get(argv[-1], '')}\n"
        elif argv[:2] == ["docker", "run"]:
            out = {
                "gosu": "1.17-3+b4", "nginx": "1.30.6-1", "valkey-server": "8.1.1+dfsg1-3+deb13u3",
            }.get(argv[-1], "17.12-0+deb13u1")  # fmt: skip
        return subprocess.CompletedProcess(argv, code, out, "")

    def ran(self, *start):
        return [argv for argv in self.commands if argv[: len(start)] == list(start)]


@pytest.fixture
def built(monkeypatch):
    """The stand-ins asked for, instead of building them."""
    names = []
    monkeypatch.setattr(bases, "build", lambda stand_in, runner, **_: names.append(stand_in.reference))
    return names


@pytest.fixture
def pulls(monkeypatch):
    """The references pulled, and what the registry says to each."""

    class Pulls(list):
        answer = Pull(Outcome.PULLED)

    record = Pulls()
    monkeypatch.setattr(bases, "pull", lambda reference: record.append(reference) or record.answer)
    return record


def test_present_images_are_used_as_they_are(built, pulls):
    """Red when: presence is not asked first."""
    assert bases.ensure(OFFICIAL, Machine(dict.fromkeys(OFFICIAL.values(), ""))) == {}
    assert (built, pulls) == ([], [])


def test_absent_images_are_pulled(built, pulls):
    """Red when: a stand-in is preferred to the registry."""
    assert bases.ensure(OFFICIAL, Machine()) == {}
    assert (built, pulls) == ([], list(OFFICIAL.values()))


def test_a_limit_of_pulls_is_told_with_both_ways_out(built, pulls):
    """Red when: it looks like a wrong tag, or an image without a stand-in is promised one."""
    pulls.answer = Pull(Outcome.REFUSED, "toomanyrequests: You have reached your pull rate limit.")
    with pytest.raises(SlipwayError, match=r"SLIP-163.*toomanyrequests") as caught:
        bases.ensure(OFFICIAL, Machine())
    assert "docker login" in caught.value.fix
    assert "slipway/python:" in caught.value.fix
    with pytest.raises(SlipwayError, match="SLIP-163") as caught:
        bases.ensure({"PYTHON_IMAGE": "registry.example.org/our/python:3"}, Machine())
    assert "slipway/" not in caught.value.fix
    pulls.answer = Pull(Outcome.REFUSED, "manifest for python:3.1 not found")
    with pytest.raises(SlipwayError, match="SLIP-040"):
        bases.ensure(OFFICIAL, Machine())


def test_stand_ins_are_returned_when_the_registry_is_silent(built, pulls):
    """One silence is enough for one registry. Red when: every image waits for its own."""
    pulls.answer = NO_NETWORK
    assert bases.ensure(OFFICIAL, Machine()) == STAND_INS
    assert sorted(built) == sorted(STAND_INS.values())
    assert pulls == [OFFICIAL["PYTHON_IMAGE"]]


def test_another_registry_is_asked_for_itself(built, pulls):
    """Red when: one silent registry silences all."""
    pulls.answer = NO_NETWORK
    images = {**OFFICIAL, "NGINX_IMAGE": "mirror.example:5000/library/nginx:1.30"}
    bases.ensure(images, Machine())
    assert pulls == [OFFICIAL["PYTHON_IMAGE"], "mirror.example:5000/library/nginx:1.30"]


def test_a_refusal_is_an_error_naming_the_variable(built, pulls):
    """Red when: a refusal is taken for silence."""
    pulls.answer = Pull(Outcome.REFUSED, "manifest unknown")
    with pytest.raises(SlipwayError) as caught:
        bases.ensure(OFFICIAL, Machine())
    assert caught.value.slip_code == "SLIP-040"
    assert "PYTHON_IMAGE=python:3.13-slim-trixie" in caught.value.problem
    assert "manifest unknown" in caught.value.problem
    assert built == []


def test_what_a_person_set_is_not_replaced(built, pulls):
    """Red when: ``pinned`` is ignored."""
    pulls.answer = NO_NETWORK
    with pytest.raises(SlipwayError) as caught:
        bases.ensure(OFFICIAL, Machine(), pinned={"PYTHON_IMAGE"})
    assert caught.value.slip_code == "SLIP-043"
    assert "PYTHON_IMAGE=slipway/python:3.13-slim-trixie" in caught.value.fix


def test_stand_in_asked_for_is_built_without_asking_a_registry(built, pulls):
    """Built when absent or of an older recipe. Red when: the label is not compared."""
    assert bases.ensure(STAND_INS, Machine()) == {}
    assert (sorted(built), pulls) == (sorted(STAND_INS.values()), [])
    built.clear()
    recipes = {
        f"slipway/{OFFICIAL[kind.variable]}": bases._recipe(kind)
        for kind in bases.KINDS.values()
        if kind.variable in OFFICIAL
    }
    bases.ensure(STAND_INS, Machine(recipes))
    assert built == []
    bases.ensure(STAND_INS, Machine({**recipes, STAND_INS["NGINX_IMAGE"]: "older"}))
    assert built == [STAND_INS["NGINX_IMAGE"]]


def test_describe_tells_presence_size_and_origin(monkeypatch):
    """Red when: an absent image has a size, or the origin is guessed from presence."""
    images = {"PYTHON_IMAGE": "python:3.13-slim", "NGINX_IMAGE": STAND_INS["NGINX_IMAGE"]}
    monkeypatch.setattr(bases.engine, "image_sizes", lambda _: {STAND_INS["NGINX_IMAGE"]: 1000})
    rows = bases.describe(images)
    assert rows == [
        bases.Row("PYTHON_IMAGE", "python:3.13-slim", False, 0, "registry"),
        bases.Row("NGINX_IMAGE", STAND_INS["NGINX_IMAGE"], True, 1000, "stand-in"),
    ]


@pytest.fixture
def quiet_build(monkeypatch, tmp_path):
    """A build that finds the tool and a mirror and writes nothing outside the test."""
    monkeypatch.setattr(bases, "SECRETS", tmp_path)
    monkeypatch.setattr(bases, "_forbid_service_starts", lambda archive, runner: None)
    monkeypatch.setattr(bases.shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(mirrors, "debian_mirror", lambda: "http://mirror.example/debian")
    monkeypatch.setattr(mirrors, "debian_security_mirror", lambda: "")
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_build_makes_the_root_file_system_once(quiet_build):
    """Red when: a present Debian image of this recipe is made again, or force reuses it."""
    stand_in = bases.stand_in_for("NGINX_IMAGE", "nginx:1.30")
    recipe = bases._digest(bases.RECIPES / "debian")
    for images, force, expected in (({}, False, 1), ({"slipway/debian:forky-slim": recipe}, False, 0),
                                    ({"slipway/debian:forky-slim": recipe}, True, 1)):  # fmt: skip
        machine = Machine(images)
        bases.build(stand_in, machine, force=force)
        assert len(machine.ran("mmdebstrap")) == len(machine.ran("docker", "import")) == expected
        assert all(
            ("--no-cache" in argv) == (force and "--target=packages" in argv)
            for argv in machine.ran("docker", "build")
        )


def test_stand_ins_of_one_release_share_its_root_file_system(quiet_build, monkeypatch):
    """They are built side by side. Red when: nothing holds back the second that needs the same Debian."""
    monkeypatch.setattr(bases, "_recipe_of", lambda reference, machine: machine.images.get(reference))

    class Slow(Machine):
        def capture(self, argv, *, check=False, timeout=None):
            if argv[0] == "mmdebstrap":
                time.sleep(0.2)  # so that the second comes while the first is at it
            done = super().capture(argv, check=check, timeout=timeout)
            if argv[:2] == ["docker", "import"]:
                self.images[argv[-1]] = recipe
            return done

    recipe = bases._digest(bases.RECIPES / "debian")
    machine = Slow()
    bases.ensure(STAND_INS, machine)
    suites = {bases.stand_in_for(*pair).suite for pair in STAND_INS.items()}
    assert len(STAND_INS) > len(machine.ran("mmdebstrap")) == len(suites)


def test_build_commands_of_postgres(quiet_build, tmp_path):
    """Red when: an argument, the version of a package or the tag is lost."""
    machine = Machine()
    bases.build(bases.stand_in_for("POSTGRES_IMAGE", "postgres:17-trixie"), machine)
    packages, final = machine.ran("docker", "build")
    common = [
        "docker", "build", "--progress=plain",
        "--build-arg=BASE=slipway/debian:trixie-slim", "--build-arg=SERIES=17",
        "--build-arg=PGDATA=/var/lib/postgresql/data", "--build-arg=VOLUME_PATH=/var/lib/postgresql/data",
        f"--secret=id=ca,src={tmp_path / 'ca.pem'}",
    ]  # fmt: skip
    folder = str(bases.RECIPES / "postgres")
    name = "slipway/postgres:17-trixie"
    assert packages == [*common, "--target=packages", f"--tag={name}-packages", folder]
    recipe = bases._recipe(bases.KINDS["postgres"])
    assert final == [
        *common, "--build-arg=PG_VERSION=17.12-0+deb13u1", "--build-arg=GOSU_VERSION=1.17",
        f"--label=slipway.recipe={recipe}", f"--tag={name}", folder,
    ]  # fmt: skip
    assert machine.commands[-1] == ["docker", "image", "rm", f"{name}-packages"]


def test_a_version_is_upstreams_own(quiet_build):
    """Red when: Debian's word about a repacked source stays in it."""
    machine = Machine()
    bases.build(bases.stand_in_for("REDIS_IMAGE", "valkey/valkey:8.1-trixie"), machine)
    assert "--build-arg=VALKEY_VERSION=8.1.1" in machine.ran("docker", "build")[-1]


def test_build_hands_on_the_proxy_without_its_value(quiet_build, monkeypatch):
    """A proxy address may hold a password. Red when: the value stands in the command."""
    monkeypatch.setenv("http_proxy", "http://user:secret@proxy.example:3128")
    machine = Machine()
    bases.build(bases.stand_in_for("NGINX_IMAGE", "nginx:1.30"), machine)
    for argv in machine.ran("docker", "build"):
        assert "--build-arg=http_proxy" in argv
        assert not any("secret" in word for word in argv if "ca.pem" not in word)


def test_root_file_system_of_a_release_and_of_testing():
    """Testing has no updates, and its Release file may be old; signatures are never switched off.

    Red when: the validity check is switched off for trixie too, or a source is lost.
    """
    mirror, security = "http://m.example/debian", "http://m.example/debian-security"
    stable = bases.rootfs_argv("trixie", Path("/t.tar"), mirror, security)
    assert stable[-5:] == [
        "trixie", "/t.tar", f"deb {mirror} trixie main", f"deb {mirror} trixie-updates main",
        f"deb {security} trixie-security main",
    ]  # fmt: skip
    assert not any("Valid-Until" in word for word in stable)
    testing = bases.rootfs_argv("forky", Path("/t.tar"), mirror, security)
    assert testing[-3:] == ["forky", "/t.tar", f"deb {mirror} forky main"]
    assert any("Valid-Until" in word for word in testing)
    for argv in (stable, testing):
        assert not any(word in " ".join(argv) for word in ("trusted=yes", "AllowInsecure", "no-check-gpg"))
    assert bases.rootfs_argv("trixie", Path("/t.tar"), "", security)[-2:] == ["trixie", "/t.tar"]


def test_missing_tool_is_named_when_it_cannot_be_installed(monkeypatch):
    """Red when: the check is left to the failing command."""
    monkeypatch.setattr(bases.shutil, "which", lambda program: None)
    with pytest.raises(SlipwayError) as caught:
        bases.build(bases.stand_in_for("NGINX_IMAGE", "nginx:1.30"), Machine())
    assert caught.value.slip_code == "SLIP-044"
    assert "mmdebstrap" in caught.value.fix


def test_failed_step_shows_its_last_lines(quiet_build):
    """Red when: the output of the command is dropped."""

    class Failing(Machine):
        def capture(self, argv, **options):
            if argv[0] == "mmdebstrap":
                return subprocess.CompletedProcess(argv, 25, "", "E: cannot reach the mirror\n")
            return super().capture(argv, **options)

    with pytest.raises(SlipwayError) as caught:
        bases.build(bases.stand_in_for("NGINX_IMAGE", "nginx:1.30"), Failing())
    assert caught.value.slip_code == "SLIP-045"
    assert "E: cannot reach the mirror" in caught.value.problem


def test_docker_folder_is_not_a_package():
    """It would shadow the installed docker package. Red when: touch docker/__init__.py."""
    assert list((ROOT / "docker").rglob("__init__.py")) == []
