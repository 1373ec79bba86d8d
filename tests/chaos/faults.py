"""What each fault may cost: the one table. docs/reliability.md shows the same rows."""

from __future__ import annotations

from dataclasses import dataclass

# What visitors see, in the words of the page.
KINDS = {
    "500": "500 of the application",
    "502": "502",
    "503": "503",
    "504": "504",
    "connection": "connection refused or cut",
    "silence": "no answer",
}


@dataclass(frozen=True)
class Fault:
    """A fault and its allowance. Seconds count from the fault, for one that lasts from its end."""

    what: str
    seen: tuple[str, ...]
    """The kinds of failed requests, keys of ``KINDS``, that visitors may see."""
    seconds: int
    """After so many, no request fails any more."""
    recovered: int
    """After so many, every container is running and healthy."""
    heals: str
    lasting: bool = False

    def row(self) -> str:
        """This fault's line in the page's table."""
        seen = ", ".join(KINDS[kind] for kind in self.seen) or "nothing"
        counted = " after its end" if self.lasting else ""
        errors = f"{self.seconds} s{counted}" if self.seen else "-"
        return f"| {self.what} | {seen} | {errors} | {self.recovered} s{counted} | {self.heals} |"


FAULTS = {
    "worker-killed": Fault(
        "a gunicorn worker is killed (`kill -9`)",
        ("502",), 5, 30, "gunicorn starts another; a GET is tried on another replica",
    ),
    "out-of-memory": Fault(
        "a request takes more memory than `WEB_MEMORY` allows",
        ("502", "504"), 30, 60, "the kernel kills the worker that has most, gunicorn starts another",
    ),
    "worker-stopped": Fault(
        "a gunicorn worker is stopped (`SIGSTOP`)",
        ("502", "504"), 45, 75, "gunicorn's `timeout`",
    ),
    "workers-hung": Fault(
        "every thread of one replica hangs",
        ("502", "504"), 120, 150, "the worker ends itself when no thread gets on for 60 s",
    ),
    "master-stopped": Fault(
        "gunicorn's master process is stopped, and its workers end",
        ("502", "504"), 180, 240, "the health check ends a silent server",
    ),
    "replica-killed": Fault(
        "one container of `web` is killed",
        ("502", "504"), 10, 45, "restart policy; nginx asks the other replica",
    ),
    "web-killed": Fault(
        "every container of `web` is killed",
        ("502", "504"), 30, 60, "restart policy",
    ),
    "nginx-killed": Fault(
        "nginx's container is killed",
        ("connection", "502"), 10, 30, "restart policy",
    ),
    "nginx-worker-stopped": Fault(
        "a worker of nginx is stopped (`SIGSTOP`)",
        ("connection", "silence"), 120, 150, "the health check ends a silent server",
    ),
    "nginx-master-stopped": Fault(
        "nginx's master process is stopped, and its workers end",
        ("connection", "silence"), 180, 240, "the health check ends a silent server",
    ),
    "database-killed": Fault(
        "the database's container is killed",
        ("500", "502"), 30, 60, "restart policy; the connection pool connects again",
    ),
    "wrong-order": Fault(
        "nginx starts without `web`, and `web` without the database",
        ("500", "502", "504", "connection"), 15, 30, "each tries on until the other is there", lasting=True,
    ),
    "database-cut-off": Fault(
        "`web` cannot reach the database for 20 s, packets vanish",
        ("500", "502"), 15, 60, "time limits on connections, the pool connects again", lasting=True,
    ),
    "database-disk-full": Fault(
        "the database's volume is full",
        ("500", "502"), 90, 120, "restart policy, once there is room again", lasting=True,
    ),
    "media-disk-full": Fault(
        "the media volume is full",
        (), 0, 30, "nothing to heal: a picture is refused in the form (507), all else works", lasting=True,
    ),
    "uploads-disk-full": Fault(
        "the volume in which uploads wait is full, nginx's or the application's",
        (), 0, 30, "nothing to heal: a large upload is refused (500), all else works", lasting=True,
    ),
    "slow-readers": Fault(
        "50 clients read one byte per second",
        (), 0, 30, "nginx waits for them, the application does not", lasting=True,
    ),
    "idle-connections": Fault(
        "2,000 idle connections",
        (), 0, 30, "nginx has room for them and closes them", lasting=True,
    ),
    "engine-killed": Fault(
        "the engine is killed (`kill -9`)",
        ("500", "502", "503", "504", "connection", "silence"), 60, 90,
        "the engine starts what ran, in any order", lasting=True,
    ),
    "engine-restarted": Fault(
        "the engine is stopped",
        ("500", "502", "503", "504", "connection", "silence"), 60, 90,
        "the engine starts what ran, in any order", lasting=True,
    ),
    "power-lost": Fault(
        "the machine loses its power",
        ("500", "502", "503", "504", "connection", "silence"), 60, 90,
        "the engine starts what ran, in any order", lasting=True,
    ),
}  # fmt: skip
