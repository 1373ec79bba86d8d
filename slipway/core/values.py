"""Checks for the values of settings: each takes the text, returns the value, or raises ``ValueError``.

The message of the ``ValueError`` completes the sentence "VARIABLE is …".
"""

from __future__ import annotations

import ipaddress
import os
import posixpath
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable
from typing import TypeVar

from slipway.core import imagecode

T = TypeVar("T")

__all__ = [
    "address", "addresses", "argv", "choice", "choices", "command", "container_path", "count", "cpus",
    "duration", "each", "email", "everything", "host", "in_bytes", "inside", "insides", "integer",
    "is_address", "is_plain_host", "login_paths", "matching", "memory", "module", "network", "networks",
    "optional", "optional_count", "optional_port", "path", "port", "schedule", "seconds", "server_name",
    "server_names", "size", "status_codes", "text", "url_path", "words", "written_paths",
]  # fmt: skip

_MEGABYTE = 1024**2
_WEEK = 7 * 24 * 3600


def text(value: str) -> str:
    """Any text without control characters and line ends."""
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", value):
        raise ValueError("not one line of text")
    return value


def words(value: str) -> tuple[str, ...]:
    """Space-separated words. Other white space is refused: nginx, Compose and shells do not split at it."""
    for character in text(value):
        if character != " " and unicodedata.category(character) in {"Zs", "Cf"}:
            name = unicodedata.name(character, "invisible").lower()
            raise ValueError(f"not separated by plain spaces: it has a {name} (U+{ord(character):04X})")
    return tuple(value.split())


def matching(pattern: str, description: str) -> Callable[[str], str]:
    """Text that matches ``pattern`` as a whole; ``description`` names it in the error message."""
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


def command(value: str) -> str:
    """A shell command with all quotes closed."""
    try:
        shlex.split(text(value))
    except ValueError as bad:
        raise ValueError(f"not a command ({str(bad).lower()})") from None
    return value


def argv(value: str) -> tuple[str, ...]:
    """A command that runs without a shell, split as a shell would."""
    return tuple(shlex.split(command(value)))


def path(value: str) -> str:
    """A path on this host, without characters that Compose would interpret."""
    if re.search(r"""["$\\\x00-\x1f\x7f]""", value):
        raise ValueError("not a path without double quotes, backslashes or $")
    if value.startswith(("~", "-")) or "://" in value:
        raise ValueError("not a path: it is relative to the kit's folder, or begins with /")
    return _short(value)


def _short(value: str) -> str:
    """A path that a file system accepts, with room for the kit's folder in front of it."""
    if len(os.fsencode(value)) > 1024 or any(len(os.fsencode(name)) > 255 for name in value.split("/")):
        raise ValueError("not a path of at most 1024 bytes, each name in it of at most 255 bytes")
    return value


def inside(value: str) -> str:
    """A relative path that stays inside the folder it is relative to."""
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]+(/[A-Za-z0-9_.@+-]+)*", value) or value.startswith("-"):
        raise ValueError(f"not a relative path ({value})")
    if ".." in value.split("/"):
        raise ValueError(f"not inside the folder it is relative to ({value})")
    return _short(value)


def insides(value: str) -> tuple[str, ...]:
    """Space-separated relative paths; that of a folder may end with a slash."""
    for word in words(value):
        inside(word.removesuffix("/"))
    return words(value)


# Folders that the image has itself, or that the stack mounts.
_OTHERS_FOLDERS = re.compile(
    r"/(app|bin|boot|dev|etc|home|lib(32|64|x32)?|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)"
    r"|/(bin|boot|dev|etc|lib(32|64|x32)?|proc|root|run|sbin|sys|tmp|usr)/.*"
    r"|/(opt/(venv|slipway|nginx)|srv/(static|data|nginx|tls|acme|state|beat)|app/\.slipway)(/.*)?"
)


def container_path(value: str) -> str:
    """The absolute path of a folder in a container, where a volume may be mounted."""
    parts = value.split("/")[1:]
    if value != "/" and value.endswith("/"):
        raise ValueError("not an absolute path without a slash at the end")
    if not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", value) or {".", ".."} & set(parts):
        raise ValueError("not an absolute path")
    if _OTHERS_FOLDERS.fullmatch(value):
        raise ValueError("not a folder of its own: a volume there would hide what the image has")
    return value


