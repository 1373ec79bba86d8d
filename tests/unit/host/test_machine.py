"""The engine: what is found decides what is done, and every refusal names its way out."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from slipway.core.checkout import ROOT
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.host import enginecheck, enginepackages, machine, machinereport
from slipway.host.enginecheck import parse_version
from slipway.host.osinfo import Host, parse_os_release

DEBIAN_13 = Host(
    system="Linux",
    distribution="debian",
    version="13",
    codename="trixie",
    name="Debian GNU/Linux 13 (trixie)",
    rights="root",
    systemd=False,
)
DEBIAN_12 = replace(DEBIAN_13, version="12", codename="bookworm", name="Debian GNU/Linux 12 (bookworm)")
MAC = replace(DEBIAN_13, system="Darwin", distribution="macos", version="26.1", name="macOS", rights="")

CANNOT_CONNECT = "Cannot connect to the Docker daemon at {}. Is the docker daemon running?"
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
)
NO_CONTEXT = 'Failed to initialize: unable to resolve docker endpoint: context "nope": context not found: x'


@dataclass(frozen=True)
class Docker(Runner):
    """A runner on a machine of paper: answers questions, and remembers what was to be executed."""

    engine: str = "26.1.5+dfsg1"
    compose: str | None = "2.26.1-4"
    buildx: str | None = "github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3"
    complaint: str = ""
    endpoint: str = "unix:///var/run/docker.sock"
    cli: bool = True
    heals: bool = True
    """Whether what was executed makes the engine answer."""
    failing: str = ""
    """A word of the command that fails."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """Further questions and their answers; any other fails."""
    executed: list[list[str]] = field(default_factory=list)

    def run(
        self, argv: Sequence[str], *, check: bool = True, cwd: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        self.executed.append(list(argv))
        failed = bool(self.failing) and self.failing in argv
        if failed and check:
            raise SlipwayError("SLIP-060", "failed", "", 1)
        return subprocess.CompletedProcess(list(argv), int(failed), "", "")

    def capture(
        self, argv: Sequence[str], *, check: bool = False, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        code, out, err = self._answer(" ".join(argv))
        return subprocess.CompletedProcess(list(argv), code, out, err)

    def _answer(self, question: str) -> tuple[int, str, str]:
        given = next((text for asked, text in self.answers.items() if asked in question), None)
        if given is not None:
            return 0, given, ""
        healed = self.heals and bool(self.executed)
        if question.startswith("docker") and not (self.cli or healed):
            return 127, "", "docker: not found"
        if question.startswith("docker version"):
            server = None if self.complaint and not healed else {"Version": self.engine}
            return int(server is None), json.dumps({"Client": {}, "Server": server}), self.complaint
        known = {
            "docker context inspect": self.endpoint,
            "docker compose version": self.compose,
            "docker buildx version": self.buildx,
        }
        answer = next((text for asked, text in known.items() if question.startswith(asked)), None)
        return (0, answer, "") if answer else (1, "", "unknown command")

    @property
    def script(self) -> str:
        """Everything executed, one command per line."""
        return "\n".join(" ".join(argv) for argv in self.executed)


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No DOCKER_HOST, no daemon on PATH, and no minute of waiting."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setattr(machine, "_has_daemon", lambda: False)
    monkeypatch.setattr(machine, "_START_SECONDS", 0.0)
    monkeypatch.setattr(enginepackages.aptlists, "_LISTS", Path("/nonexistent"))
    monkeypatch.setattr(enginepackages, "SOURCES", "/nonexistent/slipway.sources")
    monkeypatch.setattr(enginepackages, "PREFERENCES", "/nonexistent/slipway.pref")
    monkeypatch.setattr(enginepackages.mirrors, "debian_mirror", lambda: "http://mirror.test/debian")
    monkeypatch.setattr(enginepackages.mirrors, "debian_security_mirror", lambda: "")


def silent() -> str:
    return CANNOT_CONNECT.format("unix:///var/run/docker.sock")


def refused(runner: Docker, host: Host = DEBIAN_13) -> SlipwayError:
    with pytest.raises(SlipwayError) as caught:
        machine.ensure(runner, host)
    assert caught.value.code == 3
    return caught.value


# -- the decision table --------------------------------------------------------------------------------


def test_an_engine_that_answers_is_used_as_it_is() -> None:
    """Red when ensure starts or installs without asking first."""
    runner = Docker()
    machine.ensure(runner, DEBIAN_13)
    assert runner.executed == []


def test_a_missing_engine_is_installed_and_started() -> None:
    """Red when a package leaves enginepackages.DEBIAN."""
    runner = Docker(cli=False)
    machine.ensure(runner, DEBIAN_13)
    assert runner.executed[-1][-7:] == [
        "docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd", "iptables",
        "ca-certificates",
    ]  # fmt: skip
    assert "--no-install-recommends" in runner.executed[-1]


@dataclass(frozen=True)
class ForMembersOnly(Docker):
    """An engine that, once installed, answers root and the group docker alone."""

    def _answer(self, question: str) -> tuple[int, str, str]:
        if question.startswith("docker version") and self.executed:
            return 1, json.dumps({"Client": {}, "Server": None}), DENIED
        return super()._answer(question)


def test_an_engine_installed_by_sudo_is_joined_and_bootstrap_begins_anew() -> None:
    """Red when the installation ends in "permission denied" on the socket."""
    runner = ForMembersOnly(cli=False)
    with pytest.raises(Exit) as caught:
        machine.ensure(runner, replace(DEBIAN_13, rights="sudo"))
    assert caught.value.code == machine.RUN_AGAIN
    assert runner.executed[-1][:5] == ["sudo", "usermod", "--append", "--groups", "docker"]
    # The shell script has the number too: it cannot import it.
    assert f'"$code" -eq {machine.RUN_AGAIN}' in (ROOT / "bootstrap").read_text()


def test_somebody_elses_engine_is_not_joined() -> None:
    """Red when a person becomes as good as root without having asked for an engine."""
    runner = Docker(complaint=DENIED, heals=False)
    assert refused(runner, replace(DEBIAN_13, rights="sudo")).slip_code == "SLIP-026"
    assert runner.executed == []


def test_a_command_line_without_an_engine_counts_as_missing() -> None:
    """Red when _obtain decides on the docker command instead of dockerd."""
    runner = Docker(complaint=silent())
    machine.ensure(runner, DEBIAN_13)
    assert "install -y" in runner.script


@pytest.mark.parametrize(
    ("systemd", "expected"),
    [(True, "systemctl start docker"), (False, "setsid dockerd >>/var/log/dockerd.log")],
)
def test_an_installed_engine_is_started(
    monkeypatch: pytest.MonkeyPatch, systemd: bool, expected: str
) -> None:
    """Red when _launch ignores Host.systemd."""
    monkeypatch.setattr(machine, "_has_daemon", lambda: True)
    monkeypatch.setattr(machine, "_INIT_SCRIPT", Path("/nonexistent"))
    runner = Docker(complaint=silent())
    machine.ensure(runner, replace(DEBIAN_13, systemd=systemd))
    assert expected in runner.script
    assert "apt-get" not in runner.script


def test_a_service_that_fails_gives_way_to_a_detached_daemon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Red when the exit code of `service docker start` is not looked at."""
    monkeypatch.setattr(machine, "_has_daemon", lambda: True)
    monkeypatch.setattr(machine, "_INIT_SCRIPT", tmp_path)
    runner = Docker(complaint=silent(), failing="service")
    machine.ensure(runner, DEBIAN_13)
    assert [argv[0] for argv in runner.executed] == ["service", "sh"]


