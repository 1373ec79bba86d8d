"""What a person is shown of containers that did not become ready, and the error that names the cause."""

from __future__ import annotations

from collections.abc import Sequence

from slipway import engine
from slipway.errors import SlipwayError
from slipway.output import note
from slipway.session import Session

__all__ = ["failure", "pass_on_warnings"]

# gunicorn says why a worker did not boot, and then what it thinks of that, in forty lines.
_SHOWN_LINES = 60
_SEARCHED_LINES = 400


def pass_on_warnings(project: str, service: str) -> None:
    """Say again what a one-shot ``service`` that did its work has warned of: nobody reads its log."""
    for state in engine.containers(project):
        if state.service == service:
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
    if any("password authentication failed" in line for lines in logs.values() for line in lines):
        return SlipwayError(
            "SLIP-065",
            "the database refuses the password: its volume was created with another one",
            "put the earlier password back into secrets/postgres_password, or delete the data with "
            f"invoke down --volumes{' --prod' if session.stack.prod else ''}",
        )
    if not suspects:
        return SlipwayError("SLIP-064", "docker compose could not start the stack", "its message is above")
    first = suspects[0]
    last_lines = [line.strip() for line in logs[first.name] if line.strip()]
    why = first.error or first.health_output or (last_lines[-1] if last_lines else "no log lines")
    if first.beside_web and first.failed and first.exit_code == 0:
        return SlipwayError(
            "SLIP-064",
            f"the service {first.service} does not stay: its command ends without an error, again and again",
            "a process beside web has to go on; one that works now and then is for Celery's beat, the host's "
            "cron (invoke manage), or a loop: sh -c 'while ...; do ...; sleep 60; done'",
        )
    if first.failed:
        return SlipwayError(
            "SLIP-064",
            f"the service {first.service} failed: {first.summary}: {why[:300]}",
            f"its last lines are above (more: invoke logs --services {first.service}); "
            "mend it and run invoke up again",
        )
    return SlipwayError(
        "SLIP-066",
        f"the service {first.service} was not ready within {session.settings.wait_timeout} s: {why[:300]}",
        "look at its log above; if it only needs longer, raise WAIT_TIMEOUT in .env",
    )
