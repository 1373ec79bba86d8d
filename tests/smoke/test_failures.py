"""Bad input on a real engine: one clear message, a code, a non-zero exit, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.engine import engine
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, base_images, docker, world


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """A development stack that has been up once, so that images and volume exist."""
    with world(tmp_path_factory.mktemp("failures"), request.module.__name__, prod=False) as own:
        own.invoke("up")
        yield own
        if request.session.testsfailed:
            own.save(request.module.__name__)


def _refused(own: World, *arguments: str, code: str, env: dict[str, str] | None = None) -> str:
    """Run a task that must be refused; returns its message."""
    done = own.invoke(*arguments, check=False, env=env)
    said = done.stderr + done.stdout
    assert done.returncode != 0, said
    # At the start of a line, it is the kit's own; the log of the project may have one.
    assert "\nTraceback (most recent call last)" not in f"\n{done.stderr}", said
    message = done.stderr[done.stderr.rindex("SLIP-") :]
    assert message.startswith(f"{code}: "), said
    assert "\n  fix: " in message, said
    return message


def test_a_port_taken_by_a_process_names_it_and_the_next_free_one(dev: World) -> None:
    """Red without the check: Compose would say "address already in use" and leave half a stack."""
    dev.invoke("down")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", dev.port))
        holder.listen()
        message = _refused(dev, "up", "--no-build", code="SLIP-063")
        assert f"port {dev.port} (WEB_PORT)" in message
        assert f"({os.getpid()})" in message
        assert "WEB_PORT=" in message
        assert _found(dev) == {"SLIP-063": message.splitlines()[0].removeprefix("SLIP-063: ")}
        assert dev.containers() == []
    dev.invoke("up", "--no-build")


def test_a_port_taken_by_a_container_names_it(dev: World) -> None:
    """Red when only processes are looked at: the holder would be docker-proxy."""
    name = f"{dev.name}-holder"
    dev.invoke("down")
    docker("run", "--detach", "--rm", "--name", name, "--publish", f"127.0.0.1:{dev.port}:8000",
           "--entrypoint", "sleep", base_images()["PYTHON_IMAGE"], "300")  # fmt: skip
    try:
        message = _refused(dev, "up", "--no-build", code="SLIP-063")
        assert f"the container {name}" in message
    finally:
        docker("rm", "--force", name)
    dev.invoke("up", "--no-build")


def test_a_project_that_does_not_import_names_service_and_cause(dev: World) -> None:
    """Red when the failing service's log is not looked at."""
    settings = dev.root / "example" / "config" / "settings.py"
    source = settings.read_text()
    settings.write_text(f"import no_such_module\n{source}")
    try:
        dev.invoke("down")
        message = _refused(dev, "up", "--no-build", code="SLIP-064")
        assert "migrate failed" in message
        assert "No module named 'no_such_module'" in message
        assert _found(dev) == {"SLIP-064": message.splitlines()[0].removeprefix("SLIP-064: ")}
    finally:
        settings.write_text(source)
    dev.invoke("up", "--no-build")


def test_a_password_the_volume_does_not_know_says_so_and_loses_nothing(dev: World) -> None:
    """Red when the failure is reported as any other: people then delete the volume."""
    Site(dev.url).submit("/", {"text": "kept"})
    secret = dev.root / "secrets" / "postgres_password"
    before = secret.read_text()
    dev.invoke("down")
    secret.chmod(0o644)
    secret.write_text("another-password-than-the-volume-was-made-with")
    try:
        message = _refused(dev, "up", "--no-build", code="SLIP-065")
        assert "secrets/postgres_password" in message
        assert set(_found(dev)) == {"SLIP-065"}
    finally:
        secret.write_text(before)
    dev.invoke("up", "--no-build")
    assert dev.sql("select count(*) from guestbook_entry where text = 'kept'") == "1"