def test_an_engine_that_does_not_come_up_shows_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the log is left out of SLIP-025."""
    monkeypatch.setattr(machine, "_has_daemon", lambda: True)
    runner = Docker(complaint=silent(), heals=False, answers={"tail ": "failed to start: no iptables"})
    error = refused(runner)
    assert error.slip_code == "SLIP-025"
    assert "no iptables" in error.problem


def test_sudo_is_used_by_who_is_not_root() -> None:
    """Red when a command bypasses Host.as_root."""
    runner = Docker(cli=False)
    machine.ensure(runner, replace(DEBIAN_13, rights="sudo"))
    assert runner.executed
    assert all(argv[0] == "sudo" for argv in runner.executed)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (replace(DEBIAN_13, rights=""), ["neither root nor able to sudo", "docker.io docker-cli", "--local"]),
        (replace(DEBIAN_13, distribution="debian", version="11"), ["not known", "Debian 13", "--local"]),
        (replace(DEBIAN_13, distribution="fedora"), ["not known", "dnf install moby-engine", "--local"]),
        (replace(DEBIAN_13, distribution="", version=""), ["not known", "Docker Engine 26.1", "--local"]),
        (MAC, ["not known", "Docker Desktop", "colima", "--local"]),
    ],
)  # fmt: skip
def test_where_nothing_can_be_installed_one_message_says_what_to_do(host: Host, words: list[str]) -> None:
    """Red when plan knows every system, or rights are not asked."""
    runner = Docker(cli=False)
    error = refused(runner, host)
    assert error.slip_code == "SLIP-023"
    for word in words:
        assert word in str(error.message)
    assert runner.executed == []


def test_an_installed_engine_that_may_not_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when _start does not ask for rights."""
    monkeypatch.setattr(machine, "_has_daemon", lambda: True)
    runner = Docker(complaint=silent())
    assert refused(runner, replace(DEBIAN_13, rights="")).slip_code == "SLIP-025"
    assert runner.executed == []


