"""Processes and containers that end, stop or hang."""

from __future__ import annotations

import contextlib
import signal

import httpx
from chaoskit import endured, init_pid, kill, master_pid, worker_pids

from tests.rollout.rolloutkit import REPLICAS
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker

# Which worker takes a connection is chance: more and more of them, as long as one answers. The first that
# hangs is replaced after 60 s; those that come then are left alone.
_HANG = """
import socket, time

def ask(path):
    connection = socket.create_connection(("127.0.0.1", 8000), timeout=1)
    connection.sendall(f"GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n".encode())
    return connection

def answers():
    try:
        return ask("/healthz/live").recv(1)
    except TimeoutError:
        return False

kept, begun = [], time.monotonic()
while time.monotonic() < begun + 45:
    if any(answers() for _ in range(8)):
        kept += [ask("/hang") for _ in range(8)]
time.sleep(600)
"""


def _await_restart(own: World, service: str, *before: int) -> None:
    """Until no container has the process 1 it had: before that is missed, all is said to be well."""

    def restarted() -> bool:
        now = {init_pid(own, service, number + 1) for number in range(len(before))}
        return not now & {0, *before}

    eventually(restarted, "the containers to be restarted", timeout=220)


def _kill_containers(own: World, service: str, count: int = 1) -> None:
    before = [init_pid(own, service, number + 1) for number in range(count)]
    kill(*before)
    _await_restart(own, service, *before)


def test_a_killed_worker_is_replaced(prod: World) -> None:
    """Red when nginx does not ask another replica: every GET in flight then fails."""
    with endured(prod, "worker-killed"):
        kill(worker_pids(prod, "web")[0])


def test_a_worker_killed_for_memory_is_replaced(prod: World) -> None:
    """Red without a limit of memory: the machine goes down. Nothing else of the container is killed."""
    with endured(prod, "out-of-memory"):
        before, workers = init_pid(prod, "web"), {*worker_pids(prod, "web"), *worker_pids(prod, "web", 2)}
        # Nobody is told when: nginx gives up on it, or asks the other replica once it is dead.
        with contextlib.suppress(httpx.HTTPError):
            Site(prod.url).get("/swallow")

        def replaced() -> bool:
            return bool(workers - {*worker_pids(prod, "web"), *worker_pids(prod, "web", 2)})

        eventually(replaced, "another worker", timeout=60)
        assert init_pid(prod, "web") == before


def test_a_stopped_worker_is_replaced(prod: World) -> None:
    """Red with `timeout = 0` in docker/gunicorn.conf.py."""
    with endured(prod, "worker-stopped"):
        stopped = worker_pids(prod, "web")[0]
        kill(stopped, by=signal.SIGSTOP)
        eventually(lambda: stopped not in worker_pids(prod, "web"), "another worker", timeout=60)


def test_hung_workers_are_replaced(prod: World) -> None:
    """Red without `post_worker_init` in docker/gunicorn.conf.py and without `--end-if-silent`."""
    with endured(prod, "workers-hung"):
        hung = set(worker_pids(prod, "web"))
        name = f"{prod.project}-web-1"
        docker("exec", "--detach", name, "python", "-c", _HANG)
        eventually(lambda: not hung & set(worker_pids(prod, "web")), "other workers", timeout=150)


def test_a_server_without_a_master_is_restarted(prod: World) -> None:
    """Red without `--end-if-silent` in compose/prod.yaml: nothing else looks after the master."""
    with endured(prod, "master-stopped"):
        before, workers = init_pid(prod, "web"), worker_pids(prod, "web")
        kill(master_pid(prod, "web"), by=signal.SIGSTOP)
        kill(*workers)
        _await_restart(prod, "web", before)


def test_a_server_that_starts_has_its_time(prod: World) -> None:
    """Red without the start period in docker/end-if-silent: a project that loads slowly would never be up."""
    image = prod.container("web")["Config"]["Image"]
    entrypoint = ("--entrypoint", "sleep", image, "600")
    young = docker("run", "--detach", "--init", "--label", "slipway.test=chaos", *entrypoint).strip()
    try:
        for _ in range(8):
            docker("exec", young, "/opt/slipway/end-if-silent", "silent")
        assert docker("inspect", "--format", "{{.State.Running}}", young).strip() == "true"
    finally:
        docker("rm", "--force", young)


def test_a_killed_replica_is_restarted(prod: World) -> None:
    """Red with `restart: "no"`."""
    with endured(prod, "replica-killed"):
        _kill_containers(prod, "web")


def test_all_replicas_killed_are_restarted(prod: World) -> None:
    """Red with `restart: "no"`."""
    with endured(prod, "web-killed"):
        _kill_containers(prod, "web", REPLICAS)


def test_a_killed_nginx_is_restarted(prod: World) -> None:
    """Red with `restart: "no"`."""
    with endured(prod, "nginx-killed"):
        _kill_containers(prod, "nginx")


def test_a_hung_nginx_worker_is_ended(prod: World) -> None:
    """Red with curl alone as nginx's health check, or without `reuseport`: the other worker answers."""
    with endured(prod, "nginx-worker-stopped"):
        stopped = worker_pids(prod, "nginx")[0]
        kill(stopped, by=signal.SIGSTOP)
        eventually(lambda: stopped not in worker_pids(prod, "nginx"), "another worker", timeout=120)


def test_an_nginx_without_a_master_is_restarted(prod: World) -> None:
    """Red with curl alone as nginx's health check: nothing else looks after the master."""
    with endured(prod, "nginx-master-stopped"):
        before, workers = init_pid(prod, "nginx"), worker_pids(prod, "nginx")
        kill(master_pid(prod, "nginx"), by=signal.SIGSTOP)
        kill(*workers)
        _await_restart(prod, "nginx", before)


def test_a_killed_database_is_restarted(prod: World) -> None:
    """Red with `restart: "no"`, or a pool that waits minutes before it connects again."""
    with endured(prod, "database-killed"):
        _kill_containers(prod, "db")
