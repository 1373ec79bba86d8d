"""Check whether a connection of the pool still works."""

import select

from psycopg import Connection
from psycopg_pool import ConnectionPool


def check(connection: Connection) -> None:
    """Raise ``psycopg.OperationalError`` when the server has ended ``connection``.

    Django's own check asks the server before each request, which costs a third of a simple page. This one
    looks at the socket: an idle connection that works has received nothing; the socket shows it if the server
    has ended the connection, or the kernel has given it up (``keepalives_*`` in the settings). Only then this
    asks the server after all: it may have sent a notice.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        ConnectionPool.check_connection(connection)
