"""Processes and containers that end, stop or hang."""

from __future__ import annotations

import signal

from chaoskit import endured, init_pid, kill, master_pid, worker_pids

from tests.support.polling import eventually
from tests.support.world import World, docker

# More than a replica's two workers have threads, whichever of them takes a connection.
_HANG = """
import socket, time
kept = []
for _ in range(40):
    connection = socket.create_connection(("127.0.0.1", 8000))
    connection.sendall(b"GET /hang HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    kept.append(connection)
print("hung", flush=True)
time.sleep(600)
"""


def test_a_killed_worker_is_replaced(prod: World) -> None:
    """Red when nginx does not ask another replica: every GET in flight then fails."""
    with endured(prod, "worker-killed"):
        kill(worker_pids(prod, "web")[0])


def test_a_stopped_worker_is_replaced(prod: World) -> None:
    """Red with `timeout = 0` in docker/gunicorn.conf.py."""
    with endured(prod, "worker-stopped"):
        stopped = worker_pids(prod, "web")[0]
        kill(stopped, by=signal.SIGSTOP)
        eventually(lambda: stopped not in worker_pids(prod, "web"), "another worker", timeout=60)


def test_hung_workers_are_replaced(prod: World) -> None:
    """Red without `post_worker_init` in docker/gunicorn.conf.py and `--end-if-silent` in compose/prod.yaml."""
    with endured(prod, "workers-hung"):
        hung = set(worker_pids(prod, "web"))
        name = f"{prod.project}-web-1"
        docker("exec", "--detach", name, "python", "-c", _HANG)
        eventually(lambda: not hung & set(worker_pids(prod, "web")), "other workers", timeout=120)


def test_a_server_without_a_master_is_restarted(prod: World) -> None:
    """Red without `--end-if-silent` in compose/prod.yaml: nothing else looks after the master."""
    with endured(prod, "master-stopped"):
        before = init_pid(prod, "web")
        workers = worker_pids(prod, "web")
        kill(master_pid(prod, "web"), by=signal.SIGSTOP)
        kill(*workers)
        eventually(lambda: init_pid(prod, "web") not in (before, 0), "another container process", timeout=150)


def test_a_killed_replica_is_restarted(prod: World) -> None:
    """Red with `restart: "no"`."""
    with endured(prod, "replica-killed"):
        kill(init_pid(prod, "web"))


def test_all_replicas_killed_are_restarted(prod: World) -> None:
    """Red with `restart: "no"`."""
    with endured(prod, "web-killed"):
        kill(init_pid(prod, "web", 1), init_pid(prod, "web", 2))


def test_a_killed_nginx_is_restarted(prod: World) -> None:
    """Red with `restart: "no"`."""
    with endured(prod, "nginx-killed"):
        kill(init_pid(prod, "nginx"))


def test_a_hung_nginx_worker_is_ended(prod: World) -> None:
    """Red with curl alone as nginx's health check, or without `reuseport` in status.conf: the other answers."""
    with endured(prod, "nginx-worker-stopped"):
        stopped = worker_pids(prod, "nginx")[0]
        kill(stopped, by=signal.SIGSTOP)
        eventually(lambda: stopped not in worker_pids(prod, "nginx"), "another worker", timeout=120)


def test_a_killed_database_is_restarted(prod: World) -> None:
    """Red with `restart: "no"`, or a pool that waits minutes before it connects again."""
    with endured(prod, "database-killed"):
        kill(init_pid(prod, "db"))
