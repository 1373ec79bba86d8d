"""Shows containers that did not become ready, and builds the error that names the cause."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine
from slipway.orchestrators.session import Session

__all__ = ["cause", "check_password", "failure", "pass_on_warnings", "reason", "warnings"]

# gunicorn prints why a worker did not boot, then forty lines of its own traceback.
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
    """Repeat the warnings of a one-shot ``service`` that succeeded: nobody reads its log."""
    for state in engine.containers(project, service):
        warnings(state)


def warnings(state: engine.ContainerState) -> None:
    """Repeat the warnings in a container's log."""
    for line in engine.logs(state, _SEARCHED_LINES):
        if "warning: SLIP-" in line:
            note(line[line.index("warning: ") :])


def failure(session: Session, broken: Sequence[engine.ContainerState]) -> SlipwayError:
    """Print state and last log lines of the ``broken`` containers; return the error that names the cause."""
    # A container that only waits for another never started: it is not the cause and has no log.
    suspects = sorted(
        (state for state in broken if state.failed or state.state != "created"),
        key=lambda state: not state.failed,
    )
    logs = {state.name: engine.logs(state, _SEARCHED_LINES) for state in suspects}
    shown: set[str] = set()
    for state in suspects:
        note(f"\n{state.name}: {state.summary}" + (f", {state.health_output}" if state.health_output else ""))
        # Replicas log the same.
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
    """Log in to the stack's database over the network, with the user and password that the kit gave it.

    Returns True when the login succeeds, None when it could not be tried. Raises ``SlipwayError`` SLIP-065
    when the volume was created with another user or password.
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
    # Byte for byte: PostgreSQL read the same file.
    password = secret.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\r\n")
    runner = dataclasses.replace(session.runner, env={"PGPASSWORD": password})
    argv = ["docker", "exec", "--env", "PGPASSWORD", running[0].id, "psql", "--no-password"]
    query = ["--username", settings.db_user, "--dbname", settings.db_name, "--command", "select 1"]
    # Not by the loopback address or the socket: the image trusts those without a password.
    done = runner.capture([*argv, "--host", address, *query], timeout=_PASSWORD_SECONDS)
    if done.returncode == 0:
        return True
    if not _REFUSED.search(done.stderr):
        return None
    # A client cannot tell a missing user from a wrong password; a login by the socket can.
    if "does not exist" in runner.capture([*argv, *query], timeout=_PASSWORD_SECONDS).stderr:
        raise SlipwayError(
            "SLIP-065",
            f"the database has no user {settings.db_user!r} with a database {settings.db_name!r}: "
            "its volume was created with other names",
            "set DB_USER and DB_NAME back to their values from that time",
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
    """Return the error for a login that some database ``refused``, with only the known part of the cause."""
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
            f"correct user and password in {files}; for the stack's own database they are {own}",
        )
    return SlipwayError(
        "SLIP-065",
        f"a database refuses the project's login: {refused[0]}",
        f"compare user and password in {files} with those of the database"
        + (f"; for the stack's own they are {own}" if settings.database == "postgres" else ""),
    )


def cause(session: Session, first: engine.ContainerState, log: Sequence[str] | None = None) -> SlipwayError:
    """Return the error for a container that is not ready, from its state and ``log`` (default: read now)."""
    log = engine.logs(first, _SEARCHED_LINES) if log is None else log
    if refused := _refusal(log):
        return _refused_login(session, refused)
    ends = bool(first.deaths) or first.state == "restarting" or (first.beside_web and bool(first.restarts))
    # If it keeps ending, its probe only reports that nothing answers. A development server stays up.
    seen = "" if ends else "; ".join(filter(None, (first.health_output, _raised(log))))
    why = first.error or seen or reason(log)
    # While one runs, the engine shows no exit code.
    clean = first.exit_code == 0 and first.state != "running" and not first.out_of_memory
    if first.beside_web and first.failed and clean:
        return SlipwayError(
            "SLIP-064",
            f"the service {first.service} does not stay up: its command ends without an error, repeatedly",
            "a process next to web must keep running; make a periodic command a CRON_NAME line "
            "(docs/services.md), in development a loop: sh -c 'while ...; do ...; sleep 60; done'",
        )
    if first.failed:
        todo = "fix it"
        if first.out_of_memory:
            limit = "PROCESS_MEMORY" if first.beside_web else _LIMITS.get(first.service, "WEB_MEMORY")
            why = "it needed more memory than its limit" + (f" ({limit})" if session.stack.prod else "")
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
    times = f", {state.deaths} times so far" if state.deaths > 1 else ""
    code = f" (exit code {state.exit_code})" if state.exit_code else ""
    return f"keeps ending{times}{code}" if times else f"failed: {state.summary}"


def reason(log: Sequence[str]) -> str:
    """Return the log line that says why a container ended: a traceback's end, else the last error or line.

    Workers and replicas log at the same time, and a server logs more lines after the project's last one.
    """
    lines = [line.strip() for line in log if line.strip()]
    fatal = [line for line in lines if _FATAL.search(line)]
    return _raised(log) or _explained(lines) or (fatal or lines or ["no log lines"])[-1]


def _raised(log: Sequence[str]) -> str:
    """Return the end of the project's last traceback, or the kit's message about it; empty without one."""
    lines = [line.rstrip() for line in log if line.strip()]
    for at in reversed([i for i, line in enumerate(lines) if line.endswith(_TRACEBACK)]):
        raised = next((line for line in lines[at + 1 :] if _RAISED.fullmatch(line)), "")
        if raised and not raised.startswith(_SERVERS_OWN):
            return _explained(lines[at:]) or raised
    return ""


def _explained(lines: Sequence[str]) -> str:
    """Return the last message of the kit's own programs that is not a warning; empty where there is none."""
    known = [line for line in lines if "warning: SLIP-" not in line]
    return next((line[m.start() :] for line in reversed(known) if (m := _OURS.search(line))), "")


def _prod(session: Session) -> str:
    return " --prod" if session.stack.prod else ""
