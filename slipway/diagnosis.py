"""What a person is shown of containers that did not become ready, and the error that names the cause."""

from __future__ import annotations

from collections.abc import Sequence

from slipway import engine
from slipway.errors import SlipwayError
from slipway.output import note
from slipway.session import Session

__all__ = ["REFUSED", "cause", "failure", "other_password", "pass_on_warnings", "warnings"]

# gunicorn says why a worker did not boot, and then what it thinks of that, in forty lines.
_SHOWN_LINES = 60
_SEARCHED_LINES = 400
REFUSED = "password authentication failed"
_LIMITS = {"db": "DB_MEMORY", "nginx": "NGINX_MEMORY", "redis": "REDIS_MEMORY", "backup": "BACKUP_MEMORY"}


def pass_on_warnings(project: str, service: str) -> None:
    """Say again what a one-shot ``service`` that did its work has warned of: nobody reads its log."""
    for state in engine.containers(project, service):
        warnings(state)


def warnings(state: engine.ContainerState) -> None:
    """Say again what a container has warned of."""
    for line in engine.logs(state, _SEARCHED_LINES):
        if "warning: SLIP-" in line:
            note(line[line.index("warning: ") :])


def failure(session: Session, broken: Sequence[engine.ContainerState]) -> SlipwayError:
    """Show the state and the last log lines of what is not ready; returns the error that names the cause."""
    # What only waits for another was never started: it is not the cause, and has no log.
    suspects = sorted(
        (state for state in broken if state.failed or state.state != "created"),
        key=lambda state: not state.failed,
    )
    logs = {state.name: engine.logs(state, _SEARCHED_LINES) for state in suspects}
    shown: set[str] = set()
    for state in suspects:
        note(f"\n{state.name}: {state.summary}" + (f", {state.health_output}" if state.health_output else ""))
        # Replicas say the same, once is enough.
        if state.service not in shown:
            for line in logs[state.name][-_SHOWN_LINES:]:
                note(f"  | {line}")
        shown.add(state.service)
    if any(REFUSED in line for lines in logs.values() for line in lines):
        return other_password(session)
    if not suspects:
        return SlipwayError("SLIP-064", "docker compose could not start the stack", "its message is above")
    return cause(session, suspects[0], logs[suspects[0].name])


def other_password(session: Session) -> SlipwayError:
    """The error of a database that does not know the password in the secrets."""
    return SlipwayError(
        "SLIP-065",
        "the database refuses the password: its volume was created with another one",
        "put the earlier password back into secrets/postgres_password, or delete the data with "
        f"invoke down --volumes{_prod(session)}",
    )


def cause(session: Session, first: engine.ContainerState, log: Sequence[str] | None = None) -> SlipwayError:
    """The error of a container that is not ready, from its state and its ``log``, by default asked for."""
    log = engine.logs(first, _SEARCHED_LINES) if log is None else log
    if any(REFUSED in line for line in log):
        return other_password(session)
    last_lines = [line.strip() for line in log if line.strip()]
    why = first.error or first.health_output or (last_lines[-1] if last_lines else "no log lines")
    if first.beside_web and first.failed and first.exit_code == 0:
        return SlipwayError(
            "SLIP-064",
            f"the service {first.service} does not stay: its command ends without an error, again and again",
            "a process beside web has to go on; one that works now and then is for Celery's beat, the host's "
            "cron (invoke manage), or a loop: sh -c 'while ...; do ...; sleep 60; done'",
        )
    if first.failed:
        todo = "mend it"
        if first.out_of_memory:
            why = "it needed more memory than it may have"
            limit = "PROCESS_MEMORY" if first.beside_web else _LIMITS.get(first.service, "WEB_MEMORY")
            todo = (
                f"raise {limit} in {session.settings.env_file}" if session.stack.prod else "free some memory"
            )
        prod = _prod(session)
        return SlipwayError(
            "SLIP-064",
            f"the service {first.service} failed: {first.summary}: {why[:300]}",
            f"{todo} and run invoke up{prod} again; its log: invoke logs --services {first.service}{prod}",
        )
    return SlipwayError(
        "SLIP-066",
        f"the service {first.service} was not ready within {session.settings.wait_timeout} s: {why[:300]}",
        "look at its log above; if it only needs longer, raise WAIT_TIMEOUT in .env",
    )


def _prod(session: Session) -> str:
    return " --prod" if session.stack.prod else ""
