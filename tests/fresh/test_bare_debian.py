"""The README's two commands on a bare Debian. The tests are one machine's story and run in order."""

from __future__ import annotations

from tests.support.pristine import Machine

UP_SECONDS = 900
NOX_SECONDS = 900


def test_one_command_serves_the_site(bare: Machine) -> None:
    """Red when a package is missing from enginepackages.DEBIAN, or the engine dies with its command."""
    bare.run("./bootstrap", "invoke", "up", timeout=UP_SECONDS)
    status, page = bare.get("http://127.0.0.1:8000/")
    assert status == 200
    assert "<form" in page


def test_nothing_but_the_engine_comes_from_a_newer_release(bare: Machine, release: str) -> None:
    """Red when the pins go; with runc among PINNED the installation fails, for it wants a newer libc6."""
    versions = bare.run("dpkg-query", "-W", "-f", "${Package} ${Version}\n", "docker.io", "libc6", "runc")
    installed = dict(line.split() for line in versions.stdout.splitlines())
    own_libc = {"12": "2.36", "13": "2.41"}[release]
    assert installed["libc6"].startswith(own_libc)
    assert installed["docker.io"].startswith("26.1")
    if release == "12":
        upgradable = bare.run("apt-get", "--simulate", "dist-upgrade").stdout
        assert "libc6 " not in upgradable
        assert "deb13" not in upgradable


def test_nox_runs_here(bare: Machine) -> None:
    """Red when a tool of requirements/test.in is taken out: nothing on this machine stands in for it."""
    bare.run("./bootstrap", "nox", "-s", "lint", "unit", timeout=NOX_SECONDS)


def test_the_second_run_changes_nothing(bare: Machine) -> None:
    """Red when bootstrap writes its stamp or .slipway/machine.env on every run."""
    before = bare.tree(), _engine_objects(bare), _packages(bare)
    said = bare.run("./bootstrap", "true").stdout
    assert (bare.tree(), _engine_objects(bare), _packages(bare)) == before
    assert "creating" not in said
    assert "installing" not in said


def test_existing_env_files_are_kept(bare: Machine) -> None:
    """Red when init copies the examples without looking."""
    bare.run("sh", "-c", "echo '# mine' >>.env; echo '# mine' >>app.env; cksum .env app.env >/tmp/before")
    bare.run("./bootstrap", "true")
    bare.run("sh", "-c", "cksum .env app.env | cmp - /tmp/before")


def test_a_stopped_engine_is_started_and_outlives_the_command(bare: Machine) -> None:
    """Red when _start returns at once, or dockerd is started as the command's own child."""
    bare.run(
        "sh", "-c", "kill $(cat /var/run/docker.pid) && tail --pid=$(cat /var/run/docker.pid) -f /dev/null"
    )
    assert bare.run("docker", "version", check=False).returncode != 0
    bare.run("./bootstrap", "true")
    bare.run("docker", "version")


def test_a_stopped_engine_is_started_without_an_init_script(bare: Machine) -> None:
    """Red when the detached daemon is taken out of machine._launch."""
    bare.run(
        "sh", "-c", "kill $(cat /var/run/docker.pid) && tail --pid=$(cat /var/run/docker.pid) -f /dev/null"
    )
    bare.run("mv", "/etc/init.d/docker", "/root/docker.init")
    bare.run("./bootstrap", "true")
    bare.run("docker", "version")


def test_a_moved_checkout_is_repaired(bare: Machine) -> None:
    """Red when the stamp does not hold the folder: the scripts in .venv/bin still name the old one."""
    moved = bare.run(
        "sh", "-c", "cp -a . /srv/elsewhere && cd /srv/elsewhere && ./bootstrap invoke --version"
    )
    assert "creating the tool environment" in moved.stdout


def _engine_objects(machine: Machine) -> list[str]:
    # Sorted: images of the same second come in any order.
    listed = machine.run("sh", "-c", "docker image ls -q --no-trunc; docker ps -aq; docker volume ls -q")
    return sorted(listed.stdout.split())


def _packages(machine: Machine) -> str:
    return machine.run("dpkg-query", "-W").stdout
