"""``docker pull``, watched: whether the registry answered decides what happens next."""

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
"""What to do about a registry's limit of pulls, which is per account, or per address without one."""
ANSWER_SECONDS = 20.0
"""How long a registry may be silent. A download that has begun may take as long as it takes."""

# What the engine says when nobody answered: name resolution, connection, TLS, a proxy in between.
# "No such tag" and "denied" are answers. A 5xx is a registry (or a gateway) that is down.
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
    """What became of a pull."""

    PULLED = "pulled"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


# Docker Hub's answer to whoever has pulled too much; others say 429 as well.
_LIMITED = re.compile(r"toomanyrequests|pull rate limit|\b429 Too Many Requests", re.IGNORECASE)


@dataclass(frozen=True)
class Pull:
    """An outcome and, unless it worked, the line that says why."""

    outcome: Outcome
    reason: str = ""

    @property
    def limited(self) -> bool:
        """Whether the registry refuses because too much has been pulled from here."""
        return self.outcome is Outcome.REFUSED and bool(_LIMITED.search(self.reason))


def classify(code: int, output: str) -> Pull:
    """Judge a finished ``docker pull`` by its exit code and everything it printed."""
    if code == 0:
        return Pull(Outcome.PULLED)
    lines = output.strip().splitlines() or [f"docker pull ended with exit code {code}"]
    outcome = Outcome.UNREACHABLE if _UNREACHABLE.search(output) else Outcome.REFUSED
    return Pull(outcome, lines[-1])


def pull(reference: str, answer_seconds: float = ANSWER_SECONDS) -> Pull:
    """Pull ``reference``, showing what docker prints.

    A registry that has said nothing after ``answer_seconds`` is unreachable and the pull is ended.
    This runs its own process, because the runner has no deadline for a first line.
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
