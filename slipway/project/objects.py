"""Kinds of values that the evaluator uses in addition to Python's plain ones."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "MISSING", "UNKNOWN", "Bound", "ClassValue", "External", "Function", "Instance", "Raised", "Read",
    "Scope", "Unknown",
]  # fmt: skip


class Unknown:
    """A value that is known only when the project runs."""

    def __repr__(self) -> str:
        return "?"


UNKNOWN = Unknown()
MISSING = Unknown()
"""Stands for a default that is missing."""


@dataclass(frozen=True)
class External:
    """A name outside the project, ``os.path.join`` for example; built-ins are ``builtins.NAME``."""

    dotted: str


@dataclass
class Scope:
    """The names of a module, a function call or a class body."""

    path: Path
    """The file the code is in."""
    dotted: str = ""
    names: dict[str, Any] = field(default_factory=dict)
    taint: dict[str, set[str]] = field(default_factory=dict)
    """The environment variables that decide a value, by its name."""
    where: dict[str, tuple[Path, int]] = field(default_factory=dict)
    parent: Scope | None = None


@dataclass(frozen=True, eq=False)
class Function:
    """A function or lambda of the project."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    bound: Any = None


@dataclass(frozen=True, eq=False)
class ClassValue:
    """A class of the project."""

    name: str
    bases: tuple[Any, ...]
    scope: Scope
    annotations: dict[str, ast.expr]


@dataclass(eq=False)
class Instance:
    """An object of a ``ClassValue``."""

    cls: ClassValue
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Bound:
    """A method of a value, not called yet."""

    owner: Any
    name: str


@dataclass
class Read:
    """An environment variable that the settings read.

    ``kind`` is the type that the reader converts the text into, if it names one: ``str``, ``bool``, ``int``,
    ``float``, ``list``, ``json``, ``dict``, ``db``, ``cache``, ``url``.
    """

    name: str
    path: Path
    line: int
    kind: str = "str"
    default: Any = MISSING
    required: bool = False


class Raised(Exception):  # noqa: N818 - an exception of the project's code, not of this one
    """An exception that the project's code raises: the name of its class, and the variables it is about.

    ``stated`` is true for a ``raise`` statement, false for an exception that Python raises itself.
    """

    def __init__(
        self, kind: str, reads: set[str] | None = None, text: str = "", *, stated: bool = False
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.reads = reads or set()
        self.text = text
        self.stated = stated
