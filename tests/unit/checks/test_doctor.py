"""`invoke doctor`: everything at once, each with its code and fix, and nothing changed."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import Exit

from slipway.checks import doctor, preflight
from slipway.checks.examination import examine
from slipway.config.settings import Settings, load
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine, engineapi
from slipway.engine.engine import ContainerState
from slipway.engine.pull import Outcome, Pull
from slipway.host import enginecheck
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.pgupgrade import dbmajor
from slipway.release import lifecycle
from slipway.services import diagnosis
from slipway.state import deploylock

PASSWORD = "Zk3-not-a-placeholder"


def state(service: str, number: int = 1, **changes: object) -> ContainerState:
    facts = {
        "id": f"{service}{number}", "name": f"shop-dev-{service}-{number}", "service": service, "image": "i",
        "state": "running", "health": "healthy", "exit_code": 0, "ports": (), "addresses": {"n": "10.0.0.2"},
        "health_output": "", "error": "", "restarts": 0, "started": "2100-01-01T00:00:00.123456789Z",
    }  # fmt: skip
    return ContainerState(**{**facts, **changes})  # type: ignore[arg-type]


DONE = {"state": "exited", "health": ""}
HEALTHY = [state("db"), state("migrate", **DONE), state("web")]


@pytest.fixture
def ready(checkout: Path) -> Path:
    """A checkout on which `init` has been run, with ports nobody has."""
    (checkout / "secrets").mkdir()
    for name in ("postgres_password", "secret_key"):
        (checkout / "secrets" / name).write_text(PASSWORD)
    for name in ("app.env", "app.dev.env", "app.prod.env"):
        (checkout / name).touch()
    return checkout


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An engine of paper; the function says which containers and logs it has."""
    monkeypatch.setattr(enginecheck, "check_versions", lambda _runner: None)
    monkeypatch.setattr(engine, "facts", lambda: {"DockerRootDir": "/", "NCPU": 2})
    monkeypatch.setattr(engine, "image_id", lambda reference: "sha256:1")
    monkeypatch.setattr(dbmajor, "compare", lambda _session: None)
    monkeypatch.setattr(engine, "folders", lambda _project: [])
    monkeypatch.setattr(engine, "folder_of_volume", lambda _name: "")
    monkeypatch.setattr(engine, "volumes", lambda _project: {})
    monkeypatch.setattr("slipway.services.ports.check_all", lambda _session: None)
    monkeypatch.setattr("slipway.services.egress.check", lambda _session: None)
    monkeypatch.setattr("slipway.checks.examination._used_percent", lambda _session, _state: 3)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"total": 1, "free": 10**12}))

    def has(*states: ContainerState, **logs: list[str]) -> None:
        monkeypatch.setattr(engine, "containers", lambda _project: list(states))
        monkeypatch.setattr(engine, "logs", lambda state, _tail: logs.get(state.service, []))

    has(*HEALTHY)
    return has


def found(root: Path, *, prod: bool = False, runner: Runner | None = None) -> list[str]:
    """What `examine` finds: ``warning`` in front of those that are."""
    result = examine(root, runner or Runner(), prod)
    return [f"{'warning ' if f.warning else ''}{f.code}" for f in result.found]