def written_paths(value: str) -> tuple[str, ...]:
    """Space-separated paths, absolute or relative to the project, that links may replace."""
    for word in words(value):
        # POSIX leaves two leading slashes implementation-defined; here they are one.
        path = posixpath.normpath(re.sub("^//+", "/", word))
        if (
            not re.fullmatch(r"[A-Za-z0-9_.@+/-]+", word)
            or path.startswith(("..", "-"))
            or path in {".", "/", "/app"}
        ):
            raise ValueError(f"not files or folders inside the project, or absolute paths ({word})")
        if _OTHERS_FOLDERS.fullmatch(path):
            raise ValueError(f"not paths that can be kept: the image or the stack uses {word}")
    return words(value)


def module(value: str) -> str:
    """A Python module's dotted name."""
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError("not a dotted module name")
    if value.endswith(".py"):
        raise ValueError(f"not a dotted module name but a file: {value[:-3]} is its module")
    return value


def integer(least: int, most: int) -> Callable[[str], int]:
    """A whole number from ``least`` to ``most``."""

    def convert(value: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,8}", value) or not least <= int(value) <= most:
            raise ValueError(f"not a whole number from {least} to {most}")
        return int(value)

    return convert


def count(value: str) -> int:
    """A whole number of at least 1."""
    return integer(1, 10_000)(value)


def optional(convert: Callable[[str], T]) -> Callable[[str], T | None]:
    """A value that ``convert`` accepts; None for an empty one."""
    return lambda value: convert(value) if value else None


def port(value: str) -> int:
    """A TCP port."""
    return integer(1, 65_535)(value)


def schedule(value: str) -> str:
    """A cron expression of five fields that has a next time, as docker/cron.py reads it."""
    # Loaded here: only projects with a schedule need it.
    imagecode.run("cron")["Times"](value)
    return value


def status_codes(value: str) -> tuple[str, ...]:
    """HTTP status codes and ranges of them, separated by spaces: ``200-399 404``."""
    ranges = words(value)
    if not ranges:
        raise ValueError("not status codes such as 200-399 404")
    for word in ranges:
        first, _, last = word.partition("-")
        if not re.fullmatch(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?", word) or (last and first > last):
            raise ValueError("not status codes such as 200-399 404")
    return ranges


optional_port = optional(port)
optional_count = optional(count)


def size(value: str) -> str:
    """A size with its unit, up to what nginx and Docker can count."""
    if not re.fullmatch(r"[1-9][0-9]{0,14}[kmgKMG]", value) or in_bytes(value) >= 2**60:
        raise ValueError("not a size with a unit, k, m or g")
    return value


def memory(least: int) -> Callable[[str], str]:
    """A container's memory limit: a ``size`` of at least ``least`` megabytes."""

    def convert(value: str) -> str:
        if in_bytes(size(value)) < least * _MEGABYTE:
            raise ValueError(f"less than the minimum that works, {least}m")
        return value

    return convert


def duration(value: str) -> str:
    """A number of seconds with the unit s, a week at most."""
    if not re.fullmatch(r"[1-9][0-9]{0,5}s", value) or int(value[:-1]) > _WEEK:
        raise ValueError("not a number of seconds with the unit s, a week at most")
    return value


def in_bytes(value: str) -> int:
    """Bytes of a ``size``, whose units are powers of 1024, as with ``docker run --memory``."""
    return int(value[:-1]) << 10 * ("kmg".index(value[-1].lower()) + 1)


def seconds(value: str) -> int:
    """Seconds of a ``duration``."""
    return int(duration(value)[:-1])


def cpus(value: str) -> float:
    """A limit in CPUs, fractions allowed; 0 for none. Docker's minimum is 0.01."""
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,9})?", value) or 0 < float(value) < 0.01:
        raise ValueError("not a number of CPUs, such as 2 or 0.5")
    return float(value)


