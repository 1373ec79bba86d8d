"""How gunicorn serves the project. Every value can be overridden with GUNICORN_CMD_ARGS."""

import contextlib
import faulthandler
import importlib.util
import ipaddress
import math
import os
import shutil
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from gunicorn.workers import SUPPORTED_WORKERS

# Beside this file, which gunicorn reads without its folder on the path.
sys.path.insert(0, str(Path(__file__).parent))
try:
    from first_worker import FirstWorker
    from server_kind import server_kind
    from visible_errors import show_errors
    from worker_threads import Requests
finally:
    sys.path.pop(0)

CGROUP = Path("/sys/fs/cgroup")
# Each worker holds its own copy of the project and its own connection pool: on a large host without
# a limit, one worker per processor would exhaust memory and the database before the processors.
MOST_DEFAULT_CPUS = 8
MOST_DEFAULT_THREADS = 4
MIB = 1024 * 1024
# What a worker needs before its first request, with room to grow (the example's takes 50 MiB), and what a
# request in work may need beyond that. Of a container with less than that, the kernel kills the process.
WORKER_BYTES = 96 * MIB
THREAD_BYTES = 16 * MIB
# The master process and the probe.
OTHER_BYTES = 48 * MIB
# Touched while a worker has no thread left for the health check; probe.py looks at it.
BUSY = Path("/dev/shm/slipway-busy")  # noqa: S108
LOOK_SECONDS = 5.0


def cgroup_cpus(root=CGROUP):
    """Return the container's CPU limit in processors (cgroup v2, then v1), or None without a limit."""
    for quota_file, period_file in (
        ("cpu.max", "cpu.max"),
        ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
    ):
        try:
            quota = (root / quota_file).read_text().split()[0]
            period = (root / period_file).read_text().split()[-1]
        except (OSError, IndexError):
            continue
        if quota not in ("max", "-1"):
            return int(quota) / int(period)
    return None