def test_a_healthy_stack_has_no_finding(
    ready: Path, stack: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when anything is found in one; nothing is to be asked by a command either."""
    doctor.doctor(ready, Runner(), prod=False, as_json=False)
    assert capsys.readouterr().out == "no findings, no warnings\n"
    doctor.doctor(ready, Runner(), prod=False, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"findings": [], "not_looked_at": {}}


def test_memory_that_is_full_is_found(
    ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when every upload fails and nobody says why; seen with a project that fills /tmp."""
    percent = {"db": 100, "web": 97}
    monkeypatch.setattr(
        "slipway.checks.examination._used_percent", lambda _session, state: percent[state.service]
    )
    assert found(ready, prod=True).count("warning SLIP-185") == 1


@pytest.mark.parametrize(("web", "code"), [("healthy", "warning SLIP-064"), ("unhealthy", "SLIP-064")])
def test_what_an_attempt_left_is_no_fault_of_what_serves(
    ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch, web: str, code: str
) -> None:
    """Red when a failed deploy's migration counts as a fault as long as the old release serves."""
    monkeypatch.setattr("slipway.services.maintenance.is_closed", lambda _session: False)
    stack(
        state("db"), state("nginx"), state("web", health=web), state("migrate", state="exited", exit_code=1)
    )
    assert code in found(ready, prod=True)


def test_a_limit_of_pulls_is_told_before_it_stops_anybody(
    ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when nobody asks, or it is asked for what is here or built here, or a silent one again."""
    (ready / ".env").write_text("PYTHON_IMAGE=slipway/python:3.13-slim-trixie\n")
    asked: list[str] = []

    def answer(outcome: Outcome, reason: str = "") -> list[str]:
        asked.clear()
        monkeypatch.setattr(
            engine, "registry_answer", lambda name, _seconds: asked.append(name) or Pull(outcome, reason)
        )
        return found(ready)

    limited = "toomanyrequests: You have reached your unauthenticated pull rate limit."
    assert answer(Outcome.REFUSED, limited) == [] == asked
    monkeypatch.setattr(engine, "image_id", lambda _reference: "")
    assert answer(Outcome.REFUSED, limited) == ["warning SLIP-163"]
    assert len(asked) == 1 and not asked[0].startswith("slipway/")
    assert answer(Outcome.UNREACHABLE, "dial tcp") == [] and len(asked) == 1
    assert answer(Outcome.REFUSED, "manifest unknown") == []
    assert answer(Outcome.PULLED) == [] and len(asked) == 2


@pytest.mark.parametrize(
    ("info", "env", "codes"),
    [
        ({"MemoryLimit": True, "SecurityOptions": ["name=seccomp"]}, "HTTP_PORT=80", 0),
        ({"MemoryLimit": False, "PidsLimit": False}, "", 1),
        ({"SecurityOptions": ["name=rootless"]}, "", 0),
        ({"SecurityOptions": ["name=rootless"]}, "HTTP_PORT=80", 1),
        ({"SecurityOptions": ["name=rootless"], "CpuCfsQuota": False}, "HTTP_PORT=80", 2),
    ],
)
def test_what_an_engine_cannot_do_is_told(
    ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], env: str,
    codes: int,
) -> None:  # fmt: skip
    """Red when limits that nobody enforces are taken for limits, or port 80 for a rootless engine's."""
    monkeypatch.setattr(engine, "facts", lambda: {"DockerRootDir": "/", "NCPU": 2, **info})
    monkeypatch.setattr(enginecheck, "_first_port", lambda: 1024)
    monkeypatch.setattr("slipway.services.connections.check", lambda *_: None)
    (ready / ".env").write_text(f"{env}\n")
    assert found(ready, prod=True).count("warning SLIP-164") == codes


def test_another_folders_stack_is_a_finding_and_nothing_is_said_of_its_containers(
    ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when its containers count as this folder's: the password of theirs is then said to be wrong."""
    (ready / ".env").write_text("PROJECT_NAME=shop\n")
    stack(state("web", state="exited", exit_code=1))
    monkeypatch.setattr(engine, "folders", lambda _project: ["/another/shop"])
    assert found(ready) == ["SLIP-170"]


def test_all_is_found_at_once(
    ready: Path,
    stack: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Red when the first finding ends the search, or the exit code is not 1."""
    (ready / ".env").write_text("WEB_PROT=1\n")
    (ready / "secrets" / "secret_key").write_text("changeme")
    (ready / "example" / ".python-version").write_text("3.11")

    def taken(_session: Session) -> None:
        raise SlipwayError("SLIP-063", "port 8000 (WEB_PORT) is taken by the process x (1)", "stop it")

    monkeypatch.setattr("slipway.services.ports.check_all", taken)
    stack(state("db"), state("web", state="restarting", exit_code=1), web=["No module named x"])
    with pytest.raises(Exit) as ended:
        doctor.doctor(ready, Runner(), prod=False, as_json=False)
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.err == ""
    codes = [line.split(": ")[0] for line in said.out.splitlines()]
    # What matters less comes last.
    assert "\nwarning: SLIP-005: .env:1: WEB_PROT is not a variable of the kit\n  fix: did you" in said.out
    assert said.out.index("SLIP-064") < said.out.index("warning: ")
    for code in ("SLIP-009", "SLIP-130", "SLIP-063", "SLIP-064"):
        assert codes.count(code) == 1, said.out
    assert "No module named x" in said.out
    assert said.out.endswith("4 findings, 1 warning\n")


@pytest.mark.parametrize("text", ["WEB_PORT=http\n", "what is this\n", "PROJECT_ROOT=missing\n"])
def test_settings_that_cannot_be_read_are_the_finding(
    ready: Path, stack: Callable[..., None], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when they end the command before it looks at the engine."""
    (ready / ".env").write_text(text)

    def none(_runner: Runner) -> None:
        raise SlipwayError("SLIP-025", "no engine", "start it", exit_code=3)

    monkeypatch.setattr(enginecheck, "check_versions", none)
    result = examine(ready, Runner(), prod=False)
    assert [f.code for f in result.errors][1:] == ["SLIP-025"]
    assert result.errors[0].code in {"SLIP-003", "SLIP-006", "SLIP-007"}
    assert result.skipped == {"everything else": "the settings cannot be read"}


def test_what_up_makes_is_a_warning(ready: Path, stack: Callable[..., None]) -> None:
    """Red when a fresh clone is ill, or the doctor writes into it."""
    stack()
    (ready / ".env").unlink()
    (ready / "app.env").unlink()
    before = sorted(ready.rglob("*"))
    assert found(ready) == ["warning SLIP-001", "warning SLIP-001"]
    assert sorted(ready.rglob("*")) == before


def test_without_an_engine_the_rest_is_looked_at(
    ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the engine is asked although it does not answer: every question would be a finding."""
    (ready / "secrets" / "secret_key").write_text("changeme")

    def none(_runner: Runner) -> None:
        raise SlipwayError("SLIP-025", "no engine", "start it", exit_code=3)

    def never(*_: object, **__: object) -> Any:
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(enginecheck, "check_versions", none)
    monkeypatch.setattr(engineapi, "get", never)
    for prod in (False, True):
        result = examine(ready, Runner(), prod=prod)
        assert [f.code for f in result.found] == ["SLIP-025", "SLIP-009"]
        checks = (preflight.DISK, *preflight.STARTING)
        wanted = {c.subject for c in checks if c.asks_engine and (prod or not c.production)}
        assert set(result.skipped) == {*wanted, "containers"}


def test_an_engine_that_is_too_old_is_asked_all_the_same(
    ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when what runs on it is not looked at."""

    def old(_runner: Runner) -> None:
        raise SlipwayError("SLIP-029", "too old", "upgrade it", exit_code=3)

    monkeypatch.setattr(enginecheck, "check_versions", old)
    stack(state("db"), state("web", health="unhealthy"))
    assert found(ready, runner=Psql()) == ["SLIP-029", "SLIP-064"]


@pytest.mark.parametrize(
    ("broken", "log", "codes"),
    [
        ({"health": "unhealthy", "health_output": "503"}, [], ["SLIP-064"]),
        ({"state": "exited", "exit_code": 1}, ["boom"], ["SLIP-064"]),
        ({"state": "exited", "exit_code": 137, "out_of_memory": True}, [], ["SLIP-064"]),
        ({"restarts": 3}, ["why it ended"], ["warning SLIP-064"]),
        # Stopped by a person, while others run.
        ({"state": "exited", "exit_code": 143}, ["bye"], ["warning SLIP-070"]),
        ({"state": "exited", "health": "unhealthy"}, [], ["warning SLIP-070"]),
        ({"health": "starting"}, [], []),
        ({"state": "restarting"}, ['FATAL:  password authentication failed for user "app"'], ["SLIP-065"]),
    ],
)
def test_containers_are_judged(
    ready: Path, stack: Callable[..., None], broken: dict[str, object], log: list[str], codes: list[str]
) -> None:
    """Red when a cause is not found, or what a person has stopped counts as failed."""
    stack(state("db"), state("migrate", **DONE), state("web"), state("web", 2, **broken), web=log)
    # The first replica runs: no absence then.
    assert found(ready) == [code for code in codes if code != "warning SLIP-070"]
    stack(state("db"), state("migrate", **DONE), state("web", **broken), web=log)
    # The password was set before web began, if web began at all.
    assert found(ready, runner=Psql()) == codes


def test_what_waits_for_one_that_failed_is_no_finding(ready: Path, stack: Callable[..., None]) -> None:
    """Red when a service that was never started hides the one that keeps it from it."""
    stack(
        state("db"), state("migrate", state="exited", exit_code=1), state("web", state="created", health="")
    )
    assert found(ready, runner=Psql()) == ["SLIP-064"]


def test_a_stack_that_was_stopped_is_not_ill(ready: Path, stack: Callable[..., None]) -> None:
    """Red when `invoke stop`, whose SIGTERM ends runserver with 143, makes findings."""
    stack(state("db", **DONE), state("migrate", **DONE), state("web", **{**DONE, "exit_code": 143}))
    result = examine(ready, Runner(), prod=False)
    assert result.found == []
    assert list(result.skipped) == ["the database's password"]


def test_memory_that_did_not_suffice_is_named_with_its_limit(settings: Settings) -> None:
    """Red when the last line of the log, which is about something else, is the reason."""
    killed = state("web", state="exited", exit_code=137, out_of_memory=True)
    error = diagnosis.cause(Session(Stack(settings, prod=True), Runner()), killed, ["GET /"])
    assert "more memory" in error.problem and "WEB_MEMORY" in error.fix
    worker = state("worker", state="exited", exit_code=137, out_of_memory=True, beside_web=True)
    assert "PROCESS_MEMORY" in diagnosis.cause(Session(Stack(settings, prod=True), Runner()), worker, []).fix


REFUSED = 'FATAL:  password authentication failed for user "app"'


class Psql(Runner):
    """Remembers the question; says what psql would, over the network and by the socket."""

    answer = ""
    by_socket = ""
    asked: list[list[str]] = []  # noqa: RUF012

    def capture(self, argv: Any, **_: Any) -> Any:
        self.asked.append(list(argv))
        assert self.env == {"PGPASSWORD": PASSWORD}
        said = self.answer if "--host" in argv else self.by_socket
        return type("Done", (), {"stderr": said, "returncode": 2 if said else 0})


def test_the_password_is_asked_about_only_when_it_may_have_changed(
    ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when every call costs a psql, or one that was changed since web began is not tried."""
    Psql.asked.clear()
    assert found(ready, runner=Psql()) == []
    assert Psql.asked == []
    stack(state("db"), state("web", started="2001-01-01T00:00:00Z"))
    monkeypatch.setattr(Psql, "answer", REFUSED)
    assert found(ready, runner=Psql()) == ["SLIP-065"]
    argv = Psql.asked[0]
    # Nobody's list of processes shows it, and the loopback address would be let in without.
    assert PASSWORD not in " ".join(argv) and argv[argv.index("--host") + 1] == "10.0.0.2"


@pytest.mark.parametrize(
    ("answer", "by_socket", "says", "fix"),
    [
        (REFUSED, "", "its volume was created with another one", "\\password"),
        (REFUSED, 'FATAL:  role "app" does not exist', "no user 'app'", "set DB_USER and DB_NAME back"),
        ("", "", "takes the password in secrets/postgres_password", "app.env and app.prod.env"),
        ("no answer in 10 s", "", "refuses the project's login", "compare user and password"),
    ],
)
@pytest.mark.parametrize("database", ["runs", "is down"])
def test_only_what_is_certain_is_said_of_a_refused_password(
    ready: Path,
    stack: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    database: str,
    answer: str,
    by_socket: str,
    says: str,
    fix: str,
) -> None:
    """Red when the volume is blamed for a line in the project's log, or anybody is told to delete data."""
    if database == "is down":
        says, fix = "refuses the project's login", "compare user and password"
    stack(
        state("db", **({} if database == "runs" else DONE)), state("web", state="restarting"), web=[REFUSED]
    )
    monkeypatch.setattr(Psql, "answer", answer)
    monkeypatch.setattr(Psql, "by_socket", by_socket)
    finding = next(f for f in examine(ready, Psql(), prod=True).found if f.code == "SLIP-065")
    assert says in finding.problem and fix in finding.fix
    assert ("volume" in finding.problem) == (says.startswith(("its volume", "no user")))
    assert "delete" not in finding.fix and "--volumes" not in finding.fix


def test_debug_in_production_is_found(ready: Path, stack: Callable[..., None]) -> None:
    """Red when nobody says a word before strangers see the first error page."""
    (ready / "example" / "config").mkdir()
    (ready / "example" / "config" / "settings.py").write_text(
        "import os\nDEBUG = bool(os.environ.get('DEBUG'))\n"
    )
    stack()
    (ready / "app.prod.env").write_text("DEBUG=1\n")
    assert found(ready, prod=True) == ["SLIP-178"]
    assert found(ready) == []
    (ready / ".env").write_text("ALLOW_DEBUG=on\n")
    assert found(ready, prod=True) == ["warning SLIP-178"]


def test_a_deploy_at_work_is_found_and_one_that_ended_is_not(ready: Path, stack: Callable[..., None]) -> None:
    """Red when the lock's file counts, and not the lock: a killed deploy leaves the file."""
    stack()
    with deploylock.held(ready, "deploy"):
        assert found(ready, prod=True) == ["SLIP-077"]
        assert found(ready) == []
    assert found(ready, prod=True) == []
    (ready / ".slipway" / "deploy.lock").write_text('{"what": "deploy"}')
    assert found(ready, prod=True) == []
    with (ready / ".slipway" / "deploy.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_line_ends_of_windows_are_found(ready: Path, stack: Callable[..., None]) -> None:
    """Red when only the first line of a secret, or files that are no scripts, are looked at."""
    (ready / "docker").mkdir()
    (ready / "docker" / "notes.txt").write_bytes(b"no script\r\n")
    (ready / "docker" / "start.sh").write_bytes(b"#!/bin/sh\necho\n")
    assert found(ready) == []
    (ready / "docker" / "start.sh").write_bytes(b"#!/bin/sh\r\necho\r\n")
    assert found(ready) == ["SLIP-160"]
    (ready / "docker" / "start.sh").unlink()
    (ready / "secrets" / "postgres_password").write_bytes(PASSWORD.encode() + b"\r\n")
    assert found(ready) == ["SLIP-160"]


def test_nothing_is_written(ready: Path, stack: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when TLS=local makes its CA, or anything is recorded, while looking."""
    monkeypatch.setenv("TLS", "local")
    before = {path: path.stat().st_mtime_ns for path in ready.rglob("*")}
    stack()
    assert found(ready, prod=True) == []
    assert {path: path.stat().st_mtime_ns for path in ready.rglob("*")} == before


def test_up_walks_the_same_checks(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when `up` does not look at one of them, or `doctor` does not."""
    monkeypatch.setattr("slipway.pgupgrade.upgradeundo.take_back_interrupted", lambda _session: None)
    for prod in (False, True):
        looked: list[str] = []

        def named(check: preflight.Check, looked: list[str] = looked) -> preflight.Check:
            if check is preflight.ENGINE:
                return check
            return replace(check, look=lambda *_: looked.append(check.subject))

        with monkeypatch.context() as patched:
            for table in ("BUILDING", "STARTING"):
                patched.setattr(preflight, table, tuple(map(named, getattr(preflight, table))))
            patched.setattr(
                enginecheck, "check_versions", lambda _runner, looked=looked: looked.append("engine")
            )
            patched.setattr(preflight, "DISK", named(preflight.DISK))
            patched.setattr(engine, "containers", lambda _project: [])
            for name in ("slipway.pgupgrade.dbmajor.record", "slipway.tls.tls.publish"):
                patched.setattr(name, lambda *_: None)
            patched.setattr(lifecycle, "_build_what_changed", lifecycle._prepare)
            patched.setattr(lifecycle, "ensure_bases", lambda _session: {})
            patched.setattr(lifecycle, "_start", lambda *_: [])
            lifecycle.up(Session(Stack(load(ready), prod), Runner()), scale="", no_build=False, as_json=True)
            by_up = list(looked)
            looked.clear()
            examine(ready, Runner(), prod)
        assert sorted(by_up) == sorted(looked)
        assert len(looked) == (14 if prod else 7)


def test_looking_is_cheap() -> None:
    """Red when a module that only `up` needs, or the docker SDK, is imported for it."""
    looked_for = "{'docker', 'slipway.release.lifecycle'}"
    script = f"import sys, slipway.checks.examination; print({looked_for} & {{*sys.modules}})"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("TRUSTED_PROXY=10.0.0.0/8 0.0.0.0/0", "TRUSTED_PROXY (.env:1) adds up to 0.0.0.0/0"),
        ("TRUSTED_PROXY=::/0", "TRUSTED_PROXY (.env:1) adds up to ::/0"),
        ("MAINTENANCE_ALLOW=0.0.0.0/1 128.0.0.0/1", "MAINTENANCE_ALLOW (.env:1) adds up to 0.0.0.0/0"),
    ],
)
def test_a_list_that_trusts_everybody_is_a_warning(
    ready: Path, stack: Callable[..., None], line: str, said: str
) -> None:
    """Red without the check among those of a build."""
    stack()
    (ready / ".env").write_text(line)
    finding = next(f for f in examine(ready, Runner(), prod=True).found if f.code == "SLIP-180")
    assert finding.warning and said in finding.problem and "10.0.0.0/8" in finding.fix
    assert "SLIP-180" not in " ".join(found(ready))


def test_an_ipv6_address_that_nobody_answers_on_is_a_warning(ready: Path, stack: Callable[..., None]) -> None:
    """Red when doctor believes the engine's list of ports, or takes an open connection for an answer."""
    stack(state("nginx"))
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        port = listener.getsockname()[1]
        (ready / ".env").write_text(f"HTTP_ADDRESS=127.0.0.1 ::1\nHTTP_PORT={port}\n")
        assert "warning SLIP-182" in found(ready, prod=True)
        listener.listen()

        def answer() -> None:
            connection = listener.accept()[0]
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 421 x\r\nContent-Length: 0\r\n\r\n")

        with ThreadPoolExecutor(1) as server:
            server.submit(answer)
            assert "warning SLIP-182" not in found(ready, prod=True)
