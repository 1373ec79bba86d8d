"""Dump and restore of the stack's own PostgreSQL (the service ``db``).

PostgreSQL's own programs do it, in that container and over its local socket. A restore fills a new database
next to the serving one; at the end the two swap names in one transaction, together with any others
(EXTRA_DATABASES).
"""

# ruff: noqa: S608 - statements contain only our own names, and one that Settings has checked

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.orchestrators.session import Session

__all__ = ["NO_LIMITS", "beside", "check", "dump", "dump_all", "existing", "major", "restore", "settled"]

NO_LIMITS = "PGOPTIONS=-c statement_timeout=0 -c lock_timeout=0 -c default_transaction_read_only=off"
"""For our own sessions, regardless of the limits that the project has set."""

# By these names a later run recognises what a killed one left behind.
_NEW, _FORMER = "slipway_restoring_", "slipway_replaced_"
_RESTORE = "slipway restore"
_SWAP_ATTEMPTS = 6  # about 5 s each: PostgreSQL waits that long for other sessions to end


def _one_line(statement: str) -> str:
    """Return the statement on one line, readable in the echo of a command."""
    return " ".join(statement.split())


_CREATE = _one_line("""
SELECT format('CREATE DATABASE {new} TEMPLATE template0 OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L',
              pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype)
  FROM pg_database WHERE datname = '{name}'
""")

# Properties of a database that no dump contains. The values of the parameters listed here are lists,
# stored as written: in quotes they would become a single name (pg_dump has the same list).
_PROPERTIES = _one_line("""
DO $$
DECLARE statement text;
BEGIN
  FOR statement IN
    SELECT format('ALTER %s SET %I TO %s',
             CASE setrole WHEN 0 THEN 'DATABASE {new}'
               ELSE format('ROLE %I IN DATABASE {new}', pg_get_userbyid(setrole)) END,
             parameter,
             CASE WHEN parameter IN ('local_preload_libraries', 'search_path', 'session_preload_libraries',
                                     'shared_preload_libraries', 'temp_tablespaces')
               THEN value ELSE quote_literal(value) END)
      FROM pg_database d JOIN pg_db_role_setting ON setdatabase = d.oid, unnest(setconfig) entry,
           LATERAL (SELECT split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1))
             AS setting (parameter, value)
      WHERE datname = '{name}'
    UNION ALL
    SELECT format('ALTER DATABASE {new} CONNECTION LIMIT %s', datconnlimit)
      FROM pg_database WHERE datname = '{name}'
    UNION ALL
    SELECT format('COMMENT ON DATABASE {new} IS %L', shobj_description(oid, 'pg_database'))
      FROM pg_database WHERE datname = '{name}'
    UNION ALL
    SELECT format('REVOKE ALL ON DATABASE {new} FROM PUBLIC, %I', pg_get_userbyid(datdba))
      FROM pg_database WHERE datname = '{name}' AND datacl IS NOT NULL
    UNION ALL
    SELECT format('GRANT %s ON DATABASE {new} TO %s%s', privilege_type,
             CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
             CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
      FROM pg_database, aclexplode(datacl) WHERE datname = '{name}'
  LOOP
    EXECUTE statement;
  END LOOP;
END $$
""")

_COUNT_TABLES = _one_line("""
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema')
   AND nspname !~ '^pg_(toast|temp)'
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
""")

# Ends the sessions of databases until the first is renamed; by oid, because new ones take over the names.
_END_SESSIONS = _one_line("""
DO $$
BEGIN
  FOR attempt IN 1..60 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM pg_database WHERE oid = {oid} AND datname = '{name}');
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datid IN ({oids});
    PERFORM pg_stat_clear_snapshot();
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$
""")

# ALTER DATABASE RENAME first keeps new sessions out, then waits up to 5 s for the existing ones.
# Another session must end them during that wait: a pool whose sessions end earlier reconnects at once.
_SWAP = """\
psql -X --quiet --command "$1" & shift; \
for statement; do set -- "$@" --command "$statement"; shift; done; \
psql -X --quiet --set ON_ERROR_STOP=1 --single-transaction "$@"; \
code=$?; wait; exit "$code"\
"""


def dump_all(session: Session, target: Path) -> None:
    """Dump the project's own database and EXTRA_DATABASES to the files that ``beside`` finds."""
    dump(session, target)
    for name in existing(session, session.settings.extra_databases):
        dump(session, target.with_name(f"{target.name}.{name}"), name)


