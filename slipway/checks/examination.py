"""The checks of `invoke doctor`: problems that would stop or spoil `up`, and problems of the running stack.

It combines the checks that `up` makes (``preflight``) and the causes that `up` names (``diagnosis``). It
changes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from slipway.checks import preflight
from slipway.config.settings import Settings, load
from slipway.core.errors import SlipwayError
from slipway.core.output import counted, note
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.engine.pull import WAIT_OR_LOG_IN, Outcome
from slipway.host import enginecheck
from slipway.images import bases
from slipway.orchestrators import ownership
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.pgupgrade import upgradeundo
from slipway.services import diagnosis, maintenance, ports
from slipway.state import deploylock

__all__ = ["Finding", "Findings", "examine"]

# Exit codes of a container that a person stopped: 0, SIGINT, SIGKILL after the grace period, SIGTERM.
_STOPPED = {0, 130, 137, 143}
_EXEC_SECONDS = 10.0
_FULL_PERCENT = 90
_REGISTRY_SECONDS = 5
_SEARCHED_LINES = 400
_NO_ENGINE = "no engine answers"
_TOO_OLD = {"SLIP-029", "SLIP-030"}  # for `up`, but the engine answers


@dataclass(frozen=True)
class Finding:
    """One problem."""

    code: str
    subject: str
    problem: str
    fix: str
    warning: bool = False
    """Whether the stack can be started and used despite it."""

    def __str__(self) -> str:
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{'warning: ' if self.warning else ''}{self.code}: {self.problem}{fix}"


@dataclass
class Findings:
    """The problems found, and by subject the reason why something could not be checked."""

    found: list[Finding] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> list[Finding]:
        """The findings that are more than warnings."""
        return [finding for finding in self.found if not finding.warning]

    def look(self, subject: str, check: Callable[..., object], *arguments: object, **options: object) -> bool:
        """Record the error of ``check`` and its warnings on stderr; return whether there was no error."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                check(*arguments, **options)
        except SlipwayError as error:
            # `up` creates missing files.
            missing = error.slip_code == "SLIP-001"
            fix = "invoke init creates it, and so does invoke up" if missing else error.fix
            self.found.append(Finding(error.slip_code, subject, error.problem, fix, warning=missing))
            return missing
        finally:
            self.found += [_warning(subject, line) for line in said.getvalue().splitlines() if _MARK in line]
        return True


_MARK = "warning: SLIP-"


def _warning(subject: str, line: str) -> Finding:
    code, _, text = line.removeprefix("warning: ").partition(": ")
    problem, _, fix = text.partition("; fix: ") if "; fix: " in text else text.rpartition("; ")
    return Finding(code, subject, problem or fix, fix if problem else "", warning=True)


def examine(root: Path, runner: Runner, prod: bool) -> Findings:
    """Check everything about the development or the production stack of the checkout at ``root``."""
    result = Findings()
    settings = _settings(result, root)
    if settings is None:
        result.look(preflight.ENGINE.subject, enginecheck.check_versions, runner)
        result.skipped["everything else"] = "the settings cannot be read"
        return result
    # Check in a dry run too: there are no commands to print instead.
    session = Session(Stack(settings, prod), dataclasses.replace(runner, dry=False))
    answers = False
    for check in (*preflight.BUILDING, preflight.DISK, *preflight.STARTING):
        if check.production and not prod:
            continue
        if check.asks_engine and not answers:
            result.skipped[check.subject] = _NO_ENGINE
            continue
        right = result.look(check.subject, check.look, session, settings.web_replicas)
        if check is preflight.ENGINE:
            answers = right or result.found[-1].code in _TOO_OLD
            if answers:
                session = Session(Stack(ownership.named(settings), prod), session.runner)
    result.look("other commands", _check_others, session)
    if answers:
        result.look("registries", _check_registries, session)
    if answers and not result.look("whose stack it is", ownership.check, session.stack):
        result.skipped["containers"] = "they belong to another folder"
    elif answers:
        _look_at_containers(result, session)
    else:
        result.skipped["containers"] = _NO_ENGINE
    result.found.sort(key=lambda finding: finding.warning)
    return result


def _settings(result: Findings, root: Path) -> Settings | None:
    found: list[Settings] = []
    result.look("settings", lambda: found.append(load(root)))
    if not found and not result.errors:
        # There is no .env yet: `up` creates it from the defaults.
        result.look("settings", lambda: found.append(load(root, required=False)))
    return found[0] if found else None


def _check_others(session: Session) -> None:
    """Check whether another command works on this stack, or was interrupted."""
    upgrading = upgradeundo.read(session.settings, session.stack.prod)
    if session.stack.prod or upgrading:
        deploylock.check(session.settings.root)
    if upgrading:
        note("warning: SLIP-107: an upgrade of PostgreSQL was interrupted; fix: invoke up reverts it")