def cgroup_memory(root=CGROUP):
    """Return the container's memory limit in bytes (cgroup v2, then v1), or None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (root / name).read_text().strip()
        except OSError:
            continue
        # Without a limit cgroup v1 shows the largest number there is, in whole pages.
        if text != "max" and int(text) < 2**62:
            return int(text)
    return None


def default_workers(root=CGROUP):
    """Return one worker per processor this container may use and one more for the waiting, if they fit.

    As many as its memory holds, where that is fewer; at least one.
    """
    cpus = len(os.sched_getaffinity(0))
    limit = cgroup_cpus(root)
    if limit:
        cpus = min(cpus, math.ceil(limit))
    wanted = min(cpus, MOST_DEFAULT_CPUS) + 1
    memory = cgroup_memory(root)
    if memory is None:
        return wanted
    return max(1, min(wanted, (memory - OTHER_BYTES) // WORKER_BYTES))


def default_threads(workers, root=CGROUP):
    """Return how many requests at a time the memory left to each of ``workers`` allows, 1 to 4."""
    memory = cgroup_memory(root)
    if memory is None:
        return MOST_DEFAULT_THREADS
    spare = (memory - OTHER_BYTES) // workers - WORKER_BYTES
    return max(1, min(MOST_DEFAULT_THREADS, 1 + spare // THREAD_BYTES))


def whole_number(name, default, unit=""):
    """Return the environment variable ``name`` as a number of at least 1; end with a message otherwise.

    Without ``unit``, which may stand behind it.
    """
    text = os.environ.get(name) or f"{default}{unit}"
    number = text.removesuffix(unit)
    if not number.isdecimal() or int(number) < 1:
        raise SystemExit(
            f"SLIP-059: {name}={text!r} is not a number above 0\n  fix: e.g. {name}={default}{unit}"
        )
    return int(number)


def server_target():
    """Return SERVER_TARGET (``module:callable``); end with a message when it is missing."""
    target = os.environ.get("SERVER_TARGET", "")
    if not target:
        raise SystemExit(
            "SLIP-059: SERVER_TARGET is empty, so there is nothing to serve\n"
            "  fix: set it to the project's WSGI or ASGI callable, e.g. config.wsgi:application"
        )
    return target


def import_folders():
    """Return where Python imports the project from: gunicorn serves from the folder of manage.py."""
    return [Path.cwd(), *(Path(entry) for entry in sys.path if entry)]


def worker_for(target, kind):
    """Return the worker class for ``target``: threads for WSGI, uvicorn for ASGI.

    The image has uvicorn's worker (docker/install-server): the project's own, in whichever of its two places.
    """
    if kind == "wsgi":
        return "gthread"
    if importlib.util.find_spec("uvicorn_worker"):
        return "uvicorn_worker.UvicornWorker"
    if importlib.util.find_spec("uvicorn") and importlib.util.find_spec("uvicorn.workers"):
        return "uvicorn.workers.UvicornWorker"
    if "asgi" in SUPPORTED_WORKERS:
        return "asgi"
    raise SystemExit(
        f"SLIP-059: {target} is an ASGI target and there is no worker for it\n"
        "  fix: build again with this SERVER_TARGET, or add uvicorn-worker to the project's requirements"
    )


def with_client_address(application, allowed):
    """Return the WSGI callable ``application`` with REMOTE_ADDR as nginx says it, in X-Forwarded-For.

    ``allowed`` are the addresses and networks that are believed (gunicorn's ``forwarded_allow_ips``), or "*".
    Of several addresses the last counts: the nearest proxy itself has seen it. As uvicorn's worker has it.
    """
    networks = []
    for entry in allowed:
        # An older gunicorn took any text, and compared it.
        with contextlib.suppress(ValueError):
            networks.append(ipaddress.ip_network(str(entry), strict=False))

    def believed(peer):
        return "*" in allowed or any(ipaddress.ip_address(peer) in network for network in networks)

    def addressed(environ, start_response):
        said = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        # Not an address ("unknown"): then the peer's it is.
        with contextlib.suppress(ValueError):
            if said and ipaddress.ip_address(said) and believed(environ.get("REMOTE_ADDR", "")):
                # The port would be that of another connection; 0 is uvicorn's word for it.
                environ.update(REMOTE_ADDR=said, REMOTE_PORT="0")
        return application(environ, start_response)

    return addressed


def say_busy():
    """Tell the health check that every thread of a worker has a request."""
    with contextlib.suppress(OSError):
        BUSY.touch()


def replace_when_hung(worker):
    """End this worker process when its threads hang; gunicorn then starts another.

    While all of them have a request, the health check gets no answer.
    It is told that somebody looks after them.
    """
    limit = 2 * worker.cfg.timeout
    # Without a timeout, gunicorn waits for ever.
    requests.wait_until_hung(worker.cfg.threads, limit / LOOK_SECONDS or math.inf, LOOK_SECONDS, say_busy)
    worker.log.critical(
        "SLIP-128: for %s s every thread of this worker (pid:%s) was in the project's code and none came"
        " out; it is replaced. What each was doing:",
        limit,
        os.getpid(),
    )
    faulthandler.dump_traceback()
    # Not sys.exit: the interpreter would wait for the threads.
    os._exit(1)


requests = None


def post_request(worker, req, environ, resp):
    """Called by gunicorn after each request, in the thread that served it."""
    if requests:
        requests.done()


def pre_fork(server, worker):
    """Called by gunicorn in the master before each new worker process."""
    first_worker.before_fork(worker)


def temporary_folder(pid):
    """Return the folder of the worker process ``pid`` for temporary files; None where they lie in memory."""
    folder = os.environ.get("TMPDIR", "")
    return Path(folder, f"worker-{pid}") if folder.startswith("/srv/temporary/") else None


def post_fork(server, worker):
    """Called by gunicorn in each new worker process, before the project is loaded."""
    if folder := temporary_folder(os.getpid()):
        # Without room on the disk the worker serves all the same.
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def child_exit(server, worker):
    """Called by gunicorn in the master when a worker has ended: one that was killed leaves uploads behind."""
    if folder := temporary_folder(worker.pid):
        shutil.rmtree(folder, ignore_errors=True)


def post_worker_init(worker):
    """Called by gunicorn in each new worker process, once the project is loaded."""
    first_worker.loaded()
    show_errors()
    # Gunicorn has no setting for it, and an older uvicorn none at all.
    if hasattr(getattr(worker, "config", None), "h11_max_incomplete_event_size"):
        worker.config.h11_max_incomplete_event_size = HEADER_BYTES
    # Of its workers, gunicorn's own for WSGI alone have it: a person may have named another (--worker-class).
    if kind != "wsgi" or not hasattr(worker, "handle_request"):
        return
    worker.wsgi = with_client_address(worker.wsgi, worker.cfg.forwarded_allow_ips)
    # Only threads can hang unnoticed: an event loop that does, gives no heartbeat.
    if getattr(worker, "tpool", None):
        global requests  # noqa: PLW0603 - one per process, and gunicorn's hooks are functions
        worker.wsgi = requests = Requests(worker.wsgi)
        threading.Thread(target=replace_when_hung, args=(worker,), daemon=True).start()


def worker_exit(server, worker):
    """Called by gunicorn in a worker process that ends; where the project did not load, say what to do."""
    error = sys.exc_info()[1]
    # Gunicorn has logged it, and ends the worker by an exit of its own.
    cause = error.__context__ if isinstance(error, SystemExit) else error
    if worker.booted or not isinstance(cause, Exception):
        return
    # The project's python has nothing of the kit on its path.
    sys.path.append(str(Path(__file__).parent))
    from explain_failure import explain_failure  # noqa: PLC0415

    if known := explain_failure("".join(traceback.format_exception(cause))):
        worker.log.critical("%s", known)


wsgi_app = server_target()
kind = server_kind(wsgi_app, import_folders())
worker_class = worker_for(wsgi_app, kind)
bind = "0.0.0.0:8000"

workers = whole_number("WEB_WORKERS", default_workers())
threads = whole_number("WEB_THREADS", default_threads(workers))

first_worker = FirstWorker(alone=workers >= 1.5 * (cgroup_cpus() or len(os.sched_getaffinity(0))))

# Longer than the 60 s for which nginx keeps an idle upstream connection: whoever closes first must be
# nginx, or a POST meets a closing connection and, not being repeatable, becomes a 502.
keepalive = 75

# A worker that gives no heartbeat for so long is killed and replaced: one that is stopped, or stuck in C.
# Loading the project counts too. nginx waits as long for an answer, unless PROXY_TIMEOUT says otherwise.
timeout = whole_number("WEB_TIMEOUT", 30, "s")

# The heartbeat is a file; on a disk under load its update can block a healthy worker.
worker_tmp_dir = "/dev/shm"  # noqa: S108

# As long as a request may take. STOP_GRACE_PERIOD is longer, so the last one ends before SIGKILL.
graceful_timeout = timeout

# Slow leaks end here. The jitter keeps the workers from restarting together.
max_requests = 10_000
max_requests_jitter = 1_000

# Each worker imports the project itself: a pool or a connection opened before a fork would be shared.
preload_app = False

# Only nginx shares a network with this server, and the project's own containers, which run its code. nginx
# overwrites the forwarded headers it sends; its address changes, so it cannot be named here.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "*")

# How long an address, a header and all headers may be is nginx's to say (LARGE_CLIENT_HEADER_BUFFERS): it
# has a page for what is longer. So here is room for the most it can be told to take, 16 buffers of 64k and
# 1000 headers, and for what it adds. An address: gunicorn counts to 8190 at most, 0 is no limit. A header:
# over HTTP/2 nginx counts it as it came, compressed by HPACK, whose shortest codes make 5 bits of 8.
limit_request_line = 0
limit_request_field_size = 106 * 1024
limit_request_fields = 1_100
HEADER_BYTES = 17 * 64 * 1024

# The socket would lie in HOME, and on a read-only root fail loudly at every start.
control_socket_disable = True

# Errors to stderr. Requests are logged by nginx and by the project, with the request id.
errorlog = "-"
accesslog = None