def beside(dump: Path) -> dict[str, Path]:
    """Return the dumps of EXTRA_DATABASES that were made together with ``dump``, by database name."""
    found = (path for path in dump.parent.glob(f"{dump.name}.*") if path.suffix != ".part")
    return {path.name.removeprefix(f"{dump.name}."): path for path in sorted(found)}


def existing(session: Session, names: Sequence[str]) -> list[str]:
    """Return those of ``names`` that are databases of the server; all in a dry run. Raises SLIP-060."""
    if session.runner.dry or not names:
        return list(names)
    there = _Server(session, "slipway").ask("SELECT datname FROM pg_database")
    return [name for name in names if name in there]


def dump(session: Session, target: Path, name: str = "") -> None:
    """Write the database to ``target`` in pg_dump's custom format: complete, on the disk, read back.

    ``name`` is one of EXTRA_DATABASES; empty: the project's own. The folder must exist; only the owner can
    read the file. Raises ``SlipwayError`` SLIP-060 when pg_dump fails, SLIP-089 when its file cannot be read.
    Then ``target`` does not exist.
    """
    server = _Server(session, "slipway dump")
    argv = server.program("pg_dump", "--format=custom", f"--dbname={name or server.name}")
    session.runner.run(argv, stdout=target)
    if session.runner.dry:
        return
    try:
        _read(server, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def check(session: Session, source: Path, called: Path) -> None:
    """Raise ``SlipwayError`` SLIP-089, which names ``called``, unless pg_restore reads all of ``source``."""
    _read(_Server(session, "slipway dump"), source, called)


def major(session: Session) -> int:
    """Return the server's major version. Raises SLIP-060."""
    [number] = _Server(session, "slipway").ask("SHOW server_version_num")
    return int(number) // 10_000


def restore(
    session: Session,
    source: Path,
    extra: Mapping[str, Path] | None = None,
    *,
    roles: frozenset[str] | None = None,
) -> None:
    """Replace the database with the contents of ``source``, a dump in the custom format.

    With ``roles``, ``source`` is plain SQL from ``plainsql.prepare`` that names these roles.
    ``extra`` has the dumps of other databases, by name: all are replaced, or none. The current ones serve
    unchanged until they swap names with the new ones; then their sessions are ended and they are dropped. The
    disk must have room for both. The caller must make sure that no other restore runs.
    Raises ``SlipwayError`` SLIP-089 when a source is not a whole dump, SLIP-093 when it could not be
    restored, SLIP-060 when the server does not answer: the databases are as before.
    """
    server = _Server(session, _RESTORE)
    parts = [_Part(server.name, source, roles), *(_Part(name, path) for name, path in (extra or {}).items())]
    if session.runner.dry:
        for part in parts:
            argv = server.program("pg_restore", "--exit-on-error", f"--dbname={part.new}")
            session.runner.run(argv, stdin=part.source)
        session.runner.run(server.psql(*(s for part in parts for s in part.renaming())))
        return
    server.clear()
    contents = [_read(server, part.source) if part.roles is None else None for part in parts]
    created: list[str] = []
    try:
        for part, found in zip(parts, contents, strict=True):
            created.append(server.create(part))
            server.fill(part, found)
        server.swap(parts, created[0])
    except BaseException:
        server.give_up(created[0] if created else "")
        raise
    for part in parts:
        server.drop(part.former)


def settled(session: Session) -> str:
    """End an interrupted restore that still runs, then return which database serves.

    Returns the oid of the project's own database; one that takes its name later has another oid.
    Raises ``SlipwayError`` SLIP-060 when the server does not answer.
    """
    server = _Server(session, _RESTORE)
    server.clear()
    return server.oid(server.name)


class _Part:
    """One database to restore: its name, its dump, and the temporary names of the new and the old one.

    ``roles`` are those that a dump in plain SQL names.
    """

    def __init__(self, name: str, source: Path, roles: frozenset[str] | None = None) -> None:
        self.name = name
        self.source = source
        self.roles = roles
        mark = secrets.token_hex(4)
        self.new, self.former = _NEW + mark, _FORMER + mark

    def renaming(self) -> list[str]:
        """Return the two statements that put the new one in the place of the serving one."""
        return [
            f'ALTER DATABASE "{self.name}" RENAME TO {self.former}',
            f'ALTER DATABASE {self.new} RENAME TO "{self.name}"',
        ]


@dataclass(frozen=True)
class _Dump:
    """Facts from a dump's table of contents."""

    tables: int
    owners: frozenset[str]


def _read(server: _Server, source: Path, called: Path | None = None) -> _Dump:
    """Read all of ``source``: its table of contents comes first and would not reveal a missing end."""
    called = called or source
    if not source.is_file() or not source.stat().st_size:
        raise _unreadable(called, "it is empty" if source.is_file() else "there is no such file")
    for option in ("--file=/dev/null", "--list"):
        done = server.session.runner.capture(server.program("pg_restore", option), stdin=source)
        if done.returncode:
            raise _unreadable(called, _reason(done.stderr))
    return _contents(done.stdout)


def _contents(listing: str) -> _Dump:
    """Count the tables and collect the owners in what ``pg_restore --list`` prints.

    Its lines are "ID; OID OID KIND SCHEMA NAME OWNER"; one without owner ends in a blank.
    """
    entries = [line for line in listing.splitlines() if re.match(r"\d+; ", line)]
    tables = [line for line in entries if re.match(r"\d+; \d+ \d+ TABLE (?!DATA |ATTACH )", line)]
    return _Dump(len(tables), frozenset(line.rsplit(" ", 1)[1] for line in entries) - {""})


def _unreadable(source: Path, why: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-089",
        f"{source} is not a dump that can be restored: {why}",
        "use another one, written by pg_dump --format=custom",
    )


def _reason(output: str) -> str:
    """Return the first error that one of PostgreSQL's programs prints, else the last line."""
    found = re.search(r"^\w+: (?:error|fatal): +(.*)", output, re.MULTILINE)
    return found[1] if found else (output.strip() or "no output").splitlines()[-1]


def _not_restored(why: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-093",
        f"the dump was not restored, and the database is as before: {why}",
        "fix the cause and rerun the command",
    )


class _Server:
    """The server of one stack. ``application`` is the name of its sessions."""

    def __init__(self, session: Session, application: str) -> None:
        self.session = session
        self.runner = session.runner
        self.name = session.settings.db_name
        # A database with a session cannot be renamed.
        self._elsewhere = "postgres" if self.name != "postgres" else "template1"
        self._env = (
            f"PGAPPNAME={application}",
            f"PGUSER={session.settings.db_user}",
            NO_LIMITS,
        )

    def program(self, name: str, *arguments: str, database: str = "") -> list[str]:
        """Return the argv of a program in the container of ``db``, as the database's owner."""
        env = (*self._env, f"PGDATABASE={database or self._elsewhere}")
        flags = [word for variable in env for word in ("--env", variable)]
        return self.session.stack.command("exec", "-T", *flags, "db", name, *arguments)

    def psql(self, *statements: str, database: str = "") -> list[str]:
        """Return the argv that executes statements, in one transaction if there are several."""
        options = ["-X", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]
        options += ["--single-transaction"] if len(statements) > 1 else []
        options += [word for statement in statements for word in ("--command", statement)]
        return self.program("psql", *options, database=database)

    def ask(self, query: str, database: str = "") -> list[str]:
        """Return the rows of ``query``. Raises SLIP-060."""
        argv = self.psql(query, database=database)
        return self.runner.capture(argv, check=True).stdout.splitlines()

    def do(self, *argv: str, stdin: Path | None = None) -> None:
        """Run a step of a restore. Raises SLIP-093."""
        code = self.runner.run(argv, check=False, stdin=stdin).returncode
        if code:
            raise _not_restored(f"the command above ended with exit code {code}")

    def clear(self) -> None:
        """End the sessions of an interrupted restore, and drop its databases."""
        # The programs of a killed command keep running in the container and could still swap the names.
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name = '{_RESTORE}' AND pid <> pg_backend_pid()"
        )
        ours = f"^({_NEW}|{_FORMER})[0-9a-f]{{8}}$"
        for name in self.ask(f"SELECT datname FROM pg_database WHERE datname ~ '{ours}'"):
            self.drop(name)

    def give_up(self, created: str) -> None:
        """Clear, and print a note if an interrupted swap of names has succeeded after all."""
        try:
            self.clear()
            if created and self.oid(self.name) == created:
                note("the databases had already swapped names: the restored one serves")
        except SlipwayError as silent:
            note(f"the next restore will clean up after this one: {silent.problem}")

    def create(self, part: _Part) -> str:
        """Create an empty database with owner, encoding and locale of the serving one; return its oid."""
        statements = self.ask(_CREATE.format(new=part.new, name=part.name))
        if not statements:
            raise _not_restored(f"there is no database {part.name} on this server")
        self.do(*self.psql(*statements))
        return self.oid(part.new)

    def fill(self, part: _Part, found: _Dump | None) -> None:
        """Restore the dump and check that no table is missing; for plain SQL their number is unknown."""
        new = part.new
        if found:
            self._restore(part, found)
        else:
            self._execute(part)
        # No dump has statistics either; without them the planner guesses at first.
        self.do(*self.psql("ANALYZE", database=new))
        self.do(*self.psql(_PROPERTIES.format(new=new, name=part.name)))

    def _restore(self, part: _Part, found: _Dump) -> None:
        new = part.new
        options = ["--exit-on-error", f"--dbname={new}"]
        missing = found.owners - set(self.ask("SELECT rolname FROM pg_roles"))
        if missing:
            note(f"the dump's owners {', '.join(sorted(missing))} do not exist here: DB_USER owns everything")
            options += ["--no-owner", "--no-privileges"]
        self.do(*self.program("pg_restore", *options), stdin=part.source)
        [tables] = self.ask(_COUNT_TABLES, database=new)
        if int(tables) != found.tables:
            raise _not_restored(f"{tables} of {found.tables} tables came out of the dump")

    def _execute(self, part: _Part) -> None:
        """Make psql read the dump, in one transaction that also creates the roles that this server lacks.

        It drops them at its end: everything then belongs to the database's owner.
        """
        probe = self.runner.capture(self.program("psql", "-X", "--command", "\\restrict probe"))
        if probe.returncode:
            raise _not_restored(
                f"this psql cannot safely read plain SQL from elsewhere ({_reason(probe.stderr)});"
                " newer images of the same PostgreSQL can"
            )
        missing = sorted((part.roles or frozenset()) - set(self.ask("SELECT rolname FROM pg_roles")))
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in missing)
        before = [f"CREATE ROLE {name}" for name in quoted.split(", ")] if missing else []
        after = [
            f"REASSIGN OWNED BY {quoted} TO CURRENT_USER",
            f"DROP OWNED BY {quoted}",
            f"DROP ROLE {quoted}",
        ]
        if missing:
            note(f"the dump's roles {', '.join(missing)} do not exist here: DB_USER owns everything")
        options = ["-X", "--quiet", "--output=/dev/null", "--set", "ON_ERROR_STOP=1", "--single-transaction"]
        options += [word for statement in before for word in ("--command", statement)]
        options += ["--file=-"]
        options += [word for statement in (after if missing else []) for word in ("--command", statement)]
        self.do(*self.program("psql", *options, database=part.new), stdin=part.source)
        [tables] = self.ask(_COUNT_TABLES, database=part.new)
        if not int(tables):
            raise _not_restored("no table came out of it")

    def swap(self, parts: Sequence[_Part], created: str) -> None:
        """End the sessions of the serving databases and give their names to the new ones.

        ``created`` is the oid of the first new one.
        """
        oids = [self.oid(part.name) for part in parts]
        ending = _END_SESSIONS.format(oid=oids[0], name=parts[0].name, oids=", ".join(oids))
        renaming = [statement for part in parts for statement in part.renaming()]
        script = self.program("sh", "-c", _SWAP, "swap", ending, *renaming)
        for _ in range(_SWAP_ATTEMPTS):
            self.runner.run(script, check=False)
            # Not the exit code: the connection to the engine may have broken after the commit.
            if self.oid(parts[0].name) == created:
                return
        raise _not_restored("sessions of the current database do not end; the reason is above")

    def oid(self, name: str) -> str:
        """Return the oid of the database of that name, empty when there is none. Raises SLIP-060."""
        return "".join(self.ask(f"SELECT oid FROM pg_database WHERE datname = '{name}'"))

    def drop(self, name: str) -> None:
        """Drop an unneeded database; a failure is reported and left to a later run."""
        argv = self.psql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if self.runner.run(argv, check=False).returncode:
            note(f"the database {name} could not be dropped; the next restore tries again")
