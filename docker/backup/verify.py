"""Prove that an archive can be restored, into a PostgreSQL and a folder that exist for this alone."""

import json
import os
import subprocess
import time
from pathlib import Path

import archive
import database
import parts
import places
import sqlitefile
from failure import BackupError, full_disk_reported, require_space
from places import say

SCRATCH = Path("/scratch")
_START_SECONDS = 120
# This server's data is discarded when it ends. No parallel workers: the container's shared memory is
# small.
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}


def verify():
    """Restore the files that ``unpack`` left, and compare; returns ``rows``, one dict per comparison.

    Each has ``what``, ``expected``, ``found`` and ``same``.
    """
    folder = places.WORK / "verify"
    metadata = json.loads((folder / archive.METADATA).read_text())
    held = parts.held(metadata)
    needed = sum(metadata[part.name]["bytes"] for part in held) + metadata.get("database_bytes", 0)
    require_space(places.free(SCRATCH), needed, "a verification")
    rows = []
    with full_disk_reported("the archive was restored for verification"):
        if archive.DATABASE in metadata["members"]:
            rows += _databases(folder, metadata)
        for part in held:
            rows += _files(part, folder / part.member, metadata[part.name])
    return {"rows": rows}


def _databases(folder, metadata):
    say("starting a PostgreSQL of its own")
    with _server():
        rows = _database(folder / archive.DATABASE, metadata)
        for name in archive.extra_databases(metadata):
            subprocess.run(["createdb", "--template=template0", name], env=database.environment(), check=True)
            facts = metadata["extra_databases"][name]
            rows += _database(folder / archive.extra_member(name), facts, name)
    return rows


def _database(dump, facts, name=""):
    """Restore ``dump`` and compare with ``facts``; ``name`` is one of EXTRA_DATABASES; empty: ours."""
    say(f"restoring the database {name}".rstrip())
    argv = ["pg_restore", "--exit-on-error", "--no-owner", "--no-privileges"]
    argv += [f"--dbname={name or os.environ['PGDATABASE']}", str(dump)]
    if subprocess.run(argv, env=database.environment(), check=False).returncode:
        raise BackupError(
            "SLIP-102",
            "pg_restore ended with an error, which is above",
            "make another backup, and verify that",
        )
    say("counting rows")
    with database.Snapshot(name=name) as snapshot:
        found = snapshot.facts()
    tables, of = facts["tables"], f"{name}: " if name else ""
    rows = [
        _compared(of + table, tables.get(table), found["tables"].get(table))
        for table in sorted({*tables, *found["tables"]})
    ]
    return [*rows, _compared(f"{of}migrations", facts["migrations"], found["migrations"])]


def _files(part, packed, facts):
    say(f"restoring {part.name}")
    target = SCRATCH / part.name
    target.mkdir()
    with packed.open("rb") as stream:
        parts.unpack(part, stream, "the archive", target, limit=facts["bytes"])
    # Count the files on the disk, not those that unpack() reports.
    paths = [path for path in target.rglob("*") if path.is_file() and not path.is_symlink()]
    sizes = [path.lstat().st_size for path in paths]
    databases = [path for path in sorted(paths) if part is parts.DATA and sqlitefile.is_database(path)]
    rows = [
        _compared(f"{part.name} files", facts["files"], len(sizes)),
        _compared(f"{part.name} bytes", facts["bytes"], sum(sizes)),
    ]
    if part is parts.DATA:
        rows += [_compared("SQLite databases", len(facts["sqlite"]), len(databases))]
    for path in databases:
        rows += [_compared(f"SQLite {path.relative_to(target)}", "ok", sqlitefile.problems(path))]
    return rows


def _compared(what, expected, found):
    return {"what": what, "expected": expected, "found": found, "same": expected == found}


class _server:  # noqa: N801 - used as a function
    """A PostgreSQL in this container alone, by the image's own entrypoint, for the duration of the block."""

    def __enter__(self):
        os.environ |= {"PGHOST": "127.0.0.1", "PGDATABASE": "slipway_own", "PGDATA": str(SCRATCH / "pgdata")}
        os.environ.setdefault("PGUSER", "postgres")
        # The container has no network, and nobody else is in it.
        setup = {
            "POSTGRES_USER": os.environ["PGUSER"],
            "POSTGRES_DB": os.environ["PGDATABASE"],
            "POSTGRES_HOST_AUTH_METHOD": "trust",
        }
        options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
        self._log = (SCRATCH / "server.log").open("w+")
        self._process = subprocess.Popen(
            ["docker-entrypoint.sh", "postgres", *options],
            env={**os.environ, **setup}, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        # By TCP: while the entrypoint creates the cluster, its server listens on the socket alone.
        while subprocess.run(["pg_isready", "--quiet"], check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                self._log.seek(0)
                say(self._log.read())
                raise BackupError(
                    "SLIP-102", "the PostgreSQL of the verification did not start", "its log is above"
                )
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
