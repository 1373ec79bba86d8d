"""Find the variables that a project lacks, from the error with which it ended.

Every library that reads the environment has its own wording for it; ``missing`` recognises these.
``find_all`` goes on past the first variable, with throw-away values, so that all are reported at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from suggestions import suggest

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$', re.MULTILINE)
_ERROR = re.compile(rf"^(?:[|+ ]*)(?P<type>{NAME}(?:\.{NAME})*)(?:: (?P<message>.*))?$", re.DOTALL)
# Each library's own words for "it is not set".
_SAID = (
    re.compile(rf"Set the ({NAME}) environment variable"),  # django-environ, and many by hand
    re.compile(rf"^({NAME}) not found\. Declare it as envvar or define a default value"),  # python-decouple
    re.compile(
        rf"Environment variable ['\"]?({NAME})['\"]? (?:is )?(?:not set|invalid: .*required)"
    ),  # environs
    re.compile(rf"Configuration ['\"]?({NAME})['\"]? not found"),  # prettyconf
    re.compile(rf"Config '({NAME})' is missing, and has no default"),  # starlette
)
# In the project's own words: an upper-case name, and that it is missing.
_OWN_WORDS = re.compile(
    r"not set|n't set|isn't set|unset|must be set|must set|please set|missing|required|not defined|undefined|"
    r"must be defined|must define|\bno \w+ (?:is )?set|not found|must be provided|must provide|"
    r"not provided|not configured|empty",
    re.IGNORECASE,
)
_UPPER = re.compile(r"(?<![\w.])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*(?![\w.]*\w)")
_PYDANTIC = re.compile(r"^(?P<field>\S+)\n\s+[Ff]ield required", re.MULTILINE)
_READERS = {
    "getenv",
    "get",
    "env",
    "config",
    "environ",
    "getvar",
    "get_env",
    "get_env_variable",
    "get_env_value",
}
_READERS |= {
    "str",
    "int",
    "bool",
    "float",
    "list",
    "json",
    "url",
    "db",
    "cache",
    "get_env_var",
    "env_var",
    "var",
}
_RUNS = 80


class Found:
    """The result of ``find_all``.

    ``names`` are the missing variables, in the order in which the project read them; ``places`` where each
    was read, ``FILE:LINE: source``, as far as the error shows it; ``rest`` the error that remained when
    those had a value, empty when there was none.
    """

    def __init__(
        self, names: Iterable[str] = (), places: Mapping[str, str] | None = None, rest: str = ""
    ) -> None:
        self.names = list(names)
        self.places = dict(places or {})
        self.rest = rest


def missing(
    output: str, environment: Mapping[str, str], read: Callable[[str], str] | None = None
) -> list[str]:
    """Return the names of variables that are not set, according to ``output`` with a traceback in it.

    Only names without a value in ``environment`` count. ``read`` returns the text of a source file by its
    path, or raises OSError; default: from the disk.
    """
    end = _Ending(output, environment, read or _read)
    return list(dict.fromkeys(name for name in end.names() if not environment.get(name)))


def find_all(
    run: Callable[[Mapping[str, str]], str | None],
    environment: Mapping[str, str],
    read: Callable[[str], str] | None = None,
) -> Found:
    """Return every variable the project lacks: ``run`` is repeated, with a throw-away value for each found.

    ``run`` takes an environment and returns the output of the failed project, or None when it did not fail.
    """
    found = Found()
    trial: dict[str, str] = {}
    values: dict[str, Iterator[str]] = {}
    for _ in range(_RUNS):
        output = run({**environment, **trial})
        if output is None:
            found.rest = ""
            return found
        end = _Ending(output, environment, read or _read)
        new = [name for name in missing(output, {**environment, **trial}, read) if name not in trial]
        found.rest = "" if new else found.rest
        for name in new:
            found.names.append(name)
            found.places[name] = end.place(name)
            values[name] = throw_away(name)
            trial[name] = next(values[name])
        if not new:
            # The project may reject the value: it is not a number, not an address.
            unfit = next((name for name in end.mentioned() if name in trial), None) or next(
                reversed(trial), None
            )
            value = next(values[unfit], None) if unfit and not end.is_of_the_code else None
            found.rest = found.rest or end.error
            if unfit is None or value is None:
                return found
            trial[unfit] = value
    return found


def read_for(
    setting: str, environment: Mapping[str, str], read: Callable[[str], str] | None = None
) -> list[str]:
    """Return the variables that the project's settings files compute ``setting`` from, as far as seen."""
    module = environment.get("DJANGO_SETTINGS_MODULE", "").replace(".", "/")
    # A package of settings takes most from the files next to it.
    siblings = [str(path) for path in sorted(Path(module).parent.glob("*.py"))] if "/" in module else []
    names: list[str] = []
    for path in dict.fromkeys([f"{module}.py", f"{module}/__init__.py", *siblings]):
        try:
            tree = ast.parse((read or _read)(path))
        except (OSError, SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and setting in _assigned(node):
                names += [name for name in _variables_read(node) if name.isupper()]
    return list(dict.fromkeys(names))


def throw_away(name: str) -> Iterator[str]:
    """Yield values that a project may accept for the variable ``name``, the likeliest first."""
    likely = suggest(name)
    if likely:
        yield re.sub(r"\{\{.*?\}\}", "throw-away", likely)
    if re.search(r"URL|URI|DSN|ENDPOINT|ORIGIN", name.upper()):
        yield "https://key@localhost/1"
    # A number, a truth value, a text and a list of one.
    yield from (
        "1",
        "throw-away",
        "a@example.org",
        "https://key@localhost/1",
        "{}",
        "[]",
        "A" * 43 + "=",
        "/tmp",  # noqa: S108
    )


def explain(found: Found) -> str:
    """Return the message: what is missing, and the lines to write; its last line is the summary."""
    lines = [f"  {place}" for place in dict.fromkeys(found.places.values()) if place]
    lines += [
        "Lines for app.env (what stands in <> only you know; secrets/NAME keeps a value out of this file):"
    ]
    for name in found.names:
        value = suggest(name)
        lines.append(f"  {name}={'<your value>' if value is None else value}")
    if found.rest:
        lines.append(f"With these set there is another error, maybe of the values tried: {found.rest}")
    lines.append(
        f"SLIP-137: the project needs variables that app.env does not set: {', '.join(found.names)}; "
        "fix: add the lines above to app.env (or app.prod.env, app.dev.env for one stack)"
    )
    return "\n".join(lines)


class _Ending:
    """The last traceback of an output: its frames, its error."""

    def __init__(self, output: str, environment: Mapping[str, str], read: Callable[[str], str]) -> None:
        text = _COLOUR.sub("", output)
        self._environment = environment
        self._read = read
        self._last = text[text.rfind(_TRACEBACK) :] if _TRACEBACK in text else ""
        self.frames = [
            (match["path"], int(match["line"]), match["function"]) for match in _FRAME.finditer(self._last)
        ]
        self.type, self.message = self._error()
        self.error = f"{self.type}: {self.message}".splitlines()[0] if self.type else _last_line(text)

    @property
    def is_of_the_code(self) -> bool:
        """True if no value of a variable could be the cause."""
        return self.type.endswith(("ImportError", "ModuleNotFoundError", "NameError", "SyntaxError"))

    def _error(self) -> tuple[str, str]:
        """Return type and message of the error itself; a message may have several lines."""
        end = [match.end() for match in _FRAME.finditer(self._last)]
        below = self._last[end[-1] :].split("\n")[1:] if end else []
        for number, line in enumerate(below):
            found = _ERROR.match(line)
            # Indented lines are source.
            if found and not line.startswith(" "):
                return found["type"], "\n".join([found["message"] or "", *below[number + 1 :]]).strip()
        return "", ""

    def names(self) -> Iterator[str]:
        """Yield the variables that the error calls missing, or those its statement reads if it only hints."""
        kind = self.type.rsplit(".", 1)[-1]
        if kind == "KeyError" and self._in_environ():
            yield self.message.strip("'\"")
            return
        for words in _SAID:
            if match := words.search(self.message):
                yield match[1]
                return
        if kind == "ValidationError":
            yield from self._fields()
            return
        if match := re.match(r"The (\w+) setting must not be empty", self.message):
            yield from read_for(match[1], self._environment, self._read) or [match[1]]
            return
        if _OWN_WORDS.search(self.message):
            yield from self._own_words()
        elif kind in {
            "AssertionError",
            "TypeError",
            "AttributeError",
            "ValueError",
            "UnknownSchemeError",
            "KeyError",
            "ParseError",
        }:
            yield from self.mentioned()

    def _in_environ(self) -> bool:
        if not self.frames:
            return False
        path, _, function = self.frames[-1]
        return function.split(".")[-1] == "__getitem__" and path.rsplit("/", 1)[-1] in {
            "os.py",
            "<frozen os>",
        }

    def _fields(self) -> Iterator[str]:
        """Yield the variables of a pydantic settings class: its fields, or their aliases, in upper case."""
        source = "\n".join(self._source(path) for path, _, _ in self.frames)
        prefix = re.search(r"env_prefix['\"]?\s*[=:]\s*['\"](\w*)['\"]", source)
        nested = re.search(r"env_nested_delimiter['\"]?\s*[=:]\s*['\"]([^'\"]+)['\"]", source)
        for match in _PYDANTIC.finditer(self.message):
            name = match["field"].replace(".", nested[1] if nested else "__")
            # An alias is used as it is: the source has it as a text.
            aliased = re.search(rf"alias\w*\s*=[^\n]*['\"]{re.escape(name)}['\"]", source)
            yield name if aliased else (f"{prefix[1] if prefix else ''}{name}").upper()

    def _own_words(self) -> Iterator[str]:
        """Yield names of the message that the source has as texts, or that the message calls variables."""
        about = re.search(r"environ|env\b|variable", self.message, re.IGNORECASE)
        source = "\n".join(self._source(path) for path, _, _ in self.frames)
        for name in _UPPER.findall(self.message):
            quoted = f'"{name}"' in source or f"'{name}'" in source
            if len(name) > 2 and (quoted or (about and "_" in name)):
                yield name

    def mentioned(self) -> list[str]:
        """Return the variables that the project's failing statement reads, itself or by a name it uses."""
        for path, line, _ in reversed(self.frames):
            if "/site-packages/" in path or path.startswith("<") or "/lib/python3" in path:
                continue
            try:
                tree = ast.parse(self._source(path))
            except (SyntaxError, ValueError):
                continue
            statements = [
                node for node in ast.walk(tree)
                if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
            ]  # fmt: skip
            if not statements:
                continue
            failing = max(statements, key=lambda node: node.lineno)
            used = {node.id for node in ast.walk(failing) if isinstance(node, ast.Name)}
            related = [
                node for node in tree.body
                if isinstance(node, ast.Assign | ast.AnnAssign) and used & _assigned(node)
            ]  # fmt: skip
            names = [name for node in (failing, *related) for name in _variables_read(node)]
            # A name in lower case is rather a key of a dictionary of the project.
            if names := [name for name in names if name.isupper()]:
                return names
        return []

    def place(self, name: str) -> str:
        """Return ``FILE:LINE: source`` of the project's line that reads ``name``; empty if unseen."""
        for path, line, _ in reversed(self.frames):
            if "/site-packages/" in path or path.startswith("<") or "/lib/python3" in path:
                continue
            lines = self._source(path).splitlines()
            # A statement of several lines fails on one of them, and names the variable on another.
            near = [n for n in range(line, max(line - 5, 0), -1) if n <= len(lines) and name in lines[n - 1]]
            if near or line <= len(lines):
                shown = near[0] if near else line
                return f"{path}:{shown}: {lines[shown - 1].strip()}"
        return ""

    def _source(self, path: str) -> str:
        try:
            return self._read(path)
        except (OSError, UnicodeDecodeError):
            return ""


def _assigned(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _variables_read(node: ast.AST) -> Iterator[str]:
    """Yield the names by which ``node`` reads the environment, as ``getenv("X")`` or ``environ["X"]``."""
    for inner in ast.walk(node):
        first: ast.AST | None = None
        if isinstance(inner, ast.Call) and inner.args:
            function = inner.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            first = inner.args[0] if called in _READERS else None
        elif isinstance(inner, ast.Subscript) and getattr(inner.value, "attr", "") == "environ":
            first = inner.slice
        if (
            isinstance(first, ast.Constant)
            and isinstance(first.value, str)
            and re.fullmatch(NAME, first.value)
        ):
            yield first.value


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