def each(convert: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Space-separated words that ``convert`` accepts."""
    return lambda value: tuple(convert(word) for word in words(value))


def network(value: str) -> str:
    """An IP network in CIDR notation or an address, for nginx's ``geo`` and ``set_real_ip_from``."""
    if "," in value:
        raise ValueError(f"not a network in CIDR notation ({value}): several are separated by spaces")
    # Python also accepts netmasks and zones (10.0.0.0/255.0.0.0, fe80::1%eth0).
    if not re.fullmatch(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", value):
        raise ValueError(f"not a network in CIDR notation ({value})")
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as bad:
        raise ValueError(f"not a network in CIDR notation ({bad})") from None


def networks(value: str) -> tuple[str, ...]:
    """Space-separated IP networks in CIDR notation, each once: nginx warns of duplicates."""
    return _once(each(network)(value))


def everything(of: Iterable[str]) -> str | None:
    """``0.0.0.0/0`` or ``::/0`` if the networks ``of`` cover all IPv4 or all IPv6 addresses, else None."""
    parsed = [ipaddress.ip_network(network) for network in of]
    for version in (4, 6):
        # mypy does not follow a list with networks of both versions.
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
    """Space-separated IP addresses to publish a port on, IPv6 ones without brackets, none covering another.

    As in Docker, ``0.0.0.0`` is every IPv4 address of the machine and ``::`` every IPv6 one; neither is both.
    """
    found: list[str] = []
    for word in words(value):
        if word.startswith("[") or word.endswith("]"):
            raise ValueError(f"not an IP address as written here: without brackets ({word.strip('[]')})")
        if "," in word:
            raise ValueError(f"not an IP address ({word}): several are separated by spaces")
        if "%" in word:
            raise ValueError(f"not an IP address that a port can be published on: without a zone ({word})")
        found.append(address(word))
        parsed = ipaddress.ip_address(found[-1])
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            raise ValueError(f"not an IP address as written here: {parsed.ipv4_mapped} ({word})")
        # 0.0.0.0/8 except 0.0.0.0, 240.0.0.0/4 and multicast: no machine has such an address.
        if parsed.is_multicast or (
            parsed.version == 4 and parsed.packed[0] in {0, *range(240, 256)} and int(parsed)
        ):
            raise ValueError(f"not an address that a machine can have ({word})")
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


_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
# Syntax of Python's regular expressions that PCRE, which nginx uses, lacks or reads differently.
_PYTHONS = re.compile(r"\\[uUN]|\(\?[a-zA-Z-]*[aLu][a-zA-Z-]*[:)]|\[[\[:=.]|\[\^?\[")
_GROUP = re.compile(r"\(\?P?<(?![=!])([^>]*)>?")
# https://nginx.org/en/docs/varindex.html: a named group of that name would set nginx's own variable.
_NGINX_VARIABLES = re.compile(
    "(ancient_browser|arg|cookie|geoip|http|http2|http3|invalid|jwt|limit|maintenance|memcached|modern_browser"
    "|nginx|proxy|proxy_protocol|realip|realpath|remote|request|secure|sent|server|session|slice|ssl|spdy|tcpinfo"
    "|time|uid|upstream)(_.*)?|args?|binary_remote_addr|body_bytes_sent|bytes_.*|connections?(_.*)?|content_.*"
    "|date_.*|document_.*|fastcgi_.*|gzip_.*|host(name)?|https|is_.*|msec|pid|pipe|protocol|query_string"
    "|scheme|status|uri"
)
_LONGEST_PARAMETER = 1000
# The tables in nginx/snippets/basics.conf have room for this length.
_LONGEST_URL_PATH = 255


def is_plain_host(value: str) -> bool:
    """Whether ``value`` is one host name or address, an IPv6 one in brackets, as RFC 3986 defines them.

    An underscore is not allowed: Django refuses it in a Host header.
    """
    if value.startswith("["):
        return value.endswith("]") and ":" in value and "%" not in value and is_address(value[1:-1])
    # A name of digits and dots only is a mistyped address.
    return bool(_NAME.fullmatch(value)) and (is_address(value) or not re.fullmatch(r"[0-9.]+", value))


def host(value: str) -> str:
    """The value of a Host header: a host name or address, and optionally a port."""
    name, colon, number = value.rpartition(":")
    if colon and not value.endswith("]") and is_plain_host(name):
        port(number)
        return value
    return _host_name(value)


def server_name(value: str) -> str:
    """A name for nginx's server_name (https://nginx.org/en/docs/http/server_names.html): a host or a pattern.

    Patterns: ``*.example.org``, ``www.example.*``, ``.example.org`` (it and its subdomains), ``~`` and a
    regular expression.
    """
    if value == "_":
        raise ValueError("not a host name: no client asks for _")
    if value.startswith("~"):
        if "/" in value:
            raise ValueError(f"not a pattern of host names, which have no slash ({value})")
        regular_expression(value[1:])
        return value
    plain = value.removeprefix("*.") if value.startswith("*") else value.removeprefix(".")
    plain = plain.removesuffix(".*") if plain == value else plain
    _host_name(plain if plain and not is_address(plain) else value)
    return value


def server_names(value: str) -> tuple[str, ...]:
    """Space-separated names of nginx's server_name, each once in any case: nginx warns of duplicates."""
    return _once(each(server_name)(value))


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    lower = [name.lower() for name in names]
    if twice := [name for number, name in enumerate(lower) if name in lower[:number]]:
        raise ValueError(f"a list that names {twice[0]} twice")
    return names


def _host_name(value: str) -> str:
    """Return ``value`` if it is a host name. Raises ``ValueError``; its message says how to write it."""
    if is_plain_host(value):
        return value
    if "," in value or ";" in value:
        raise ValueError(f"not one host name ({value}): several are separated by spaces")
    if "/" in value:
        raise ValueError(f"not a host name alone, without scheme and path ({value})")
    if is_address(value):
        raise ValueError(f"not a host name: write an IPv6 address in brackets, [{value}]")
    name, colon, number = value.rpartition(":")
    if colon and is_plain_host(name) and number.isdecimal():
        raise ValueError(f"not a host name alone, without a port ({value})")
    if value.endswith(".") and is_plain_host(value[:-1]):
        raise ValueError(f"not a host name without a dot at the end ({value})")
    if not value.isascii() and (encoded := _punycode(value)):
        raise ValueError(f"not what browsers send for {value}, which is {encoded}")
    if "_" in value:
        raise ValueError(f"not a host name: Django refuses names with an underscore ({value})")
    raise ValueError(f"not a host name ({value})")


def _punycode(value: str) -> str:
    """``value`` as browsers send it, in the form of RFC 5891; empty if it is no name in any script."""
    # Imported here: only error messages need it.
    import idna  # noqa: PLC0415

    try:
        encoded = idna.encode(value, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""
    return encoded if is_plain_host(encoded) else ""


def regular_expression(value: str) -> str:
    """A regular expression that nginx's configuration holds unquoted: no character in it ends a parameter.

    Only syntax that Python and PCRE share is accepted.
    """
    if re.search(r"[\s'\"#;{}\x00-\x1f\x7f]", value):
        raise ValueError("not a regular expression without spaces, quotes, #, ; or braces")
    if len(value) > _LONGEST_PARAMETER:
        raise ValueError(f"not a regular expression of at most {_LONGEST_PARAMETER} characters")
    if not value:
        raise ValueError("not a regular expression, but empty")
    if odd := _PYTHONS.search(value):
        raise ValueError(f"not a regular expression that nginx reads ({odd[0]})")
    for name in _GROUP.findall(value):
        if _NGINX_VARIABLES.fullmatch(name):
            raise ValueError(f"not a regular expression for nginx, which has its own variable ${name}")
    try:
        re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", value))
    except re.error as bad:
        raise ValueError(f"not a regular expression that nginx reads ({bad})") from None
    return value


def login_paths(value: str) -> str:
    """A regular expression for paths, which nginx's configuration holds in quotes."""
    if "$" in value:
        raise ValueError("not a regular expression without quotes, $, ; or braces")
    # With an asterisk in front, nginx's map ignores case.
    regular_expression(value.removeprefix("*"))
    return value


def url_path(value: str) -> str:
    """The path of a URL with its query, as in a request line (RFC 3986, section 3.3)."""
    if not value.startswith("/"):
        raise ValueError("not a path that starts with /")
    if not re.fullmatch(r"([A-Za-z0-9._~!&()*+,=:@/?-]|%[0-9A-Fa-f]{2})+", value):
        raise ValueError("not a path of a URL: percent-encode its other characters")
    if len(value) > _LONGEST_URL_PATH:
        raise ValueError(f"not a path of at most {_LONGEST_URL_PATH} characters")
    return value


def email(value: str) -> str:
    """One e-mail address."""
    local, at, domain = value.rpartition("@")
    if not at or not is_plain_host(domain) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", local):
        raise ValueError("not an e-mail address")
    return value
