"""Functions of Python's own modules, and of packages that settings files use, for the evaluator."""

from __future__ import annotations

import ast
import builtins
import json
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from slipway.project.configfiles import ConfigFile, Section
from slipway.project.envreaders import ConfigurationValue, Csv, EnvReader, convert, database_from_url
from slipway.project.objects import (
    MISSING,
    UNKNOWN,
    ClassValue,
    External,
    Function,
    Instance,
    Raised,
    Scope,
    Unknown,
)

if TYPE_CHECKING:
    from slipway.project.evaluator import Evaluator

__all__ = ["BUILTINS", "CONSTANTS", "GENERATED", "EnvironPath", "call", "instance", "method"]

BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_")) | {"__import__"}
CONSTANTS: Mapping[str, Any] = {
    # As the image starts the server, so that settings find no command of manage.py in it.
    "sys.argv": ["gunicorn", "--config", "gunicorn.conf.py", "config.wsgi:application"],
    "sys.platform": "linux",
    "sys.version_info": (3, 13, 0, "final", 0),
    "os.name": "posix",
    "os.sep": "/",
    "os.path.sep": "/",
    "os.linesep": "\n",
}
_STRING_METHODS = {
    "capitalize", "count", "encode", "endswith", "find", "format", "index", "isdigit", "join", "lower",
    "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rpartition", "rsplit", "rstrip",
    "split", "splitlines",
    "startswith", "strip", "title", "upper", "zfill", "casefold", "decode",
}  # fmt: skip
_COLLECTION_METHODS = {
    "append", "extend", "insert", "remove", "index", "copy", "pop", "get", "items", "keys", "values",
    "update",
    "setdefault", "add", "discard", "union", "count", "reverse", "sort", "clear",
}  # fmt: skip
GENERATED = "generated"
"""Stands for a random value."""
_HOME = "/tmp"  # noqa: S108 - as in the image
_SECRETS = "/run/secrets/"
_FILE_NOT_THERE = "FileNotFoundError"


@dataclass(frozen=True)
class EnvironPath:
    """``environ.Path`` of django-environ: ``root - 2``, ``root("static")``."""

    place: str

    def up(self, levels: Any) -> Any:
        """``path - 2``."""
        place = self.place
        for _ in range(levels if isinstance(levels, int) else 0):
            place = posixpath.dirname(place)
        return EnvironPath(place)

    def down(self, part: Any) -> Any:
        """``path + "static"``."""
        return EnvironPath(posixpath.join(self.place, str(part)))

    def __str__(self) -> str:
        return self.place


@dataclass(frozen=True)
class OpenFile:
    """A file that the project has opened to read."""

    path: str