def test_a_changed_password_is_found_while_the_stack_runs(dev: World) -> None:
    """Before it stops the next start. Red when psql is asked by an address that PostgreSQL's image trusts."""
    secret = dev.root / "secrets" / "postgres_password"
    before = secret.read_text()
    secret.chmod(0o644)
    secret.write_text("another-password-than-the-volume-was-made-with")
    try:
        assert set(_found(dev)) == {"SLIP-065"}
    finally:
        secret.write_text(before)
    # It is newer than web still, and right.
    assert _found(dev) == {}


def test_the_doctor_finds_everything_and_changes_nothing(dev: World) -> None:
    """Red when the first finding ends the search, or anything is made, removed or written by looking."""
    before = _everything(dev)
    dev.write_env(WEB_PROT="1")
    key = dev.root / "secrets" / "secret_key"
    text = key.read_text()
    key.chmod(0o644)
    key.write_text("changeme")
    docker("kill", "--signal", "SIGKILL", f"{dev.project}-web-1")
    try:
        files = {
            path: path.stat().st_mtime_ns for path in dev.root.rglob("*") if "__pycache__" not in str(path)
        }
        done = dev.invoke("doctor", "--json", check=False)
        assert done.returncode == 1, done.stderr
        found = {(finding["code"], finding["warning"]) for finding in json.loads(done.stdout)["findings"]}
        assert found == {("SLIP-005", True), ("SLIP-009", False), ("SLIP-070", True)}
        assert files == {
            path: path.stat().st_mtime_ns for path in dev.root.rglob("*") if "__pycache__" not in str(path)
        }
    finally:
        key.write_text(text)
        env = dev.root / ".env"
        env.write_text(env.read_text().replace("WEB_PROT=1\n", ""))
    assert _everything(dev) == before
    dev.invoke("up", "--no-build")


def _everything(own: World) -> dict[str, list[str]]:
    return {kind: sorted(names) for kind, names in own.left_behind().items()}


def _found(own: World) -> dict[str, str]:
    """What `invoke doctor` finds: the problems by their codes. Checks that its exit code says so."""
    done = own.invoke("doctor", "--json", check=False)
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == (1 if findings else 0), done.stderr
    return {finding["code"]: finding["problem"] for finding in findings}


def test_requirements_that_cannot_be_installed_end_with_the_failing_line(dev: World) -> None:
    """Red when the last line is only BuildKit's "did not complete successfully"."""
    file = dev.root / "example" / "requirements.txt"
    before = file.read_text()
    file.write_text(before + "no-such-package-anywhere==9.9.9 --hash=sha256:" + "0" * 64 + "\n")
    try:
        message = _refused(dev, "build", code="SLIP-050")
        assert "no-such-package-anywhere" in message
    finally:
        file.write_text(before)


def test_a_dockerfile_that_fails_ends_with_the_failing_line(dev: World) -> None:
    """Red when the output of the failing step is lost."""
    dockerfile = dev.root / "Dockerfile"
    before = dockerfile.read_text()
    broken = 'RUN echo "the reason it fails" >&2 && exit 3\n'
    assert " AS dev\n" in before
    dockerfile.write_text(before.replace(" AS dev\n", f" AS dev\n{broken}", 1))
    try:
        assert "the reason it fails" in _refused(dev, "build", code="SLIP-050")
    finally:
        dockerfile.write_text(before)


def test_unknown_services_and_empty_commands_are_named(dev: World) -> None:
    """Red when the engine's or Compose's own words are the first the person reads."""
    assert "did you mean web?" in _refused(dev, "logs", "--services", "wbe", code="SLIP-067")
    assert "there are: db, migrate, web" in _refused(dev, "restart", "--services", "nginx", code="SLIP-067")
    _refused(dev, "exec", "web", code="SLIP-072")
    _refused(dev, "manage", "'unfinished", code="SLIP-071")
    _refused(dev, "up", "--scale", "many", code="SLIP-068")
    _refused(dev, "inspect", "migrat", code="SLIP-067")
    # The engine-wide kind has its own question, and nobody is here to answer it.
    _refused(dev, "prune", "--system", code="SLIP-069")


