"""What is compared with what, and the ratio (ours / the usual) that has to be reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["BARS", "ONLY_BY_NAME", "Bar"]


@dataclass(frozen=True)
class Bar:
    """One ratio to be reached, and how far below what was recorded it may fall."""

    what: str
    against: str
    bound: float
    better: Literal["lower", "higher"]
    margin: float = 0.15
    """The part of the recorded ratio by which a new one may be worse: so far two runs of one code differ."""

    def met(self, ratio: float) -> bool:
        """Whether ``ratio`` reaches the bar."""
        return ratio <= self.bound if self.better == "lower" else ratio >= self.bound

    def allowed(self, recorded: float) -> float:
        """The worst ratio that is no regression of ``recorded``."""
        return recorded * (1 + self.margin if self.better == "lower" else 1 - self.margin)

    def regressed(self, ratio: float, recorded: float) -> bool:
        """Whether ``ratio`` is worse than ``recorded`` by more than the margin."""
        allowed = self.allowed(recorded)
        return ratio > allowed if self.better == "lower" else ratio < allowed


_TWO_STAGE_PIP = "two-stage pip"
_FASTEST = "the fastest of the four"
_PLAIN = "plain nginx + gunicorn"

BARS: dict[str, Bar] = {
    # Bytes do not vary from run to run.
    "size": Bar("production image, bytecode included", _TWO_STAGE_PIP, 0.80, "lower", 0.02),
    "rebuild_code": Bar("rebuild after a code change", _FASTEST, 1.0, "lower", 0.25),
    "rebuild_dependency": Bar("rebuild after adding a dependency", _TWO_STAGE_PIP, 0.45, "lower"),
    "build_empty": Bar("build from an empty cache", _FASTEST, 1.0, "lower"),
    "context": Bar("build context sent", "single stage without .dockerignore", 0.2, "lower", 0.05),
    "start": Bar("container start to first 200", _TWO_STAGE_PIP, 0.6, "lower"),
    "database_rps": Bar("database page, requests per second", _PLAIN, 5.0, "higher"),
    "database_p99": Bar("database page, p99 latency at equal load", _PLAIN, 0.4, "lower", 0.25),
    # The usual side varies fourfold from turn to turn: its nginx opens a connection for each request.
    "trivial_rps": Bar("trivial page, requests per second", _PLAIN, 1.2, "higher", 0.5),
    "static_rps": Bar("static file as a browser asks for it, requests per second", _PLAIN, 1.2, "higher"),
    "memory": Bar("memory of web at that load, per request per second", _PLAIN, 0.5, "lower"),
    "warm_up": Bar(
        "`invoke up --prod` with nothing to do", "`docker compose up -d --wait`", 1.15, "lower", 0.10
    ),
    "warm_up_dev": Bar(
        "`invoke up` with nothing to do", "`docker compose up -d --wait`", 1.15, "lower", 0.10
    ),
    "list": Bar("`invoke --list`", "a Python start that imports Invoke", 1.3, "lower", 0.10),
    "ps": Bar("`invoke ps`", "a Python start and `docker compose ps`", 1.3, "lower", 0.10),
    "dev_reload": Bar("development: save to served", "runserver on the host", 1.5, "lower", 0.30),
    "bare_machine": Bar(
        "bare machine to served page", "its downloads and installs, each timed alone", 1.25, "lower"
    ),
    "bare_machine_stand_ins": Bar(
        "the same where no registry answers", "its downloads and installs, each timed alone", 1.25, "lower"
    ),
}

ONLY_BY_NAME = frozenset({"bare_machine_stand_ins"})
"""What a run without --only leaves out: a pair of these machines takes five minutes."""
