"""h2load: its command lines, and what it says when it is done."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Answers", "BadAnswersError", "as_fast_as_possible", "at_rate", "latencies", "percentile", "read"]

_RATE = re.compile(r"^finished in .*?, (?P<rate>[\d.]+) req/s", re.MULTILINE)
_REQUESTS = re.compile(
    r"^requests: .*?(?P<done>\d+) done, \d+ succeeded, "
    r"(?P<failed>\d+) failed, (?P<errored>\d+) errored, (?P<timeout>\d+) timeout",
    re.MULTILINE,
)
_CODES = re.compile(
    r"^status codes: \d+ 2xx, (?P<redirects>\d+) 3xx, (?P<refusals>\d+) 4xx, (?P<failures>\d+) 5xx$",
    re.MULTILINE,
)


class BadAnswersError(Exception):
    """Some requests were not answered with 200, so the figures would be of something else than the page."""


@dataclass(frozen=True)
class Answers:
    """What one run of h2load got."""

    done: int
    rate: float
    """Requests per second."""


def as_fast_as_possible(
    url: str, connect_to: str, headers: Mapping[str, str], seconds: float, clients: int
) -> list[str]:
    """Ask for ``url`` over ``clients`` kept connections, each of which asks again once it has its answer.

    ``connect_to`` (``host:port``) is where the connections go, whatever host the URL names.
    """
    return [*_command(url, connect_to, headers), f"--clients={clients}", f"--duration={seconds * 1000:.0f}ms"]


def at_rate(
    url: str, connect_to: str, headers: Mapping[str, str], seconds: float, clients: int, rate: float, log: str
) -> list[str]:
    """Ask for ``url`` ``rate`` times a second in all, evenly spaced; the file ``log`` gets every request.

    The connections are made one by one over the first of the intervals at which each asks: made at once, they
    would go on asking all at once. ``clients`` should be many: one that still waits cannot ask.
    """
    return [
        *_command(url, connect_to, headers),
        f"--clients={clients}",
        f"--requests={math.ceil(rate * seconds / clients) * clients}",
        f"--rps={rate / clients:.4f}",
        "--rate=1",
        f"--rate-period={max(1, round(1000 / rate))}ms",
        f"--log-file={log}",
    ]


def _command(url: str, connect_to: str, headers: Mapping[str, str]) -> list[str]:
    lines = [f"--header={name}: {value}" for name, value in headers.items()]
    # Without a limit a stack that hangs would keep it waiting for ever.
    options = ["--h1", f"--connect-to={connect_to}", "--connection-inactivity-timeout=20s"]
    return ["h2load", *options, *lines, url]


def read(output: str) -> Answers:
    """What h2load printed at its end.

    Raises ``BadAnswersError`` unless there were answers, and all of them 2xx.
    """
    rate, requests, codes = _RATE.search(output), _REQUESTS.search(output), _CODES.search(output)
    if not rate or not requests or not codes:
        raise BadAnswersError(f"h2load did not finish:\n{output[-2000:]}")
    done = int(requests["done"])
    # A redirect is a success to h2load, which does not follow it. Its exit code is 0 whatever happened.
    bad = [requests["failed"], requests["errored"], requests["timeout"], *codes.groups()]
    if done == 0 or any(int(count) for count in bad):
        raise BadAnswersError(f"not every request was answered with 2xx\n  {requests[0]}\n  {codes[0]}")
    return Answers(done, float(rate["rate"]))


def latencies(log: str, skip_seconds: float) -> list[float]:
    """The seconds each request of a log file took, those that began in the first ``skip_seconds`` left out.

    Raises ``BadAnswersError`` when one was answered otherwise than with 200.
    """
    rows = [tuple(int(column) for column in line.split("\t")[:3]) for line in log.splitlines()]
    if other := sorted({status for _, status, _ in rows} - {200}):
        raise BadAnswersError(f"answers with status {', '.join(map(str, other))} (-1: none)")
    if not rows:
        raise BadAnswersError("no request was made")
    begin = min(started for started, _, _ in rows) + skip_seconds * 1_000_000
    return [taken / 1_000_000 for started, _, taken in rows if started >= begin]


def percentile(samples: Sequence[float], part: float) -> float:
    """The smallest sample that ``part`` of all of them do not exceed (nearest rank)."""
    return sorted(samples)[max(0, math.ceil(part * len(samples)) - 1)]
