"""A DNS server that asks Docker's own and answers 1.5 s later, as one under load does.

Runs in a container on UDP port 53, standard library only.
"""

from __future__ import annotations

import socket
import threading
import time

DELAY_SECONDS = 1.5  # less than nginx's resolver_timeout
DOCKERS_OWN = ("127.0.0.11", 53)


def ask(query: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
        upstream.settimeout(5)
        upstream.sendto(query, DOCKERS_OWN)
        return upstream.recv(4096)


def answer(server: socket.socket, query: bytes, client: tuple[str, int]) -> None:
    time.sleep(DELAY_SECONDS)
    server.sendto(ask(query), client)


def serve() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", 53))
        while True:
            query, client = server.recvfrom(4096)
            threading.Thread(target=answer, args=(server, query, client), daemon=True).start()


if __name__ == "__main__":
    serve()