def test_a_socket_without_permission() -> None:
    """Red when "permission denied" is taken for an engine that does not run."""
    runner = Docker(complaint=DENIED)
    error = refused(runner)
    assert error.slip_code == "SLIP-026"
    assert "usermod -aG docker" in error.fix
    assert runner.executed == []


def test_an_unknown_context_is_named_with_those_there_are() -> None:
    """Red when the list is asked for under the unknown context, where docker refuses it."""
    runner = Docker(
        complaint=NO_CONTEXT, answers={"DOCKER_CONTEXT=default docker context ls": "default\nnas\n"}
    )
    error = refused(runner)
    assert error.slip_code == "SLIP-027"
    assert '"nope"' in error.problem
    assert "default, nas" in error.fix
    assert runner.executed == []


def test_an_unreachable_docker_host_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a remote engine that is down makes us install one here."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://me:hidden@10.0.0.9:2375")
    runner = Docker(complaint=CANNOT_CONNECT.format("tcp://10.0.0.9:2375"))
    error = refused(runner)
    assert error.slip_code == "SLIP-028"
    assert "DOCKER_HOST names tcp://10.0.0.9:2375" in error.problem
    assert "hidden" not in str(error.message)
    assert runner.executed == []


def test_an_unreachable_context_is_not_ours_to_start() -> None:
    """Red when Probe.local is true for any unix socket."""
    runner = Docker(complaint="Cannot connect", endpoint="unix:///run/user/1000/docker.sock")
    assert refused(runner).slip_code == "SLIP-028"
    assert runner.executed == []


# -- versions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("26.1.5+dfsg1", (26, 1, 5)),
        ("v2.26.1-4", (2, 26, 1)),
        ("github.com/docker/buildx v0.13.1 788433953af10f2a698f5c07611dddce2e08c7a0", (0, 13, 1)),
        ("29.0.0-rc.1", (29, 0, 0)),
        ("nothing", ()),
    ],
)
def test_versions_are_read_however_they_are_dressed(text: str, numbers: tuple[int, ...]) -> None:
    """Red when the numbers are compared as text."""
    assert parse_version(text) == numbers


@pytest.mark.parametrize(
    ("runner", "found", "needed"),
    [
        (Docker(engine="26.0.9"), "Docker Engine 26.0.9", "26.1"),
        (Docker(engine="9.1.0"), "Docker Engine 9.1.0", "26.1"),
        (Docker(compose="2.25.0"), "Docker Compose 2.25.0", "2.26"),
        (Docker(buildx="github.com/docker/buildx v0.9.1 ed00243a"), "Docker buildx 0.9.1", "0.13"),
    ],
)
def test_what_is_too_old_is_refused_with_both_versions(runner: Docker, found: str, needed: str) -> None:
    """Red when the floor is lowered or versions are compared as text (9.1 over 26.1)."""
    error = refused(runner)
    assert error.slip_code == "SLIP-029"
    assert found in error.problem
    assert needed in error.problem


@pytest.mark.parametrize("runner", [Docker(), Docker(engine="29.9.3", compose="5.5.0", buildx="v0.30.0")])
def test_the_floor_and_the_newest_pass(runner: Docker) -> None:
    """Red when the floor is raised, or 5.5 compares as older than 2.26."""
    machine.check_versions(runner)


