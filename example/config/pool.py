"""Check whether a connection of the pool still works."""

import select

from psycopg import Connection
from psycopg_pool import ConnectionPool


def check(connection: Connection) -> None:
    """Raise ``psycopg.OperationalError`` when the server has ended ``connection``.

    Django's own check asks the server before each request, which costs a third of a simple page. This one
    looks at the socket: on an idle connection that works nothing has arrived, and of one that the server has
    ended, or that the kernel has given up (``keepalives_*`` in the settings), it says so. Then the server is
    asked after all: it may have sent a notice.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        ConnectionPool.check_connection(connection)
