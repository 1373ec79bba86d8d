"""What a person is shown of containers that did not become ready, and the error that names the cause."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine
from slipway.orchestrators.session import Session

__all__ = ["cause", "check_password", "failure", "pass_on_warnings", "reason", "warnings"]

# gunicorn says why a worker did not boot, and then what it thinks of that, in forty lines.
_SHOWN_LINES = 60
_SEARCHED_LINES = 400
_REFUSED = re.compile(r'password authentication failed(?: for user "(?P<user>[^"]*)")?')
_PASSWORD_SECONDS = 10.0
_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:: .*)?")
_SERVERS_OWN = ("gunicorn.errors.HaltServer", "SystemExit")
_OURS = re.compile(r"\bSLIP-\d{3}: ")
_FATAL = re.compile(r"\b(FATAL|PANIC): +|\[(emerg|alert)\]")
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
    if refused := _refusal(line for lines in logs.values() for line in lines):
        return _refused_login(session, refused)
    if not suspects:
        return SlipwayError("SLIP-064", "docker compose could not start the stack", "its message is above")
    return cause(session, suspects[0], logs[suspects[0].name])


def check_password(session: Session) -> bool | None:
    """Log in to the stack's database over the network, with the user and the password that the kit gave it.

    Returns True when it lets us in, None when it could not be asked. Raises ``SlipwayError`` SLIP-065 when
    the volume was created with another user or password.
    """
    settings = session.settings
    secret = settings.path(settings.secrets_dir) / "postgres_password"
    running = [
        c
        for c in engine.containers(session.stack.project)
        if c.service == "db" and c.state == "running" and c.ready
    ]
    address = next((address for c in running for address in c.addresses.values() if address), "")
    if settings.database != "postgres" or not address or not secret.is_file():
        return None
    # Byte for byte: PostgreSQL was given the file, whatever is in it.
    password = secret.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\r\n")
    runner = dataclasses.replace(session.runner, env={"PGPASSWORD": password})
    argv = ["docker", "exec", "--env", "PGPASSWORD", running[0].id, "psql", "--no-password"]
    query = ["--username", settings.db_user, "--dbname", settings.db_name, "--command", "select 1"]
    # Not by the loopback address or the socket, whose connections the image trusts.
    done = runner.capture([*argv, "--host", address, *query], timeout=_PASSWORD_SECONDS)
    if done.returncode == 0:
        return True
    if not _REFUSED.search(done.stderr):
        return None
    # To a client a user that does not exist looks like a wrong password; the socket says which it is.
    if "does not exist" in runner.capture([*argv, *query], timeout=_PASSWORD_SECONDS).stderr:
        raise SlipwayError(
            "SLIP-065",
            f"the database has no user {settings.db_user!r} with a database {settings.db_name!r}: "
            "its volume was created with others",
            "set DB_USER and DB_NAME back to what they were then",
        )
    raise SlipwayError(
        "SLIP-065",
        f"the database refuses the password in {settings.secrets_dir}/postgres_password: "
        "its volume was created with another one",
        f"put the earlier password back into {settings.secrets_dir}/postgres_password; or give the database "
        f"the new one: invoke shell --service db{_prod(session)}, then \\password",
    )


def _refusal(lines: Iterable[str]) -> re.Match[str] | None:
    return next((found for line in lines if (found := _REFUSED.search(line))), None)


def _refused_login(session: Session, refused: re.Match[str]) -> SlipwayError:
    """The error of a project that some database has ``refused``: what is known of the cause, and no more."""
    settings = session.settings
    try:
        known = check_password(session)
    except SlipwayError as certain:
        return certain
    files = f"{settings.app_env} and {settings.app_prod_env if session.stack.prod else settings.app_dev_env}"
    own = f"{{{{secret:postgres_password}}}} for the user {settings.db_user!r}"
    if known:
        return SlipwayError(
            "SLIP-065",
            f"a database refuses the project's login: {refused[0]}; the stack's own database takes the "
            f"password in {settings.secrets_dir}/postgres_password",
            f"correct user and password in {files}; of the stack's own database they are {own}",
        )
    return SlipwayError(
        "SLIP-065",
        f"a database refuses the project's login: {refused[0]}",
        f"compare user and password in {files} with those of the database"
        + (f"; of the stack's own they are {own}" if settings.database == "postgres" else ""),
    )


def cause(session: Session, first: engine.ContainerState, log: Sequence[str] | None = None) -> SlipwayError:
    """The error of a container that is not ready, from its state and its ``log``, by default asked for."""
    log = engine.logs(first, _SEARCHED_LINES) if log is None else log
    if refused := _refusal(log):
        return _refused_login(session, refused)
    ends = bool(first.deaths) or first.state == "restarting" or (first.beside_web and bool(first.restarts))
    # The probe of one that keeps ending says only that nobody answers. A server for development stays.
    seen = "" if ends else "; ".join(filter(None, (first.health_output, _raised(log))))
    why = first.error or seen or reason(log)
    # While one runs, the engine shows no exit code.
    clean = first.exit_code == 0 and first.state != "running" and not first.out_of_memory
    if first.beside_web and first.failed and clean:
        return SlipwayError(
            "SLIP-064",
            f"the service {first.service} does not stay: its command ends without an error, again and again",
            "a process beside web has to go on; a command that is due now and then is a CRON_NAME line "
            "(docs/services.md), in development a loop: sh -c 'while ...; do ...; sleep 60; done'",
        )
    if first.failed:
        todo = "fix it"
        if first.out_of_memory:
            limit = "PROCESS_MEMORY" if first.beside_web else _LIMITS.get(first.service, "WEB_MEMORY")
            why = "it needed more memory than it may have" + (f" ({limit})" if session.stack.prod else "")
            todo = (
                f"raise {limit} in {session.settings.env_file}" if session.stack.prod else "free some memory"
            )
        prod = _prod(session)
        return SlipwayError(
            "SLIP-064",
            f"the service {first.service} {_how(first)}: {why[:300]}",
            f"{todo} and run invoke up{prod} again; its log: invoke logs --services {first.service}{prod}",
        )
    return SlipwayError(
        "SLIP-066",
        f"the service {first.service} was not ready within {session.settings.wait_timeout} s: {why[:300]}",
        "look at its log above; if it only needs longer, raise WAIT_TIMEOUT in .env",
    )


def _how(state: engine.ContainerState) -> str:
    times = f", {state.deaths} times by now" if state.deaths > 1 else ""
    code = f" (exit code {state.exit_code})" if state.exit_code else ""
    return f"keeps ending{times}{code}" if times else f"failed: {state.summary}"


def reason(log: Sequence[str]) -> str:
    """The line of a log that says why a container ended: a traceback's end, else the last error or line.

    Workers and replicas speak at once, and a server has its own last words after those of the project.
    """
    lines = [line.strip() for line in log if line.strip()]
    fatal = [line for line in lines if _FATAL.search(line)]
    return _raised(log) or _explained(lines) or (fatal or lines or ["no log lines"])[-1]


def _raised(log: Sequence[str]) -> str:
    """What the last traceback of the project ends with, or what the kit says of it; empty without one."""
    lines = [line.rstrip() for line in log if line.strip()]
    for at in reversed([i for i, line in enumerate(lines) if line.endswith(_TRACEBACK)]):
        raised = next((line for line in lines[at + 1 :] if _RAISED.fullmatch(line)), "")
        if raised and not raised.startswith(_SERVERS_OWN):
            return _explained(lines[at:]) or raised
    return ""


def _explained(lines: Sequence[str]) -> str:
    """The last message of the kit's own programs, which is no warning; empty where there is none."""
    known = [line for line in lines if "warning: SLIP-" not in line]
    return next((line[m.start() :] for line in reversed(known) if (m := _OURS.search(line))), "")


def _prod(session: Session) -> str:
    return " --prod" if session.stack.prod else ""