@pytest.mark.parametrize(
    ("version", "warned"),
    [("29.1.0", True), ("29.1.1", False), ("26.1.5+dfsg1", False)],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_an_engine_that_is_known_to_be_broken_is_a_warning(
    version: str, warned: bool, at_once: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when nobody is told, a version near it is blamed, or it is refused: it may serve a site already."""
    info = {
        "ServerVersion": version,
        "ClientInfo": {
            "Plugins": [{"Name": "compose", "Version": "5.0"}, {"Name": "buildx", "Version": "0.30"}]
        },
    }
    answers = {"docker info": json.dumps(info)} if at_once else {}
    machine.check_versions(Docker(engine=version, answers=answers))
    assert ("warning: SLIP-162: Docker Engine 29.1.0 is broken" in capsys.readouterr().err) == warned


def test_a_missing_plugin_is_installed_beside_the_distributions_engine() -> None:
    """Red when _install_plugins does nothing."""
    runner = Docker(compose=None, answers={"dpkg-query -W docker.io": "docker.io 26.1.5"})
    assert refused(runner).slip_code == "SLIP-030"  # the paper machine has no plugin afterwards either
    assert "docker-compose" in runner.executed[-1]


def test_a_missing_plugin_beside_another_engine_is_only_named() -> None:
    """Red when Debian's packages are installed over Docker's own."""
    runner = Docker(buildx=None)
    error = refused(runner)
    assert error.slip_code == "SLIP-030"
    assert "docker-buildx-plugin" in error.fix
    assert runner.executed == []


# -- packages ------------------------------------------------------------------------------------------


def test_debian_12_gets_exactly_the_engine_from_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when runc or tini joins the pins: apt would replace libc6."""
    monkeypatch.setattr(
        enginepackages.mirrors, "debian_security_mirror", lambda: "http://mirror.test/debian-security"
    )
    wanted = enginepackages.plan(DEBIAN_12)
    assert wanted is not None
    sources, preferences = wanted.files.values()
    assert "URIs: http://mirror.test/debian\nSuites: trixie\n" in sources
    assert "URIs: http://mirror.test/debian-security\nSuites: trixie-security\n" in sources
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in sources
    everything = "Package: *\nPin: release n=trixie\nPin-Priority: -10\n"
    engine = (
        "Package: docker.io docker-cli docker-compose docker-buildx containerd\n"
        "Pin: release n=trixie\nPin-Priority: 600\n"
    )
    assert everything in preferences
    assert engine in preferences


def test_debian_13_needs_no_other_source() -> None:
    """Red when the pins are written on a Debian that has the packages itself."""
    assert enginepackages.plan(DEBIAN_13) == enginepackages.Plan(enginepackages.DEBIAN)


def test_a_failed_installation_takes_its_apt_files_away_again() -> None:
    """Red when install does not clean up after apt."""
    runner = Docker(cli=False, heals=False, failing="update")
    error = refused(runner, DEBIAN_12)
    assert error.slip_code == "SLIP-024"
    assert runner.executed[-1] == ["rm", "-f", enginepackages.SOURCES, enginepackages.PREFERENCES]


def test_debian_12_without_a_named_mirror_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when an empty mirror reaches the source file."""
    monkeypatch.setattr(enginepackages.mirrors, "debian_mirror", lambda: "")
    runner = Docker(cli=False)
    assert refused(runner, DEBIAN_12).slip_code == "SLIP-024"
    assert runner.executed == []


def test_ubuntu_has_its_own_names() -> None:
    """Red when Ubuntu is given Debian's package names."""
    wanted = enginepackages.plan(replace(DEBIAN_13, distribution="ubuntu", version="24.04"))
    assert wanted is not None
    assert "docker-compose-v2" in wanted.packages


# -- the machine ---------------------------------------------------------------------------------------


def test_os_release_is_read_without_quotes() -> None:
    """Red when quotes stay in the values."""
    text = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n# ID=other\n'
    fields = parse_os_release(text)
    assert fields == {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", "ID": "debian", "VERSION_ID": "12"}


def test_debian_testing_counts_as_newer_than_13() -> None:
    """Red when a missing VERSION_ID counts as 0."""
    assert replace(DEBIAN_13, version="").release > (13,)


def test_a_nearly_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when free and needed are compared the wrong way round."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    monkeypatch.setattr(engine, "facts", lambda: {"DockerRootDir": str(tmp_path)})
    machine.check_disk(1)
    with pytest.raises(SlipwayError) as caught:
        machine.check_disk(10**18)
    assert caught.value.slip_code == "SLIP-031"
    assert str(tmp_path) in caught.value.problem


def test_the_disk_of_an_engine_elsewhere_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the folder of that name on this machine is measured instead."""
    monkeypatch.setenv("DOCKER_HOST", "ssh://nas")
    monkeypatch.setattr(engine, "facts", lambda: {"DockerRootDir": str(tmp_path)})
    machine.check_disk(10**18)


def test_the_disk_is_that_of_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the engine's folder stands for that of containerd, which keeps the images of newer engines; or
    that of an engine in a virtual machine or a container is looked for on this one.
    """
    engine_root, images, address = tmp_path / "docker", tmp_path / "images", tmp_path / "containerd.sock"
    for folder in (engine_root, images):
        folder.mkdir()
    configuration = tmp_path / "config.toml"
    monkeypatch.setattr(machinereport, "_SYSTEM_CONTAINERD", address)
    monkeypatch.setattr(machinereport, "_CONTAINERD_CONFIG", configuration)
    monkeypatch.setattr(machinereport, "_CONTAINERD_ROOT", str(images))
    graph_driver = {"DockerRootDir": str(engine_root), "DriverStatus": [["Backing Filesystem", "extfs"]]}
    store = {**graph_driver, "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
    named = {**store, "Containerd": {"Address": str(address)}}
    own = {**store, "Containerd": {"Address": "/var/run/docker/containerd/containerd.sock"}}
    elsewhere = {**named, "Name": "a-virtual-machine"}
    # An engine that does not say which containerd takes the system's where there is one.
    assert machinereport._image_root(store) == str(engine_root)
    address.touch()
    for info, expected in (
        (graph_driver, [engine_root]), (store, [engine_root, images]), (named, [engine_root, images]),
        (own, [engine_root]), (elsewhere, []),
        ({**named, "Name": socket.gethostname()}, [engine_root, images]),
    ):  # fmt: skip
        assert list(machinereport._disks(info)) == [str(folder) for folder in expected]
    configuration.write_text(f'version = 2\nroot = "{tmp_path}"\n')
    assert machinereport._image_root(named) == str(tmp_path)
    # The one that is nearly full is named, whichever it is.
    configuration.unlink()
    free = {str(engine_root): 10**12, str(images): 10}
    usage = lambda root: type("Usage", (), {"total": 10**13, "free": free[root]})  # noqa: E731
    monkeypatch.setattr(machinereport.shutil, "disk_usage", usage)
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    monkeypatch.setattr(engine, "facts", lambda: named)
    with pytest.raises(SlipwayError, match=f"SLIP-031: the disk of {images} is nearly full"):
        machine.check_disk(1000)


def test_the_report_holds_facts_and_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the package index is reported with its password."""
    monkeypatch.setattr(machinereport.mirrors, "pip_index", lambda: "https://me:hidden@index.test/simple")
    facts = machine.report(Docker(answers={"docker info": json.dumps({"NCPU": 4, "CgroupVersion": "2"})}))
    assert facts["engine"] == "26.1.5+dfsg1"
    assert (facts["compose"], facts["buildx"]) == ("2.26.1-4", "0.13.1+ds1")
    assert (facts["cpus"], facts["cgroup_version"]) == (4, "2")
    assert facts["package_index"] == "https://index.test/simple"
    assert "hidden" not in json.dumps(facts)


def test_the_report_works_without_an_engine() -> None:
    """Red when the report insists on an engine: then it is wanted most."""
    facts = machine.report(Docker(cli=False))
    assert facts["engine"] == "none: no docker command"
    assert facts["compose"] is None


def test_the_floor_is_what_debian_13_ships() -> None:
    """Red when something newer is required."""
    assert enginecheck.FLOOR == {
        "Docker Engine": (26, 1),
        "Docker Compose": (2, 26),
        "Docker buildx": (0, 13),
    }


def test_lists_that_have_just_come_are_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when each step of a bootstrap fetches them; or when an old machine installs from old lists."""
    listing = tmp_path / "mirror.test_debian_dists_trixie_InRelease"
    listing.touch()
    monkeypatch.setattr(enginepackages.aptlists, "_LISTS", tmp_path)
    for release, expected in ((DEBIAN_13, False), (DEBIAN_12, True)):
        runner = Docker(cli=False)
        machine.ensure(runner, release)
        assert ("apt-get -q -o DPkg::Lock::Timeout=120 update" in runner.script) is expected
    monkeypatch.setattr(enginepackages.aptlists, "_SECONDS", -1)
    runner = Docker(cli=False)
    machine.ensure(runner, DEBIAN_13)
    assert "120 update" in runner.script
