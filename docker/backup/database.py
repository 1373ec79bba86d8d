"""The database as it is at one moment: its facts, and a dump of the same snapshot.

Where it is stands in PGHOST, PGUSER and PGDATABASE; without PGHOST there is none.
"""

import json
import os
import subprocess
from pathlib import Path

from failure import BackupError

_PASSWORD = Path("/run/secrets/postgres_password")
_DONE = "slipway-answered"
# Whatever limits the project has set for its own sessions.
_OPTIONS = (
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
    " -c idle_session_timeout=0 -c row_security=off"
)
# Not those of extensions, which are in no dump. Of a partitioned table the partitions, which hold the rows.
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
    """Tell whether this stack has a database of its own."""
    return bool(os.environ.get("PGHOST"))


def environment():
    """Return the environment for PostgreSQL's programs."""
    password = {"PGPASSWORD": _PASSWORD.read_text().rstrip("\r\n")} if _PASSWORD.exists() else {}
    return {**os.environ, **password, "PGOPTIONS": _OPTIONS, "PGAPPNAME": "slipway backup"}


class Snapshot:
    """One transaction that sees one moment, for as long as the block lasts."""

    def __enter__(self):
        self._psql = subprocess.Popen(
            ["psql", "-X", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True,
        )  # fmt: skip
        self._say("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        return self

    def __exit__(self, *_):
        self._psql.kill()
        self._psql.communicate()

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
        if subprocess.run(argv, env=environment(), check=False).returncode:
            raise BackupError(
                "SLIP-100",
                "pg_dump ended with an error, which is above",
                "mend what it says and run the same command again",
            )

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

    def _say(self, text):
        try:
            self._psql.stdin.write(f"{text}\n")
            self._psql.stdin.flush()
        except BrokenPipeError:
            pass  # the next answer is missing, and that is told
