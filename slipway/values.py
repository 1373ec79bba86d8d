"""Checks for the values of settings: each takes the text, returns the value, or raises ``ValueError``.

The message of the ``ValueError`` completes the sentence "VARIABLE is …".
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

__all__ = [
    "address", "addresses", "choice", "choices", "count", "cpus", "duration", "each", "everything",
    "in_bytes", "integer", "is_address", "matching", "network", "networks", "optional", "optional_count",
    "optional_port", "port", "schedule", "seconds", "size", "status_codes", "text", "words",
    "written_paths",
]  # fmt: skip


def text(value: str) -> str:
    """Any text without control characters."""
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("not one line of text")
    return value


def words(value: str) -> tuple[str, ...]:
    """Space-separated words."""
    return tuple(text(value).split())


def matching(pattern: str, description: str) -> Callable[[str], str]:
    """Text that matches ``pattern`` whole; ``description`` says so in words."""
    compiled = re.compile(pattern)

    def convert(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"not {description}")
        return value

    return convert


def choice(*allowed: str) -> Callable[[str], str]:
    """One of ``allowed``."""
    return matching("|".join(map(re.escape, allowed)), f"one of: {', '.join(allowed)}")


def choices(*allowed: str) -> Callable[[str], tuple[str, ...]]:
    """Space-separated words, each one of ``allowed``."""

    def convert(value: str) -> tuple[str, ...]:
        if unknown := [word for word in words(value) if word not in allowed]:
            raise ValueError(f"not of these: {', '.join(allowed)} ({unknown[0]})")
        return words(value)

    return convert


def written_paths(value: str) -> tuple[str, ...]:
    """Space-separated paths, absolute or counted from the project, that may be replaced by links."""
    for word in words(value):
        path = posixpath.normpath(word)
        if (
            not re.fullmatch(r"[A-Za-z0-9_.@+/-]+", word)
            or path.startswith("..")
            or path in {".", "/", "/app"}
        ):
            raise ValueError(f"not files or folders below the project, or absolute ones ({word})")
        if re.match(r"/(srv/data|tmp|run|proc|sys|dev)(/|$)", path):
            raise ValueError(f"not places that can be kept ({word})")
    return words(value)


def integer(least: int, most: int) -> Callable[[str], int]:
    """A whole number from ``least`` to ``most``."""

    def convert(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise ValueError(f"not a whole number from {least} to {most}")
        return int(value)

    return convert


def count(value: str) -> int:
    """A whole number of at least 1."""
    return integer(1, 10_000)(value)


def optional(convert: Callable[[str], T]) -> Callable[[str], T | None]:
    """What ``convert`` takes, or nothing."""
    return lambda value: convert(value) if value else None


def port(value: str) -> int:
    """A TCP port."""
    return integer(1, 65_535)(value)


def schedule(value: str) -> str:
    """A cron expression of five fields that has a next time, as in crontab(5)."""
    # Only who has a schedule pays for the import.
    from croniter import CroniterError, croniter  # noqa: PLC0415

    # No shorthands and no letters but in names: what this library reads beyond crontab(5) is not promised.
    if not re.fullmatch(r"(?:(?:[0-9*,/-]|(?<![A-Za-z])[A-Za-z]{3}(?![A-Za-z]))+(?: +|$)){5}", value):
        raise ValueError("not a cron expression of five fields")
    try:
        croniter(value).get_next()
    except CroniterError as bad:
        raise ValueError(f"not a cron expression ({bad})") from None
    return value


def status_codes(value: str) -> tuple[str, ...]:
    """HTTP status codes and ranges of them, separated by spaces: ``200-399 404``."""
    ranges = words(value)
    for word in ranges:
        first, _, last = word.partition("-")
        if not re.fullmatch(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?", word) or (last and first > last):
            raise ValueError("not status codes such as 200-399 404")
    return ranges


optional_port = optional(port)
optional_count = optional(count)
size = matching(r"[1-9][0-9]*[kmgKMG]", "a size with a unit, k, m or g")
duration = matching(r"[1-9][0-9]*s", "a number of seconds with the unit s")


def in_bytes(value: str) -> int:
    """Bytes of a ``size``, whose units are powers of 1024, as with ``docker run --memory``."""
    return int(value[:-1]) << 10 * ("kmg".index(value[-1].lower()) + 1)


def seconds(value: str) -> int:
    """Seconds of a ``duration``."""
    return int(duration(value)[:-1])


def cpus(value: str) -> float:
    """A limit in CPUs, fractions allowed; 0 for none."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        raise ValueError("not a number of CPUs")
    return float(value)


def each(convert: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Space-separated words that ``convert`` takes."""
    return lambda value: tuple(convert(word) for word in words(value))


def network(value: str) -> str:
    """An IP network in CIDR notation or an address, as nginx's ``geo`` and ``set_real_ip_from`` take them."""
    # Python knows netmasks and zones too (10.0.0.0/255.0.0.0, fe80::1%eth0).
    if not re.fullmatch(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", value):
        raise ValueError(f"not a network in CIDR notation ({value})")
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as bad:
        raise ValueError(f"not a network in CIDR notation ({bad})") from None


def networks(value: str) -> tuple[str, ...]:
    """Space-separated IP networks in CIDR notation, each once: nginx warns of one that comes twice."""
    found = each(network)(value)
    if twice := [one for number, one in enumerate(found) if one in found[:number]]:
        raise ValueError(f"a list that names {twice[0]} twice")
    return found


def everything(of: Iterable[str]) -> str | None:
    """``0.0.0.0/0`` or ``::/0`` where the networks ``of`` add up to all IPv4 or all IPv6 addresses."""
    parsed = [ipaddress.ip_network(network) for network in of]
    for version in (4, 6):
        # The types of both versions in one list are too much for mypy.
        merged = ipaddress.collapse_addresses(one for one in parsed if one.version == version)  # type: ignore[type-var]
        if whole := next((str(one) for one in merged if one.prefixlen == 0), None):
            return whole
    return None


def address(value: str) -> str:
    """An IP address."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("not an IP address") from None


def addresses(value: str) -> tuple[str, ...]:
    """Space-separated IP addresses to publish a port on, IPv6 ones without brackets, none within another.

    ``0.0.0.0`` is every IPv4 address of the machine and ``::`` every IPv6 one, as in Docker: neither is both.
    """
    found: list[str] = []
    for word in words(value):
        if word.startswith("[") or word.endswith("]"):
            raise ValueError(
                f"not an IP address as it is written here: without brackets ({word.strip('[]')})"
            )
        if "%" in word:
            raise ValueError(f"not an IP address that a port can be published on: without a zone ({word})")
        found.append(address(word))
    for one in found:
        others = found.copy()
        others.remove(one)
        whole = "::" if ":" in one else "0.0.0.0"  # noqa: S104
        if one in others or (whole in others):
            raise ValueError(f"a list that has {one} twice: {whole} is every address of its kind")
    return tuple(found)


def is_address(value: str) -> bool:
    """Whether ``value`` is an IP address, an IPv6 one without brackets."""
    try:
        address(value)
    except ValueError:
        return False
    return True
