"""Converts the text of environment variables into values as the usual libraries do.

The rules are those of django-environ, environs, python-decouple, dj-database-url and django-configurations.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from slipway.project.objects import MISSING, UNKNOWN, External, Function, Raised, Unknown

if TYPE_CHECKING:
    from slipway.project.evaluator import Evaluator

__all__ = ["ConfigurationValue", "Csv", "EnvReader", "Prefixed", "convert", "database_from_url"]

_TRUE = {"true", "on", "ok", "y", "yes", "1", "t"}
_FALSE = {"false", "off", "n", "no", "0", "f", ""}
_ENGINES = {
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "psql": "django.db.backends.postgresql",
    "pgsql": "django.db.backends.postgresql",
    "postgis": "django.contrib.gis.db.backends.postgis",
    "mysql": "django.db.backends.mysql",
    "mysql2": "django.db.backends.mysql",
    "sqlite": "django.db.backends.sqlite3",
    "spatialite": "django.contrib.gis.db.backends.spatialite",
}
_CONFIGURATION_KINDS = {
    "BooleanValue": "bool", "IntegerValue": "int", "PositiveIntegerValue": "int", "FloatValue": "float",
    "ListValue": "list", "TupleValue": "list", "SetValue": "list", "DictValue": "dict",
    "DatabaseURLValue": "db", "CacheURLValue": "cache", "EmailURLValue": "email",
}  # fmt: skip
_CONFIGURATION_NAMES = {
    "DatabaseURLValue": "DATABASE_URL", "CacheURLValue": "CACHE_URL", "EmailURLValue": "EMAIL_URL",
}  # fmt: skip
_KINDS = {
    "str": "str", "bytes": "str", "unicode": "str", "path": "str", "uuid": "str", "enum": "str",
    "date": "str", "datetime": "str", "log_level": "str", "bool": "bool", "int": "int", "timedelta": "int",
    "float": "float", "decimal": "float", "json": "json", "list": "list", "tuple": "list", "set": "list",
    "dict": "dict",
    "url": "url", "search": "url", "search_url": "url", "db": "db", "db_url": "db", "dj_db_url": "db",
    "database_url": "db", "cache": "cache", "cache_url": "cache", "dj_cache_url": "cache", "email": "email",
    "email_url": "email", "dj_email_url": "email", "channels": "channels", "channels_url": "channels",
}  # fmt: skip
_DEFAULT_NAMES = {
    "db": "DATABASE_URL", "db_url": "DATABASE_URL", "dj_db_url": "DATABASE_URL", "cache": "CACHE_URL",
    "cache_url": "CACHE_URL", "email": "EMAIL_URL", "email_url": "EMAIL_URL", "channels": "CHANNELS_URL",
    "channels_url": "CHANNELS_URL", "search_url": "SEARCH_URL",
}  # fmt: skip


@dataclass(frozen=True)
class Csv:
    """decouple's ``Csv()``: text split at a delimiter, each part cast."""

    cast: Any = None
    delimiter: str = ","