def _check_registries(session: Session) -> None:
    """Warn of images that the next start would pull from a registry whose pull limit is reached."""
    for variable, reference in session.settings.images().items():
        if reference.startswith(bases.PREFIX) or engine.image_id(reference):
            continue
        answer = engine.registry_answer(reference, _REGISTRY_SECONDS)
        if answer.limited:
            note(
                f"warning: SLIP-163: {variable}={reference} is not here, and its registry refuses: "
                f"{answer.reason}; fix: {WAIT_OR_LOG_IN}"
            )
        if answer.outcome is not Outcome.PULLED:
            return


def _look_at_containers(result: Findings, session: Session) -> None:
    stack = session.stack
    states: list[ContainerState] = []
    result.look("containers", lambda: states.extend(engine.containers(stack.project)))
    result.look("folder", ownership.check_moved, stack, running=True)
    failed = {state.service: state for state in reversed(states) if state.failed and not _was_stopped(state)}
    serves = stack.prod and any(state.service == "web" and state.ready for state in states)
    preparing = {*stack.one_shots(), "databases", "nginx-configuration"}
    for service, state in sorted(failed.items()):
        look = _warn_of_attempt if serves and service in preparing else _fail
        result.look(service, look, session, state)
    running = [state for state in states if state.state == "running"]
    for state in running:
        if state.restarts and state.service not in failed:
            result.look(state.service, _warn_of_restarts, state)
    for state in running:
        if stack.prod and state.service in stack.project_services():
            result.look(state.service, _warn_of_full_memory, session, state)
    if any(state.service == "nginx" and state.health == "healthy" for state in running):
        result.look("addresses", ports.warn_of_silence, session)
        result.look("maintenance", _warn_of_closed, session)
    if running:
        for state in states:
            if stack.prod and state.service == "static":
                result.look("static files", diagnosis.warnings, state)
    # After a failure, other services wait for the failed one.
    if running and not failed:
        lasting = set(stack.services()) - preparing
        for service in sorted(lasting - {state.service for state in running}):
            result.look(service, _warn_of_absence, session, service)
    if session.settings.database == "postgres" and not any(f.code == "SLIP-065" for f in result.found):
        _look_at_password(result, session, running)


def _was_stopped(state: ContainerState) -> bool:
    # Its health is the last one before it ended, and says nothing now.
    return state.state == "exited" and state.exit_code in _STOPPED and not state.out_of_memory


def _fail(session: Session, state: ContainerState) -> None:
    raise diagnosis.cause(session, state)


def _warn_of_attempt(session: Session, state: ContainerState) -> None:
    cause = diagnosis.cause(session, state)
    note(
        f"warning: {cause.slip_code}: a change of the site failed; the site serves as before: "
        f"{cause.problem}; fix: {cause.fix}; the next deploy then clears this"
    )


def _warn_of_restarts(state: ContainerState) -> None:
    why = diagnosis.reason(engine.logs(state, _SEARCHED_LINES))
    note(
        f"warning: SLIP-064: {state.name} runs, but restarted {counted(state.restarts, 'time')}; its log "
        f"says why: {why[:300]}; fix: invoke logs --services {state.service} has more"
    )


def _warn_of_full_memory(session: Session, state: ContainerState) -> None:
    if (used := _used_percent(session, state)) >= _FULL_PERCENT:
        note(
            f"warning: SLIP-185: /tmp of {state.name}, which is memory, is {used} % full: when it is full,"
            " writing there fails; fix: write to the folder of TMPDIR, on disk, as Python's tempfile does"
        )


def _used_percent(session: Session, state: ContainerState) -> int:
    """Return how full the /tmp of a container is, in percent; 0 when `df` gives no answer."""
    argv = ["docker", "exec", state.id, "df", "--output=pcent", "/tmp"]  # noqa: S108
    said = session.runner.capture(argv, timeout=_EXEC_SECONDS).stdout.split()
    percent = said[-1].removesuffix("%") if said else ""
    return int(percent) if percent.isdecimal() else 0


def _warn_of_closed(session: Session) -> None:
    if maintenance.is_closed(session):
        note(
            "warning: SLIP-174: the site is closed for maintenance: visitors get a page with 503; "
            "fix: invoke maintenance off --prod opens it"
        )


def _warn_of_absence(session: Session, service: str) -> None:
    prod = " --prod" if session.stack.prod else ""
    note(f"warning: SLIP-070: {service} does not run, but others do; fix: invoke up{prod}")


def _look_at_password(result: Findings, session: Session, running: Sequence[ContainerState]) -> None:
    """Check that the database accepts the password in the secrets: the next start of web needs it."""
    subject = "the database's password"
    secret = session.settings.path(session.settings.secrets_dir) / "postgres_password"
    database = next((state for state in running if state.service == "db" and state.ready), None)
    if database is None or not secret.is_file():
        result.skipped[subject] = "the database does not run" if secret.is_file() else "no password yet"
        return
    changed = max(secret.stat().st_mtime, secret.stat().st_ctime)
    web = [state for state in running if state.service == "web" and state.health == "healthy"]
    # A healthy web container that started since has already used this password.
    if not any(datetime.fromisoformat(state.started).timestamp() > changed for state in web):
        result.look(subject, diagnosis.check_password, session)
