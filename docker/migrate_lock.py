"""The migration lock: a PostgreSQL advisory lock, held by a session of its own; SQLite's is on its file."""

# ruff: noqa: S608 - only our own constants are put into statements here

import contextlib
import fcntl
import os
import socket
import time

# One constant, not one per database name: PostgreSQL keeps advisory locks per database already, and a
# name may differ between two ways to the same database (a PgBouncer alias). The ASCII codes of "SLIPWAY",
# so that it can be recognised in pg_locks and collides with nobody's small numbers.
LOCK_KEY = int.from_bytes(b"SLIPWAY", "big")
# pg_locks shows a key of 64 bits as two halves, and objsubid 1.
_IN_PG_LOCKS = (
    f"l.locktype = 'advisory' AND l.classid = {LOCK_KEY >> 32} AND l.objid = {LOCK_KEY & 0xFFFFFFFF}"
    " AND l.objsubid = 1 AND l.granted"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
POLL_SECONDS = 0.5
REMINDER_SECONDS = 30
# The server drops the session of a vanished machine within a minute instead of hours, and firewalls keep
# an idle one.
_KEEPALIVE = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
# A statement ends soon after its client, however long it would go on and hold its locks.
_KEEPALIVE_FROM_14 = {"client_connection_check_interval": "1s"}
APPLICATION_NAME_BYTES = 63


def end_with_client(connection, **_):
    """Make PostgreSQL end the session of ``connection`` soon after this process; a signal receiver.

    Otherwise a killed migration's last statement would run to its end while the next run has begun.
    """
    if connection.vendor == "postgresql":
        _set(connection, _KEEPALIVE)
        if connection.pg_version >= 140000:
            _set(connection, _KEEPALIVE_FROM_14)


def _set(connection, settings):
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute("SELECT set_config(%s, %s, false)", [name, value])


class LockError(Exception):
    """Why the lock was not acquired or was lost, and the fix, ready to print."""


def lock_timeout(text):
    """Return the seconds of MIGRATE_LOCK_TIMEOUT, written ``300s`` or ``300``; empty means 300.

    Raises LockError for anything else.
    """
    digits = (text or "300s").removesuffix("s")
    if not digits.isdecimal():
        raise LockError(f"SLIP-006: MIGRATE_LOCK_TIMEOUT={text!r} is no number of seconds; fix: such as 300s")
    return int(digits)


def describe(holder):
    """Return one line about a session: (pid, application_name, user, since).

    ``since`` is None where PostgreSQL hides other users' sessions from this user.
    """
    pid, application, user, since = holder
    moment = f", since {since.astimezone():%Y-%m-%d %H:%M:%S %Z}" if since else ""
    return f"{application or 'a session without a name'} (pid {pid}, user {user}{moment})"


class MigrationLock:
    """Hold it with ``acquire`` until ``release``; the end of the process releases it as well.

    ``connection`` is a Django database wrapper nobody else uses, without a pool. A session of its own,
    because migrations close and reopen theirs, and a pool would give a locked one to the next user.
    """

    def __init__(self, connection, say=print):
        self._connection = connection
        self._say = say
        self._pid = None

    def acquire(self, timeout):
        """Wait for the lock, printing who has it. Raises LockError after ``timeout`` seconds.

        It polls instead of waiting in ``pg_advisory_lock``: a statement that waits holds a snapshot, and
        CREATE INDEX CONCURRENTLY in the holder's migration would wait for that.
        """
        self._prepare()
        started = time.monotonic()
        reported, reported_at = None, started
        while not self._try():
            holder = self._holder()
            now = time.monotonic()
            if now - started >= timeout:
                raise LockError(
                    f"SLIP-086: migrations have waited {timeout} s for "
                    f"{describe(holder) if holder else 'the migration lock'}; fix: wait until it is done, or "
                    f"end it (SELECT pg_terminate_backend({holder[0] if holder else 'PID'})), "
                    "or raise MIGRATE_LOCK_TIMEOUT"
                )
            if holder and (holder != reported or now - reported_at >= REMINDER_SECONDS):
                self._say(f"migrate: waiting for {describe(holder)}; {now - started:.0f} of {timeout} s")
                reported, reported_at = holder, now
            time.sleep(POLL_SECONDS)

    def require(self, connection):
        """Check over ``connection`` that the lock is still held. Raises LockError if not.

        A session can end without this process noticing: a restarted server, pg_terminate_backend.
        """
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM pg_locks l WHERE {_IN_PG_LOCKS} AND l.pid = %s", [self._pid])
            if not cursor.fetchone():
                raise LockError(
                    "SLIP-087: the migration lock was lost: its session on the server has ended, and another "
                    "run may have begun; fix: run the migrations again"
                )

    def release(self):
        """End the session, and with it the lock."""
        self._connection.close()

    def _prepare(self):
        _set(self._connection, {"application_name": session_name()})
        if self._connection.pg_version >= 140000:
            _set(self._connection, {"idle_session_timeout": "0"})

    def _try(self):
        self._pid, held = self._execute("SELECT pg_backend_pid(), pg_try_advisory_lock(%s)", [LOCK_KEY])
        return held

    def _holder(self):
        # The lock is the last thing its session did, so its last change of state is when it got it.
        return self._execute(
            "SELECT a.pid, a.application_name, a.usename, a.state_change"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            f" WHERE {_IN_PG_LOCKS}"
        )

    def _execute(self, statement, parameters=()):
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchone()


@contextlib.contextmanager
def sqlite_lock(name, timeout, say=print):
    """Hold the lock on the SQLite file ``name`` for the block; one in memory has none. Raises LockError.

    It is flock's, which is independent of SQLite's own locks and ends with the process. A missing file is
    created: to SQLite an empty one is a new database.
    """
    if ":memory:" in name or name.startswith("file:") or not name:
        yield
        return
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        started, reported = time.monotonic(), False
        while not _locked(descriptor):
            if time.monotonic() - started >= timeout:
                raise LockError(
                    f"SLIP-086: migrations have waited {timeout} s for another run on {name}; fix: wait "
                    "until it is done, or end it, or raise MIGRATE_LOCK_TIMEOUT"
                )
            if not reported:
                say(f"migrate: waiting for another run on {name}")
                reported = True
            time.sleep(POLL_SECONDS)
        yield
    finally:
        # Only now: closing any descriptor of the file ends this process's SQLite locks on it.
        os.close(descriptor)


def _locked(descriptor):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def session_name():
    """Return the name of the lock's session in pg_stat_activity: release and host, the container's id."""
    name = f"slipway migrate {os.environ.get('RELEASE') or 'dev'} on {socket.gethostname()}"
    return name.encode()[:APPLICATION_NAME_BYTES].decode(errors="ignore")
