"""Runs ``docker pull`` and watches whether the registry answers, because the next step depends on it."""

from __future__ import annotations

import contextlib
import re
import selectors
import shlex
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum

__all__ = ["ANSWER_SECONDS", "WAIT_OR_LOG_IN", "Outcome", "Pull", "classify", "pull"]

WAIT_OR_LOG_IN = "docker login raises the limit; or try again some hours later"
"""The fix for a registry's limit of pulls, which is per account, or per address without one."""
ANSWER_SECONDS = 20.0
"""How long a registry may be silent. A download that has started has no time limit."""

# Errors of the engine when no registry answered: name resolution, connection, TLS, a proxy in between.
# "No such tag" and "denied" are answers. A 5xx means that the registry (or a gateway) is down.
_UNREACHABLE = re.compile(
    "|".join(
        (
            r"no such host|name resolution|server misbehaving",
            r"dial tcp|i/o timeout|connection refused|connection reset|no route to host",
            r"network is unreachable|Client\.Timeout|deadline exceeded|request canceled while waiting",
            r"handshake timeout|x509:|tls:",
            r"proxyconnect|\": (Forbidden|Bad Gateway|Proxy Authentication|(unexpected )?EOF)",
            r"unexpected (HTTP )?status( code)?\b[^\n]* 5\d\d\b",
            r"\b50[234] (Bad Gateway|Service Unavailable|Gateway Time)",
        )
    ),
    re.IGNORECASE,
)


class Outcome(Enum):
    """The result of a pull."""

    PULLED = "pulled"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


# Docker Hub's answer after too many pulls; other registries send 429 as well.
_LIMITED = re.compile(r"toomanyrequests|pull rate limit|\b429 Too Many Requests", re.IGNORECASE)


@dataclass(frozen=True)
class Pull:
    """An outcome and, for a failed pull, the line that says why."""

    outcome: Outcome
    reason: str = ""

    @property
    def limited(self) -> bool:
        """Whether the registry refuses because of its limit of pulls."""
        return self.outcome is Outcome.REFUSED and bool(_LIMITED.search(self.reason))


def classify(code: int, output: str) -> Pull:
    """Classify a finished ``docker pull`` by its exit code and its output."""
    if code == 0:
        return Pull(Outcome.PULLED)
    lines = output.strip().splitlines() or [f"docker pull ended with exit code {code}"]
    outcome = Outcome.UNREACHABLE if _UNREACHABLE.search(output) else Outcome.REFUSED
    return Pull(outcome, lines[-1])


def pull(reference: str, answer_seconds: float = ANSWER_SECONDS) -> Pull:
    """Pull ``reference``, showing what docker prints.

    If nothing is printed within ``answer_seconds``, the pull is stopped: the registry is unreachable.
    It starts its own process, because the runner has no deadline for a first line.
    """
    argv = ["docker", "pull", reference]
    print(shlex.join(argv), file=sys.stderr, flush=True)
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(answer_seconds):
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                process.kill()
                return Pull(Outcome.UNREACHABLE, f"no answer in {answer_seconds:g} s")
        lines = []
        for line in process.stdout:
            lines.append(line)
            print(line, end="", file=sys.stderr, flush=True)
    return classify(process.returncode, "".join(lines))