def test_no_engine_wrong_context_and_unreachable_host_are_told_apart(dev: World) -> None:
    """Red when they share a message."""
    said = {
        _refused(dev, "up", env={"DOCKER_HOST": "unix:///nowhere.sock"}, code="SLIP-028"),
        # Empty, because one that this machine exports would have the last word.
        _refused(dev, "up", env={"DOCKER_HOST": "", "DOCKER_CONTEXT": "no-such-context"}, code="SLIP-027"),
    }
    assert len(said) == 2
    _refused(dev, "ps", env={"DOCKER_HOST": "unix:///nowhere.sock"}, code="SLIP-062")


def test_why_a_container_was_restarted_is_shown_however_soon_it_was(dev: World) -> None:
    """Red when times are taken in whole seconds: what is said in the second of the restart would be lost.

    Six times, because one that falls on two seconds hides that.
    """
    command = ("sh", "-c", "echo why it ended; sleep 0.2; exit 1")
    for attempt in range(6):
        name = f"{dev.name}-restarted-{attempt}"
        docker(
            "run", "--detach", "--restart", "always", "--name", name,
            "--label", f"com.docker.compose.project={name}", base_images()["PYTHON_IMAGE"], *command,
        )  # fmt: skip
        try:
            again = eventually(lambda name=name: _restarted(name), "it runs again", timeout=20, interval=0.01)
            assert "why it ended" in engine.logs(again, 10)
        finally:
            docker("rm", "--force", name)


def _restarted(project: str) -> engine.ContainerState | None:
    states = engine.containers(project)
    return next((state for state in states if state.restarts and state.state == "running"), None)


def test_why_a_container_was_restarted_is_shown_when_it_has_said_much_since(dev: World) -> None:
    """Red when lines are counted from the end of its log, which the run after the restart has filled."""
    name = f"{dev.name}-talkative"
    command = ("sh", "-c", "test -e /again && seq 1000 && sleep 60; touch /again; echo why it ended; exit 1")
    docker(
        "run", "--detach", "--restart", "always", "--name", name,
        "--label", f"com.docker.compose.project={name}", base_images()["PYTHON_IMAGE"], *command,
    )  # fmt: skip
    try:
        eventually(lambda: "1000" in docker("logs", "--tail", "1", name), "it to talk again", timeout=20)
        again = _restarted(name)
        assert again is not None and engine.logs(again, 10) == ["why it ended"]
    finally:
        docker("rm", "--force", name)


def test_a_process_that_keeps_ending_ends_the_wait(dev: World) -> None:
    """And says why. Red when the restart policy hides it until WAIT_TIMEOUT, or one end is taken for it."""
    env = dev.root / ".env"
    before = env.read_text()
    once = dev.root / "example" / "ended-once"
    try:
        dev.write_env(PROCESS_BROKEN="python -c 'import no_such_module'", WAIT_TIMEOUT="500s")
        message = _refused(dev, "up", "--no-build", code="SLIP-064")
        assert "broken keeps ending, 3 times so far (exit code 1): ModuleNotFoundError: No module" in message
        env.write_text(before)
        dev.write_env(PROCESS_ONCE="sh -c 'test -e ended-once && exec sleep 600; touch ended-once; exit 1'")
        dev.invoke("up", "--no-build")
        assert once.exists()
        assert dev.container("once")["RestartCount"] == 1
    finally:
        env.write_text(before)
        once.unlink(missing_ok=True)
    dev.invoke("up", "--no-build")


