"""What a container uses of processor and memory, by its control group as the engine reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from slipway.engine import engineapi

__all__ = ["Usage", "read", "usage"]


@dataclass(frozen=True)
class Usage:
    """One look at a container's control group."""

    cpu: float
    """Processor seconds since the container started, user and system."""
    throttled: float
    """Seconds for which its processes, together, were held back by a limit of processors."""
    anonymous: int
    """Bytes of memory that belong to no file: what its processes have allocated."""

    def __add__(self, other: Usage) -> Usage:
        """Both containers together."""
        return Usage(self.cpu + other.cpu, self.throttled + other.throttled, self.anonymous + other.anonymous)


def usage(container: str) -> Usage:
    """How much the container called ``container`` uses now."""
    found = engineapi.get(f"/containers/{container}/stats", stream=False, **{"one-shot": True})
    return read(cast("dict[str, Any]", found))


def read(stats: Mapping[str, Any]) -> Usage:
    """What an answer of the engine to ``GET /containers/ID/stats`` says, on a host with cgroup v1 or v2."""
    memory = stats["memory_stats"]["stats"]
    return Usage(
        cpu=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        throttled=stats["cpu_stats"]["throttling_data"]["throttled_time"] / 1e9,
        # v2 calls it anon; v1 rss, which with its children's is total_rss.
        anonymous=int(memory["anon"] if "anon" in memory else memory["total_rss"]),
    )
