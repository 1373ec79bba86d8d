"""``configparser`` of the standard library, as settings use it: files of the project, tables of defaults."""

from __future__ import annotations

import configparser
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from slipway.project.objects import MISSING, UNKNOWN, Bound, Raised, Unknown

if TYPE_CHECKING:
    from slipway.project.evaluator import Evaluator

__all__ = ["ConfigFile", "Section"]

_TRUE = {"1", "yes", "true", "on"}
_FALSE = {"0", "no", "false", "off"}


class ConfigFile:
    """A parser's sections; values may be anything the evaluator computes with."""

    def __init__(self) -> None:
        self.sections: dict[str, dict[str, Any]] = {}
        self.unread = False
        """Whether the project read something whose content is unknown here."""

    def call(self, run: Evaluator, method: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The value of ``config.method(...)``. Raises ``Raised`` as the parser does."""
        if method in {"read", "read_file", "read_string"}:
            return self._read(run, args[0] if args else UNKNOWN, method)
        if method == "read_dict" and args and isinstance(args[0], dict):
            for name, options in args[0].items():
                there = self.sections.setdefault(str(name), {})
                there.update({str(key).lower(): _text(value) for key, value in options.items()})
            return None
        if method in {"has_section", "has_option", "sections", "options"}:
            return self._ask(method, [str(arg) for arg in args])
        kind = method.removeprefix("get")
        if method.startswith("get") and kind in {"", "boolean", "int", "float"} and len(args) >= 2:
            return _cast(self.value(str(args[0]), str(args[1]), kwargs.get("fallback", MISSING)), kind)
        return UNKNOWN

    def value(self, section: str, option: str, fallback: Any) -> Any:
        """An option's text, else ``fallback``. Raises ``Raised`` when there is neither."""
        there = {**self.sections.get("DEFAULT", {}), **self.sections.get(section, {})}
        if option.lower() in there:
            return there[option.lower()]
        if fallback is MISSING and not self.unread:
            raise Raised("NoOptionError", set(), f"no option {option} in section {section}")
        return UNKNOWN if fallback is MISSING else fallback

    def _ask(self, method: str, args: list[str]) -> Any:
        section = self.sections.get(args[0] if args else "", {})
        if method == "has_option" and len(args) == 2:
            return args[1].lower() in section or (UNKNOWN if self.unread else False)
        if method == "has_section":
            return args[0] in self.sections or (UNKNOWN if self.unread else False)
        return list(section) if args else [name for name in self.sections if name != "DEFAULT"]

    def _read(self, run: Evaluator, source: Any, method: str) -> Any:
        if method != "read":
            self.unread = True
            return None
        places = source if isinstance(source, list | tuple) else [source]
        return [str(place) for place in places if self._take(run, place)]

    def _take(self, run: Evaluator, place: Any) -> bool:
        if isinstance(place, Unknown):
            self.unread = True
        if not isinstance(place, str | PurePosixPath):
            return False
        path = run.on_host(PurePosixPath("/app") / place)
        if path is None or not path.is_file():
            return False
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, encoding="utf-8-sig")
        except (configparser.Error, UnicodeDecodeError):
            self.unread = True
            return False
        self.sections.setdefault("DEFAULT", {}).update(parser.defaults())
        for name in parser.sections():
            self.sections.setdefault(name, {}).update(parser.items(name))
        return True


class Section:
    """``config["name"]``."""

    def __init__(self, config: ConfigFile, name: str) -> None:
        self.config = config
        self.name = name

    def call(self, method: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The value of ``config["name"].method(...)``."""
        kind = method.removeprefix("get")
        if not method.startswith("get") or kind not in {"", "boolean", "int", "float"} or not args:
            return UNKNOWN
        fallback = kwargs.get("fallback", args[1] if len(args) > 1 else None)
        return _cast(self.config.value(self.name, str(args[0]), fallback), kind)


def _text(value: Any) -> Any:
    return value if isinstance(value, Unknown | Bound) else str(value)


def _cast(value: Any, kind: str) -> Any:
    if not kind or not isinstance(value, str):
        return value
    if kind == "boolean":
        low: Iterable[str] = value.lower()
        return True if low in _TRUE else False if low in _FALSE else UNKNOWN
    try:
        return int(value) if kind == "int" else float(value)
    except ValueError:
        raise Raised("ValueError") from None