@pytest.mark.parametrize("after", ["the volume exists", "initdb has begun", "the database answers"])
def test_interrupted_first_start_is_repaired_by_the_next_up(
    tmp_path: Path, request: pytest.FixtureRequest, after: str
) -> None:
    """Red without docker/db/first-start.sh: a cluster without its database would be taken for whole.

    SIGKILL to the containers stands for the worst an interruption can do; SIGINT goes to ``up``.
    """
    with world(tmp_path, request.node.name.replace(" ", "-"), prod=False) as own:
        own.invoke("build")
        up = subprocess.Popen(
            [sys.executable, "-m", "invoke", "up"], cwd=own.root, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            eventually(lambda: _reached(own, after), after, timeout=120, interval=0.05)
        finally:
            subprocess.run(["kill", "-INT", "--", f"-{up.pid}"], check=False)
            running = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={own.project}")
            for container in running.split():
                docker("kill", "--signal", signal.SIGKILL.name, container, check=False)
            output = up.communicate(timeout=120)[0].decode()
        assert up.returncode != 0, output
        assert "Traceback" not in output, output
        own.invoke("up")
        assert Site(own.url).get("/").status_code == 200


def _reached(own: World, moment: str) -> bool:
    if moment == "the volume exists":
        return bool(own.left_behind()["volumes"])
    name = f"{own.project}-db-1"
    if moment == "initdb has begun":
        return "base" in docker("exec", name, "ls", "/var/lib/postgresql/data/pgdata", check=False)
    return docker("exec", name, "pg_isready", check=False).strip().endswith("accepting connections")


def test_two_folders_with_one_name(dev: World, tmp_path: Path) -> None:
    """Red when a task of the second folder touches the stack of the first, also when only volumes are left.

    And when a folder that was moved cannot take over what is its own.
    """
    other = World(tmp_path, prod=False, PROJECT_NAME=dev.name)
    before = _everything(dev)
    for task in (
        ["up"], ["build"], ["down", "--volumes", "--yes"], ["stop"], ["restart"], ["start"],
        ["exec", "web", "--", "true"], ["manage", "check"], ["migrate"], ["test"], ["shell"],
        ["prune", "--yes"], ["db.backup"], ["db.restore", "latest", "--yes"], ["db.upgrade", "--to", "18"],
    ):  # fmt: skip
        message = _refused(other, *task, code="SLIP-170")
        assert str(dev.root) in message and str(other.root) in message and "PROJECT_NAME" in message
    assert _found(other).keys() == {"SLIP-001", "SLIP-170"}
    assert dev.project in other.invoke("ps").stdout
    assert not (other.root / "secrets").exists()
    assert _everything(dev) == before and _found(dev) == {}
    # By a link it is the same folder.
    link = tmp_path / "link"
    link.symlink_to(dev.root)
    argv = [sys.executable, "-m", "invoke", "exec", "web", "--", "true"]
    env = {**os.environ, "PWD": str(link)}
    assert subprocess.run(argv, cwd=link, env=env, check=False, capture_output=True).returncode == 0

    dev.invoke("down")
    assert "no longer exists" not in _refused(other, "up", "--no-build", code="SLIP-170")
    dev.invoke("up", "--no-build")
    Site(dev.url).submit("/", {"text": "kept over a move"})
    old, new = dev.root, dev.root.with_name("moved")
    dev.root = old.rename(new)
    try:
        message = _refused(dev, "down", code="SLIP-170")
        assert f"{old}, which no longer exists" in message
        assert f"{old}'s" in dev.invoke("init", "--take-over").stderr
        dev.invoke("down")
        dev.invoke("up", "--no-build")
        assert dev.sql("select count(*) from guestbook_entry where text = 'kept over a move'") == "1"
    finally:
        dev.invoke("down", check=False)
        dev.root = new.rename(old)
        dev.invoke("init", "--take-over")
    dev.invoke("up", "--no-build")
    dev.invoke("down", "--volumes", "--yes")
    assert f"{dev.project}_folder" not in docker("volume", "ls", "--quiet").split()
    assert "SLIP-170" not in other.invoke("doctor").stdout, "nothing is left to protect"
    dev.invoke("up")