@dataclass
class EnvReader:
    """``environ.Env()``, ``environs.Env()`` or decouple's ``config``."""

    library: str
    scheme: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""

    def call(self, run: Evaluator, method: str, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
        """The value of ``env.method(...)``; ``method`` is empty for ``env(...)``."""
        if method in {"read_env", "read_envfile", "seal", "smart_cast"}:
            return None
        if method == "prefixed":
            return Prefixed(self, str(args[0]) if args else "")
        if method and method not in _KINDS:
            return UNKNOWN
        names = ("name", "cast", "default")
        if self.library != "environ" or method:
            names = ("name", "default", "cast")
        given = dict(zip(names, args, strict=False)) | kwargs
        name = given.get("name", given.get("var", given.get("option", _DEFAULT_NAMES.get(method, MISSING))))
        if not isinstance(name, str):
            return UNKNOWN
        cast = given.get("cast", given.get("subcast", given.get("parser")))
        # An unknown reader may have a default of its own, so nothing is required.
        default = given.get("default", UNKNOWN if self.library == "unknown" else MISSING)
        kind = _KINDS.get(method, "") or _kind_of(cast)
        if name in self.scheme and not method:
            of_scheme = self.scheme[name]
            if isinstance(of_scheme, tuple) and len(of_scheme) == 2:
                default = of_scheme[1] if default is MISSING else default
                of_scheme = of_scheme[0]
            if cast is None:
                cast, kind = of_scheme, _kind_of(of_scheme)
        name = self.prefix + name
        problem = {"decouple": "UndefinedValueError", "environs": "EnvError"}.get(
            self.library, "ImproperlyConfigured"
        )
        text = run.read(name, default, kind or "str", line, problem)
        if not isinstance(text, str) or (
            text is default and self.library in {"environ", "environs"} and kind != "db"
        ):
            return text
        if method in {"list", "tuple", "set"}:
            cast = None
        return convert(run, text, kind or "str", cast, line, {name})


@dataclass(frozen=True)
class ConfigurationValue:
    """``values.BooleanValue(...)`` of django-configurations: the attribute's name is the variable's."""

    kind: str
    default: Any
    options: dict[str, Any]

    def read(self, run: Evaluator, attribute: str, line: int) -> Any:
        """The value for an attribute of a configuration class."""
        known = _CONFIGURATION_NAMES.get(self.kind)
        given = self.options.get("environ_name")
        name = given if isinstance(given, str) else known or attribute
        prefix = self.options.get("environ_prefix", None if known else "DJANGO")
        name = f"{prefix}_{name}" if isinstance(prefix, str) and prefix else name
        required = self.kind == "SecretValue" or self.options.get("environ_required") is True
        kind = _CONFIGURATION_KINDS.get(self.kind, "str")
        text = run.read(name, MISSING if required else self.default, kind, line, "ValueError")
        if not isinstance(text, str):
            return text
        value = convert(run, text, kind, None, line, {name})
        return {"default": value} if kind in {"db", "cache"} else value


@dataclass(frozen=True)
class Prefixed:
    """``with env.prefixed("X_")``."""

    reader: EnvReader
    prefix: str


def convert(run: Evaluator, text: str, kind: str, cast: Any, line: int, reads: set[str] | None = None) -> Any:
    """The value of ``text``, the text of ``reads``. Raises ``Raised`` ValueError where the libraries do."""
    if isinstance(cast, Csv):
        parts = [part.strip() for part in text.split(cast.delimiter) if part.strip()]
        return (
            parts
            if cast.cast is None
            else [convert(run, p, _kind_of(cast.cast), cast.cast, line) for p in parts]
        )
    if isinstance(cast, Function):
        outer, run.argument_reads = run.argument_reads, reads or set()
        try:
            return run.call(cast, [text], {}, line)
        finally:
            run.argument_reads = outer
    simple: dict[str, Callable[[str], Any]] = {
        "bool": _boolean,
        "int": lambda t: int(t.replace(",", "")),
        "float": float,
        "json": json.loads,
        "list": lambda t: [part.strip() for part in t.strip("()[]").split(",") if part.strip()],
        "dict": lambda t: dict(pair.split("=", 1) for pair in t.split(",") if "=" in pair),
        "db": database_from_url,
        "cache": cache_from_url,
    }
    try:
        return simple[kind](text) if kind in simple else (text if kind in {"str", "url"} else UNKNOWN)
    except ValueError:
        raise Raised("ValueError", reads or set(run.argument_reads)) from None


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


def _kind_of(cast: Any) -> str:
    if isinstance(cast, External):
        if cast.dotted.startswith("dj_database_url."):
            return "db"
        return _KINDS.get(cast.dotted.rsplit(".", 1)[-1], "str")
    if isinstance(cast, Csv | list | tuple):
        return "list"
    return "dict" if isinstance(cast, dict) else "str"


def database_from_url(url: Any) -> Any:
    """The database settings that dj-database-url and django-environ return for a URL."""
    if isinstance(url, Unknown) or not isinstance(url, str) or "://" not in url:
        return UNKNOWN if url else {}
    parts = urlsplit(url)
    scheme = parts.scheme.split("+")[0]
    name = unquote(parts.path[1:])
    if scheme in {"sqlite", "spatialite"} and not name:
        name = parts.netloc or ":memory:"
    try:
        port = parts.port or ""
    except ValueError:
        port = ""
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": _ENGINES.get(scheme, parts.scheme),
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": port,
        **({"OPTIONS": options} if options else {}),
    }


def cache_from_url(url: Any) -> Any:
    """The cache settings that django-environ returns for a URL, as far as the scan needs them."""
    if not isinstance(url, str) or "://" not in url:
        return UNKNOWN
    scheme = urlsplit(url).scheme
    return {
        "BACKEND": f"redis:{scheme}" if scheme.startswith(("redis", "valkey")) else scheme,
        "LOCATION": url,
    }