def call(run: Evaluator, dotted: str, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    """Call a function outside the project."""
    known = _KNOWN.get(dotted) or _KNOWN.get(dotted.rsplit(".", 1)[-1] + "()")
    if known:
        return known(run, args, kwargs, line)
    if dotted.startswith(("os.path.", "posixpath.")):
        return _os_path(run, dotted.rsplit(".", 1)[-1], args)
    if dotted.startswith("builtins."):
        return _builtin(run, dotted[9:], args, kwargs, line)
    if dotted.startswith("configurations.values."):
        default = kwargs.get("default", args[0] if args else None)
        return ConfigurationValue(dotted.rsplit(".", 1)[-1], default, kwargs)
    if dotted.startswith("environs.env."):
        return EnvReader("environs").call(run, dotted.rsplit(".", 1)[-1], args, kwargs, line)
    if dotted.startswith("os.environ."):
        return _os_environ(run, dotted.rsplit(".", 1)[-1], args, kwargs, line)
    first, _, last = dotted.rpartition(".")
    if last in {"resolve", "cwd"} and first.endswith("Path"):
        return PurePosixPath("/app")
    return UNKNOWN


def method(run: Evaluator, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    """Call a method of a plain value."""
    if name in {"get_secret_value", "unicode_string"}:  # pydantic's
        return owner
    if isinstance(owner, ConfigFile):
        return owner.call(run, name, args, kwargs)
    if isinstance(owner, Section):
        return owner.call(name, args, kwargs)
    if isinstance(owner, OpenFile):
        return _text_of(run, owner.path) if name in {"read", "readline", "readlines"} else None
    if isinstance(owner, PurePosixPath):
        return _path_method(run, owner, name, args, kwargs, line)
    if isinstance(owner, EnvironPath):
        if name in {"path", "__call__"}:
            return EnvironPath(posixpath.join(owner.place, *map(str, args)))
        return posixpath.join(owner.place, *map(str, args)) if name == "root" else UNKNOWN
    if isinstance(owner, str | bytes) and name in _STRING_METHODS:
        if (
            name == "join"
            and args
            and isinstance(args[0], list | tuple)
            and any(isinstance(x, Unknown) for x in args[0])
        ):
            return UNKNOWN
        if any(isinstance(x, Unknown | External) for x in [*args, *kwargs.values()]):
            return UNKNOWN
        return getattr(owner, name)(*args, **kwargs)
    if isinstance(owner, list | dict | set | tuple) and name in _COLLECTION_METHODS:
        if name in {"extend", "update"} and args and isinstance(args[0], Unknown):
            return None
        result = getattr(owner, name)(*args, **kwargs)
        return list(result) if name in {"items", "keys", "values"} else result
    if isinstance(owner, Scope) and name == "update" and args and isinstance(args[0], dict):
        for key, value in args[0].items():
            owner.names[key] = value
            owner.where[key] = (run.scope.path, line)
        return None
    if isinstance(owner, Scope):
        return owner.names.get(args[0], args[1] if len(args) > 1 else None) if name == "get" else UNKNOWN
    return UNKNOWN


def instance(run: Evaluator, cls: ClassValue, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    """Create an object; the fields of a pydantic settings class come from the environment."""
    made = Instance(cls)
    if _is_pydantic(cls):
        _fill_from_environment(run, cls, made, line)
        return made
    init = cls.scope.names.get("__init__")
    if isinstance(init, Function):
        run.call(Function(init.node, init.scope, bound=made), args, kwargs, line)
    return made


def _is_pydantic(cls: ClassValue) -> bool:
    return any(
        (isinstance(base, External) and base.dotted.rsplit(".", 1)[-1] == "BaseSettings")
        or (isinstance(base, ClassValue) and _is_pydantic(base))
        for base in cls.bases
    )


def _fill_from_environment(run: Evaluator, cls: ClassValue, made: Instance, line: int) -> None:
    config = cls.scope.names.get("model_config")
    inner = cls.scope.names.get("Config")
    prefix = config.get("env_prefix", "") if isinstance(config, dict) else ""
    if isinstance(inner, ClassValue):
        prefix = inner.scope.names.get("env_prefix", "") or ""
    for name, annotation in cls.annotations.items():
        if name == "model_config":
            continue
        default = cls.scope.names.get(name, MISSING)
        variable = f"{prefix}{name}".upper()
        if isinstance(default, dict) and "__field__" in default:
            variable = next(
                (default[k] for k in ("env", "alias", "validation_alias") if isinstance(default.get(k), str)),
                variable,
            )
            default = default["default"]
        if default is ...:
            default = MISSING
        words = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
        kind = next(
            (k for k in ("bool", "int", "float") if k in words),
            "json" if words & {"list", "List", "dict", "Dict", "set"} else "str",
        )
        if (
            default is MISSING
            and ("Optional" in words or isinstance(annotation, ast.BinOp))
            and "Optional" in words
        ):
            default = MISSING
        text = run.read(
            variable, default, kind, cls.scope.where.get(name, (cls.scope.path, line))[1], "ValidationError"
        )
        made.attributes[name] = (
            convert(run, text, kind, None, line) if isinstance(text, str) and text is not default else text
        )


# -- paths -------------------------------------------------------------------------------------------


def _place(value: Any) -> str:
    if isinstance(value, str | PurePosixPath | EnvironPath):
        return str(value)
    raise TypeError


def _os_path(run: Evaluator, name: str, args: list[Any]) -> Any:
    if any(isinstance(x, Unknown | External) for x in args):
        return UNKNOWN
    places = [_place(value) for value in args]
    if name in {"abspath", "realpath"}:
        return posixpath.normpath(posixpath.join("/app", places[0]))
    if name in {"exists", "isfile", "isdir", "lexists"}:
        return _exists(run, places[0], name)
    if name in {
        "join",
        "dirname",
        "basename",
        "normpath",
        "isabs",
        "split",
        "splitext",
        "relpath",
        "expanduser",
    }:
        if name == "expanduser":
            return places[0].replace("~", _HOME, 1)
        return getattr(posixpath, name)(*places)
    return UNKNOWN


def _exists(run: Evaluator, place: str, how: str = "exists") -> Any:
    host = run.on_host(posixpath.normpath(posixpath.join("/app", place)))
    if host is None:
        return place == "/.dockerenv" or place.startswith(_SECRETS)
    # Dockerfile.dockerignore keeps these out of every image.
    if host.name == ".env" or host.name.startswith(".env."):
        return False
    return {"isfile": host.is_file, "isdir": host.is_dir}.get(how, host.exists)()


def _path_method(
    run: Evaluator, owner: PurePosixPath, name: str, args: list[Any], kwargs: dict[str, Any], line: int
) -> Any:
    if name in {"resolve", "absolute", "expanduser"}:
        return PurePosixPath(posixpath.normpath(str(PurePosixPath("/app") / owner)))
    if name in {"joinpath", "child"}:
        return owner.joinpath(*map(_place, args))
    if name == "ancestor":
        return owner.parents[args[0] - 1]
    if name in {"exists", "is_file", "is_dir"}:
        return _exists(run, str(owner), {"is_file": "isfile", "is_dir": "isdir"}.get(name, "exists"))
    if name in {"mkdir", "touch", "write_text"}:
        run.writes.append((str(owner), run.scope.path, line))
        return None
    if name == "read_text":
        return _text_of(run, str(owner))
    if name == "open":
        return _open(run, [str(owner), *args], kwargs, line)
    if name in {"with_suffix", "with_name", "relative_to", "as_posix", "as_uri", "is_absolute"}:
        return getattr(owner, name)(*args)
    return UNKNOWN


def _text_of(run: Evaluator, place: str) -> Any:
    if place.startswith(_SECRETS):
        return f"slipway-secret-{place.removeprefix(_SECRETS)}"
    host = run.on_host(posixpath.normpath(posixpath.join("/app", place)))
    if host is None or not host.is_file() or not _exists(run, place):
        raise Raised(_FILE_NOT_THERE, set(), f"there is no file {place}")
    if host.stat().st_size > 200_000:
        return UNKNOWN
    return host.read_bytes().decode("utf-8", errors="replace")


def _open(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    mode = kwargs.get("mode", args[1] if len(args) > 1 else "r")
    if not args or isinstance(args[0], Unknown):
        return UNKNOWN
    place = _place(args[0])
    if isinstance(mode, str) and any(letter in mode for letter in "wax+"):
        run.writes.append((place, run.scope.path, line))
        return UNKNOWN
    if not _exists(run, place, "isfile"):
        raise Raised(_FILE_NOT_THERE, set(), f"there is no file {place}")
    return OpenFile(place)


def _makedirs(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    if args and not isinstance(args[0], Unknown):
        run.writes.append((_place(args[0]), run.scope.path, line))


# -- the environment ---------------------------------------------------------------------------------


def _getenv(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    name = args[0] if args else kwargs.get("key")
    default = args[1] if len(args) > 1 else kwargs.get("default")
    return run.read(name, default, "str", line) if isinstance(name, str) else UNKNOWN


def _os_environ(run: Evaluator, name: str, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    if name in {"get", "pop"}:
        return _getenv(run, args, kwargs, line)
    if name == "setdefault" and len(args) == 2 and isinstance(args[0], str) and isinstance(args[1], str):
        return run.environ.setdefault(args[0], args[1])
    if name == "copy":
        return External("os.environ")
    if name == "__getitem__":
        return run.read(args[0], MISSING, "str", line)
    if name == "keys":
        return External("os.environ")
    return UNKNOWN if name in {"items", "values"} else None


def _environ_env(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    return EnvReader("environ", kwargs)


def _dj_database_url_config(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    name = kwargs.get("env", args[0] if args else "DATABASE_URL")
    default = kwargs.get("default", args[1] if len(args) > 1 else None)
    text = run.read(name, default, "db", line)
    # Without a URL the result is an empty dictionary; an unknown default is one that the settings compute.
    found = {} if text is None else database_from_url(text)
    return _with_options(found, kwargs)


def _parse_database_url(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    return _with_options(database_from_url(args[0] if args else kwargs.get("url")), kwargs)


def _with_options(found: Any, kwargs: dict[str, Any]) -> Any:
    if isinstance(found, dict) and found:
        if kwargs.get("engine"):
            found["ENGINE"] = kwargs["engine"]
        if kwargs.get("ssl_require") is True:
            found["OPTIONS"] = {**found.get("OPTIONS", {}), "sslmode": "require"}
    return found


def _csv(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    delimiter = kwargs.get("delimiter", args[1] if len(args) > 1 else ",")
    return Csv(
        kwargs.get("cast", args[0] if args else None), delimiter if isinstance(delimiter, str) else ","
    )


def _field(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    return {**kwargs, "__field__": True, "default": kwargs.get("default", args[0] if args else MISSING)}


def _include(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    for pattern in args:
        optional = isinstance(pattern, tuple) and pattern[:1] == ("__optional__",)
        name = pattern[1] if optional else pattern
        if isinstance(name, str | PurePosixPath):
            run.include(str(name), required=not optional)


def _import_module(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    if not args or not isinstance(args[0], str):
        return UNKNOWN
    found = run.module(args[0])
    return found if found is not None else External(args[0])


def _path(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    if any(isinstance(x, Unknown) for x in args):
        return UNKNOWN
    if None in args:
        return _nothing(run, None)
    return PurePosixPath(*map(_place, args))


def _sys_path(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    place = args[-1] if args else None
    if isinstance(place, str | PurePosixPath | EnvironPath):
        run.path_edits.append(posixpath.normpath(posixpath.join("/app", str(place))))


def _loads(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    text = (
        _text_of(run, args[0].path)
        if args and isinstance(args[0], OpenFile)
        else args[0]
        if args
        else UNKNOWN
    )
    if not isinstance(text, str):
        return _nothing(run, text)
    try:
        return json.loads(text)
    except ValueError:
        raise Raised("ValueError", set(run.argument_reads)) from None


def _strtobool(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    if args and isinstance(args[0], str):
        return convert(run, args[0], "bool", None, line)
    return _nothing(run, args[0] if args else UNKNOWN)


def _nothing(run: Evaluator, value: Any) -> Any:
    """UNKNOWN. Raises ``Raised`` TypeError, as Python does, for a None that an unset variable caused."""
    if value is None and run.absent():
        raise Raised("TypeError", run.absent())
    return UNKNOWN


def _literal(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    if not args or not isinstance(args[0], str):
        return _nothing(run, args[0] if args else UNKNOWN)
    try:
        return ast.literal_eval(args[0])
    except (ValueError, SyntaxError):
        raise Raised("ValueError", set(run.argument_reads)) from None


def _heroku(run: Evaluator, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    scope = args[0] if args and isinstance(args[0], Scope) else run.scope
    base = scope.names.get("BASE_DIR")
    if kwargs.get("allowed_hosts", True):
        scope.names["ALLOWED_HOSTS"] = ["*"]
    if kwargs.get("staticfiles", True) and isinstance(base, str | PurePosixPath):
        scope.names["STATIC_ROOT"] = posixpath.join(str(base), "staticfiles")


def _builtin(run: Evaluator, name: str, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
    if name in {"globals", "locals", "vars"} and not args:
        return run.scope
    if name == "vars" and isinstance(args[0], Scope):
        return dict(args[0].names)
    if name == "open":
        return _open(run, args, kwargs, line)
    if name == "__import__":
        return _import_module(run, args, kwargs, line)
    if name in {"getattr", "hasattr"}:
        found = run.attribute(args[0], args[1]) if isinstance(args[1], str) else UNKNOWN
        if name == "hasattr":
            return UNKNOWN if isinstance(found, Unknown | External) else True
        return args[2] if isinstance(found, Unknown) and len(args) > 2 else found
    if name == "eval":
        return _literal(run, args, kwargs, line)
    if name in {"map", "filter"} and len(args) == 2 and isinstance(args[1], list | tuple):
        results = [run.call(args[0], [item], {}, line) if args[0] is not None else item for item in args[1]]
        return results if name == "map" else [i for i, r in zip(args[1], results, strict=True) if r]
    if name in {"int", "float"} and args and isinstance(args[0], str):
        try:
            return int(args[0]) if name == "int" else float(args[0])
        except ValueError:
            raise Raised("ValueError", set(run.argument_reads)) from None
    if name in {"int", "float", "len", "list", "tuple", "set"} and args and args[0] is None:
        return _nothing(run, None)
    if name == "str" and args and isinstance(args[0], str | int | float | bool | PurePosixPath | EnvironPath):
        return str(args[0])
    if name in {
        "any",
        "all",
        "len",
        "bool",
        "list",
        "tuple",
        "set",
        "dict",
        "sorted",
        "sum",
        "min",
        "max",
        "int",
        "float",
        "str",
        "repr",
        "abs",
    }:
        if (
            any(isinstance(x, Unknown | External | Scope) for x in [*args, *kwargs.values()])
            and name != "dict"
        ):
            return UNKNOWN
        return getattr(builtins, name)(*args, **kwargs)
    if name in {"range", "zip", "enumerate", "reversed"} and not any(isinstance(x, Unknown) for x in args):
        if name == "range" and any(abs(x) > 5000 for x in args):
            return UNKNOWN
        return list(getattr(builtins, name)(*args, **kwargs))
    if name in {"exit", "quit"}:
        raise Raised("SystemExit")
    return None if name == "print" else UNKNOWN


_Known = Callable[["Evaluator", list[Any], dict[str, Any], int], Any]


def _constant(value: Any) -> _Known:
    return lambda run, args, kwargs, line: value


_KNOWN: Mapping[str, _Known] = {
    "os.getenv": _getenv,
    "os.environ": _getenv,
    "os.environb.get": _getenv,
    "os.makedirs": _makedirs,
    "os.mkdir": _makedirs,
    "os.getcwd": _constant("/app"),
    "os.cpu_count": _constant(2),
    "multiprocessing.cpu_count": _constant(2),
    "platform.system": _constant("Linux"),
    "platform.node": _constant("web"),
    "socket.gethostname": _constant("web"),
    "sys.exit": lambda run, args, kwargs, line: _builtin(run, "exit", args, kwargs, line),
    "sys.path.insert": _sys_path,
    "sys.path.append": _sys_path,
    "sys.path.extend": lambda run, args, kwargs, line: (
        [_sys_path(run, [x], {}, line) for x in args[0]] and None
    ),
    "site.addsitedir": _sys_path,
    "pathlib.Path": _path,
    "pathlib.PurePath": _path,
    "path.Path": _path,
    "unipath.Path": _path,
    "pathlib.Path.cwd": _constant(PurePosixPath("/app")),
    "pathlib.Path.home": _constant(PurePosixPath(_HOME)),
    "environ.Env": _environ_env,
    "environ.FileAwareEnv": _environ_env,
    "environ.Env.read_env": _constant(None),
    "environ.Path": lambda run, args, kwargs, line: _environ_path(args),
    "environs.Env": lambda run, args, kwargs, line: EnvReader("environs"),
    "environs.FileAwareEnv": lambda run, args, kwargs, line: EnvReader("environs"),
    "environs.env": lambda run, args, kwargs, line: EnvReader("environs").call(run, "", args, kwargs, line),
    "configparser.ConfigParser": lambda run, args, kwargs, line: ConfigFile(),
    "configparser.RawConfigParser": lambda run, args, kwargs, line: ConfigFile(),
    "configparser.SafeConfigParser": lambda run, args, kwargs, line: ConfigFile(),
    "decouple.config": lambda run, args, kwargs, line: EnvReader("decouple").call(
        run, "", args, kwargs, line
    ),
    "decouple.AutoConfig": lambda run, args, kwargs, line: EnvReader("decouple"),
    "decouple.Config": lambda run, args, kwargs, line: EnvReader("decouple"),
    "decouple.RepositoryEnv": _constant(UNKNOWN),
    "decouple.RepositoryEmpty": _constant(UNKNOWN),
    "decouple.Csv": _csv,
    "dj_database_url.config": _dj_database_url_config,
    "dj_database_url.parse": _parse_database_url,
    "dotenv.load_dotenv": _constant(True),
    "dotenv.read_dotenv": _constant(True),
    "dotenv.find_dotenv": _constant(""),
    "dotenv.dotenv_values": _constant({}),
    "pydantic_settings.SettingsConfigDict": lambda run, args, kwargs, line: dict(kwargs),
    "pydantic.Field": _field,
    "split_settings.tools.include": _include,
    "split_settings.tools.optional": lambda run, args, kwargs, line: ("__optional__", args[0]),
    "importlib.import_module": _import_module,
    "json.load": _loads,
    "json.loads": _loads,
    "ast.literal_eval": _literal,
    "distutils.util.strtobool": _strtobool,
    "strtobool()": _strtobool,
    "django_heroku.settings": _heroku,
    "heroku.settings": _heroku,
    "get_random_secret_key()": _constant(GENERATED),
    "secrets.token_urlsafe": _constant(GENERATED),
    "secrets.token_hex": _constant(GENERATED),
    "get_random_string()": _constant(GENERATED),
    "gettext_lazy()": lambda run, args, kwargs, line: args[0] if args else "",
    "gettext()": lambda run, args, kwargs, line: args[0] if args else "",
    "ugettext_lazy()": lambda run, args, kwargs, line: args[0] if args else "",
    "reverse_lazy()": _constant(UNKNOWN),
    "collections.OrderedDict": lambda run, args, kwargs, line: dict(*args, **kwargs),
    "copy.deepcopy": lambda run, args, kwargs, line: args[0],
    "copy.copy": lambda run, args, kwargs, line: args[0],
}


def _environ_path(args: list[Any]) -> Any:
    return (
        UNKNOWN
        if not args or isinstance(args[0], Unknown)
        else EnvironPath(posixpath.join("/app", *map(_place, args)))
    )
