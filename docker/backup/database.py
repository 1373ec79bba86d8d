"""The database as it is at one moment: its facts, and a dump of the same snapshot.

PGHOST, PGUSER and PGDATABASE name it; without PGHOST there is none. EXTRA_DATABASES names others on the
same server, separated by spaces.
"""

import json
import os
import subprocess
import time
from pathlib import Path

from failure import BackupError
from places import say

_PASSWORD = Path("/run/secrets/postgres_password")
_DONE = "slipway-answered"
# docker/migrate_lock.py has the same.
_MIGRATION_LOCK = int.from_bytes(b"SLIPWAY", "big")
_POLL_SECONDS = 0.5
# Against limits that the project has set for its own sessions.
_OPTIONS = (
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
    " -c idle_session_timeout=0 -c row_security=off"
)
# Without tables of extensions, which are in no dump. A partitioned table's rows are in its partitions.
_TABLES = """
SELECT coalesce(jsonb_agg(jsonb_build_array(nspname || '.' || relname, format('%I.%I', nspname, relname))
                          ORDER BY nspname, relname), '[]')
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relkind = 'r' AND relpersistence <> 't' AND nspname NOT IN ('pg_catalog', 'information_schema')
   AND nspname !~ '^pg_(toast|temp)'
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
"""
_MIGRATIONS = "SELECT coalesce(jsonb_agg(app || '.' || name ORDER BY app, name), '[]') FROM django_migrations"
_VERSION = """
SELECT jsonb_build_object('version', current_setting('server_version'),
                          'version_num', current_setting('server_version_num')::int)
"""


def present():
    """Return whether this stack has a database of its own."""
    return bool(os.environ.get("PGHOST"))


def extra_names():
    """Return the names of EXTRA_DATABASES."""
    return os.environ.get("EXTRA_DATABASES", "").split()


def environment():
    """Return the environment for PostgreSQL's programs."""
    password = {"PGPASSWORD": _PASSWORD.read_text().rstrip("\r\n")} if _PASSWORD.exists() else {}
    return {**os.environ, **password, "PGOPTIONS": _OPTIONS, "PGAPPNAME": "slipway backup"}


class Snapshot:
    """A transaction that sees one moment, for the duration of the block; ``alone`` keeps migrations out.

    It is in PGDATABASE, or in the database called ``name``.
    """

    def __init__(self, alone=False, name=""):
        self._alone = alone
        self._name = name

    def __enter__(self):
        self._psql = subprocess.Popen(
            ["psql", "-X", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment(), text=True,
        )  # fmt: skip
        if self._alone:
            # Before the snapshot, which must see what was migrated.
            self._keep_migrations_out()
        self._say("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        return self

    def __exit__(self, *_):
        self._psql.kill()
        self._psql.communicate()

    def _keep_migrations_out(self):
        """Hold the migration lock, which backups share; while migrations are applied, wait for their end.

        Otherwise ALTER TABLE waits for this transaction, pg_dump for ALTER TABLE, and this for pg_dump: for
        ever, and unseen by PostgreSQL. It polls, for the reason given in docker/migrate_lock.py.
        """
        reported = False
        while not self.ask(f"SELECT to_jsonb(pg_try_advisory_lock_shared({_MIGRATION_LOCK}))"):
            if not reported:
                say("waiting for migrations to end")
                reported = True
            time.sleep(_POLL_SECONDS)

    def ask(self, query):
        """Return the one JSON value that ``query`` selects."""
        self._say(f"{query};\n\\echo {_DONE}")
        lines = []
        for line in self._psql.stdout:
            if line.rstrip("\n") == _DONE:
                return json.loads("\n".join(lines))
            lines.append(line.rstrip("\n"))
        raise BackupError(
            "SLIP-100",
            "the database did not answer; its own message is above",
            "invoke ps shows whether it runs; then run the same command again",
        )

    def dump(self, path):
        """Write all that this transaction sees to ``path``, in the custom format."""
        name = self.ask("SELECT to_jsonb(pg_export_snapshot())")
        # Compressed by gzip, the default, because every pg_restore of every build can read that.
        argv = ["pg_dump", "--format=custom", f"--snapshot={name}", f"--file={path}"]
        # Another session's ALTER TABLE may already wait for this transaction, as migrations would.
        argv += ["--lock-wait-timeout=60s"]
        if subprocess.run(argv, env=self._environment(), check=False).returncode:
            raise BackupError(
                "SLIP-100",
                "pg_dump ended with an error, which is above",
                "fix what it says and run the same command again",
            )

    def existing(self, names):
        """Return those of ``names`` that are databases of the server."""
        there = self.ask("SELECT jsonb_agg(datname) FROM pg_database")
        return [name for name in names if name in there]

    def size(self):
        """Return the bytes of the database on its disk."""
        return self.ask("SELECT to_jsonb(pg_database_size(current_database()))")

    def facts(self):
        """Return versions, applied migrations and the number of rows per table."""
        names = self.ask(_TABLES)
        return {
            "postgresql": self.ask(_VERSION),
            "migrations": self.migrations(),
            "tables": {
                name: self.ask(f"SELECT to_jsonb(count(*)) FROM ONLY {quoted}")  # noqa: S608 - quoted by %I
                for name, quoted in names
            },
        }

    def migrations(self):
        """Return the applied ones, as ``app.name``."""
        there_are = self.ask("SELECT to_jsonb(to_regclass('django_migrations') IS NOT NULL)")
        return self.ask(_MIGRATIONS) if there_are else []

    def _environment(self):
        return {**environment(), **({"PGDATABASE": self._name} if self._name else {})}

    def _say(self, text):
        try:
            self._psql.stdin.write(f"{text}\n")
            self._psql.stdin.flush()
        except BrokenPipeError:
            pass  # the next answer is missing, and ask() reports that
