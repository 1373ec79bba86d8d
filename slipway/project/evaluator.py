"""Evaluates a settings module without running it: walks its syntax tree; the rest counts as unknown.

It understands the usual parts of settings files: constants, paths, ``if`` on the environment, star
imports, small helper functions, the usual readers of variables. It never executes the project's code.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.project import library
from slipway.project.configfiles import ConfigFile, Section
from slipway.project.envreaders import ConfigurationValue, EnvReader, Prefixed
from slipway.project.objects import (
    MISSING,
    UNKNOWN,
    Bound,
    ClassValue,
    External,
    Function,
    Instance,
    Raised,
    Read,
    Scope,
    Unknown,
)

__all__ = ["IN_CONTAINER", "Evaluator", "Stop"]

IN_CONTAINER = PurePosixPath("/app")
_STEPS = 400_000  # a settings file needs some thousands
_DEPTH = 60
_LONGEST = 100_000
_CAUSES = 4

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_PARENTS = {
    "ModuleNotFoundError": {"ImportError", "Exception"},
    "KeyError": {"LookupError", "Exception"},
    "FileNotFoundError": {"OSError", "IOError", "EnvironmentError", "Exception"},
    "UndefinedValueError": {"Exception"},
    "ImproperlyConfigured": {"Exception"},
    "EnvError": {"EnvValidationError", "Exception"},
}


@functools.lru_cache(maxsize=64)
def _parsed(source: bytes, filename: str) -> ast.Module:
    # Cached: a scan evaluates the same few files dozens of times.
    return ast.parse(source, filename=filename)


class _Return(Exception):  # noqa: N818 - control flow of the project's code
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _Loop(Exception):  # noqa: N818
    def __init__(self, ends: bool) -> None:
        super().__init__()
        self.ends = ends


@dataclass(frozen=True)
class Stop:
    """A place where importing the settings would raise an exception."""

    path: Path
    line: int
    kind: str
    text: str
    reads: frozenset[str] = frozenset()


@dataclass
class Evaluator:
    """Evaluates the project's modules once, in an assumed environment.

    ``root`` is PROJECT_ROOT on this machine, ``search`` the folders Python imports from, ``environ`` the
    assumed variables.
    """

    root: Path
    search: Sequence[Path]
    environ: dict[str, str]
    reads: dict[str, Read] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    writes: list[tuple[str, Path, int]] = field(default_factory=list)
    path_edits: list[str] = field(default_factory=list)
    modules: dict[str, Scope | None] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    argument_reads: set[str] = field(default_factory=set)
    """The variables that the arguments of the current call have read."""
    _control: list[set[str]] = field(default_factory=list)
    _scopes: list[Scope] = field(default_factory=list)
    _steps: int = 0
    _uncertain: int = 0

    # -- modules -----------------------------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        """The scope under evaluation."""
        return self._scopes[-1]

    def find(self, dotted: str) -> Path | None:
        """The file or package folder of a module; None if the module is not the project's."""
        relative = Path(*dotted.split("."))
        for folder in [*self.search, *map(self.on_host, self.path_edits)]:
            if folder is None:
                continue
            for path in (folder / relative / "__init__.py", folder / relative.with_suffix(".py")):
                if path.is_file():
                    return path
            if (folder / relative).is_dir() and any((folder / relative).glob("*.py")):
                return folder / relative
        return None

    def module(self, dotted: str) -> Scope | None:
        """The evaluated module; None when it is not the project's. Raises SyntaxError for a parse error."""
        if dotted in self.modules:
            return self.modules[dotted]
        path = self.find(dotted)
        if path is None:
            return None
        scope = Scope(path=path, dotted=dotted)
        self.modules[dotted] = scope
        if path.is_file():
            self.run_file(path, scope)
        return scope

    def run_file(self, path: Path, scope: Scope) -> None:
        """Evaluate a file's statements into ``scope``. Raises SyntaxError as parsing does."""
        tree = _parsed(path.read_bytes(), str(path))
        scope.names.setdefault("__file__", self.in_container(path))
        scope.names.setdefault("__name__", scope.dotted)
        self._scopes.append(scope)
        try:
            for statement in tree.body:
                self._top(statement)
        finally:
            self._scopes.pop()

    def in_container(self, path: Path) -> str:
        """The path of a project file in the containers."""
        return str(IN_CONTAINER / path.resolve().relative_to(self.root).as_posix())

    def on_host(self, path: object) -> Path | None:
        """The project file that is at ``path`` in the containers; None outside /app."""
        place = PurePosixPath(str(path))
        if not place.is_absolute():
            return None
        with contextlib.suppress(ValueError):
            return self.root / place.relative_to(IN_CONTAINER)
        return None

    def _top(self, statement: ast.stmt) -> None:
        before, self.touched = self.touched, set()
        try:
            self.execute(statement)
        except Raised as problem:
            self._uncaught(problem, statement)
        except (_Return, _Loop):
            pass
        finally:
            self.touched |= before

    def _uncaught(self, problem: Raised, statement: ast.stmt) -> None:
        unset = [name for name in self.reads if name in problem.reads and name not in self.environ]
        names = [name for name in unset if self.reads[name].default in (None, MISSING)]
        # A default that does not convert is no missing variable; one that a `raise` is about is.
        names = names or (unset if problem.stated else [])
        # NAME, not NAME_FILE: readers that accept either refuse both together.
        names = [n for n in names if n.removesuffix("_FILE") == n or n.removesuffix("_FILE") not in names]
        for name in names:
            self.reads[name].required = True
            if name not in self.missing:
                self.missing.append(name)
        if not names and not self._uncertain:
            self.stops.append(
                Stop(self.scope.path, statement.lineno, problem.kind, problem.text, frozenset(problem.reads))
            )
        for target in _targets(statement):
            self.scope.names[target] = UNKNOWN
            self.scope.taint[target] = problem.reads | self.touched
            self.scope.where[target] = (self.scope.path, statement.lineno)
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For):
            # Its branches did not run to their end: the values they would have set are unknown.
            for inner in ast.walk(statement):
                for target in _targets(inner):
                    self.scope.names.setdefault(target, UNKNOWN)
                    self.scope.taint.setdefault(target, set()).update(problem.reads | self.touched)
                    self.scope.where.setdefault(target, (self.scope.path, statement.lineno))

    # -- the environment ---------------------------------------------------------------------------

    def read(self, name: str, default: Any, kind: str, line: int, problem: str = "KeyError") -> Any:
        """The text of a variable, or ``default``. Raises ``Raised`` when neither exists."""
        known = self.reads.setdefault(name, Read(name, self.scope.path, line, kind, default))
        if known.kind == "str":
            known.kind = kind
        self.touched.add(name)
        if name in self.environ:
            return self.environ[name]
        if default is MISSING:
            raise Raised(problem, {name})
        return default

    def absent(self, reads: set[str] | None = None) -> set[str]:
        """The variables read that are not set and have no default: the possible causes of a None.

        ``reads`` are, by default, those of the arguments of the current call. Empty if there are more than
        ``_CAUSES``: any of them could be the cause.
        """
        found = {
            name
            for name in (self.argument_reads if reads is None else reads)
            if name not in self.environ
            and (known := self.reads.get(name))
            and known.default in (None, MISSING)
        }
        return found if len(found) <= _CAUSES else set()

    # -- statements --------------------------------------------------------------------------------

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Execute statements in order."""
        for statement in statements:
            self.execute(statement)

    def execute(self, node: ast.stmt) -> None:
        """Execute one statement. Raises ``Raised`` for an exception of the project's code."""
        self._steps += 1
        if self._steps > _STEPS:
            return
        handler = getattr(self, f"_do_{type(node).__name__.lower()}", None)
        if handler:
            handler(node)

    def _do_expr(self, node: ast.Expr) -> None:
        before, self.touched = self.touched, set()
        self.value(node.value)
        root = _root_name(node.value.func) if isinstance(node.value, ast.Call) else None
        if root and root in self.scope.names and self.touched:
            self.scope.taint.setdefault(root, set()).update(self.touched)
        self.touched |= before

    def _do_assign(self, node: ast.Assign) -> None:
        value, reads = self._apart(node.value)
        if isinstance(value, ConfigurationValue) and isinstance(node.targets[0], ast.Name):
            value, reads = self._configured(value, node.targets[0].id, node.lineno)
        for target in node.targets:
            self._bind(target, value, reads, node.lineno)

    def _configured(self, value: ConfigurationValue, name: str, line: int) -> tuple[Any, set[str]]:
        before, self.touched = self.touched, set()
        try:
            return value.read(self, name, line), self.touched
        finally:
            self.touched = before | self.touched

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            value, reads = self._apart(node.value)
            self._bind(node.target, value, reads, node.lineno)

    def _do_augassign(self, node: ast.AugAssign) -> None:
        before = (
            self.value(node.target) if not isinstance(node.target, ast.Name) else self._lookup(node.target.id)
        )
        value, reads = self._apart(node.value)
        root = _root_name(node.target)
        reads = reads | (self.scope.taint.get(root, set()) if root else set())
        self._bind(node.target, _combine(type(node.op), before, value), reads, node.lineno)

    def _apart(self, node: ast.expr) -> tuple[Any, set[str]]:
        before, self.touched = self.touched, set()
        try:
            value = self.value(node)
        finally:
            reads = self.touched
            self.touched = before | reads
        return value, reads

    def _bind(self, target: ast.expr, value: Any, reads: set[str], line: int) -> None:
        reads = reads.union(*self._control)
        if isinstance(target, ast.Name):
            self.scope.names[target.id] = value
            self.scope.taint[target.id] = reads
            self.scope.where[target.id] = (self.scope.path, line)
        elif isinstance(target, ast.Tuple | ast.List):
            values = list(value) if isinstance(value, list | tuple) else []
            for index, part in enumerate(target.elts):
                self._bind(part, values[index] if index < len(values) else UNKNOWN, reads, line)
        elif isinstance(target, ast.Subscript):
            self._bind_item(target, value, line)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value)
            if isinstance(owner, Instance):
                owner.attributes[target.attr] = value
            elif isinstance(owner, ClassValue | Scope):
                (owner.scope if isinstance(owner, ClassValue) else owner).names[target.attr] = value
        root = _root_name(target)
        if root and not isinstance(target, ast.Name):
            self.scope.taint.setdefault(root, set()).update(reads)

    def _bind_item(self, target: ast.Subscript, value: Any, line: int) -> None:
        owner, key = self.value(target.value), self.value(target.slice)
        if isinstance(owner, External) and owner.dotted == "os.environ" and isinstance(key, str):
            if isinstance(value, str):
                self.environ[key] = value
        elif isinstance(owner, Scope) and isinstance(key, str):
            owner.names[key] = value
            owner.where[key] = (self.scope.path, line)
        elif isinstance(owner, dict | list):
            with contextlib.suppress(TypeError, IndexError, KeyError):
                owner[key] = value

    def _do_if(self, node: ast.If) -> None:
        test, reads = self._apart(node.test)
        self._control.append(reads)
        try:
            if isinstance(test, Unknown):
                self._either(node.body, node.orelse)
            else:
                self._guarded(node.body if test else node.orelse, reads)
        finally:
            self._control.pop()
            self._mark_assigned([*node.body, *node.orelse], reads)

    def _mark_assigned(self, statements: Sequence[ast.stmt], reads: set[str]) -> None:
        """Mark names that a branch assigns as dependent on its condition, even if the branch is not taken."""
        for statement in statements if reads else ():
            for node in ast.walk(statement):
                targets: Sequence[ast.expr] = ()
                if isinstance(node, ast.Assign):
                    targets = node.targets
                elif isinstance(node, ast.AugAssign):
                    targets = (node.target,)
                elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                    targets = (node.value.func,)
                for target in targets:
                    root = _root_name(target)
                    if root and (root in self.scope.names or isinstance(node, ast.Assign)):
                        self.scope.taint.setdefault(root, set()).update(reads)

    def _guarded(self, statements: Sequence[ast.stmt], reads: set[str]) -> None:
        try:
            self.block(statements)
        except Raised as problem:
            # `if not SECRET_KEY: raise ...`: the variables of the nearest condition are the missing ones.
            if problem.stated:
                problem.reads = problem.reads or set(reads)
            raise

    def _either(self, *branches: Sequence[ast.stmt]) -> None:
        self._uncertain += 1
        try:
            for branch in branches:
                with contextlib.suppress(Raised, _Return, _Loop):
                    self.block(branch)
        finally:
            self._uncertain -= 1

    def _do_match(self, node: ast.Match) -> None:
        subject, reads = self._apart(node.subject)
        self._control.append(reads)
        try:
            if isinstance(subject, Unknown):
                self._either(*(case.body for case in node.cases))
                return
            for case in node.cases:
                if self._matches(case.pattern, subject) and (not case.guard or self.value(case.guard)):
                    self.block(case.body)
                    return
        finally:
            self._control.pop()

    def _matches(self, pattern: ast.pattern, subject: Any) -> bool:
        if isinstance(pattern, ast.MatchValue):
            return bool(self.value(pattern.value) == subject)
        if isinstance(pattern, ast.MatchOr):
            return any(self._matches(p, subject) for p in pattern.patterns)
        if isinstance(pattern, ast.MatchSingleton):
            return pattern.value is subject
        return isinstance(pattern, ast.MatchAs) and pattern.pattern is None

    def _do_try(self, node: ast.Try) -> None:
        try:
            self.block(node.body)
        except Raised as problem:
            for handler in node.handlers:
                if self._catches(handler, problem):
                    if handler.name:
                        self.scope.names[handler.name] = UNKNOWN
                    try:
                        self.block(handler.body)
                    except Raised as again:
                        again.reads |= problem.reads
                        raise
                    break
            else:
                raise
        else:
            self.block(node.orelse)
        finally:
            self.block(node.finalbody)

    def _catches(self, handler: ast.ExceptHandler, problem: Raised) -> bool:
        if handler.type is None:
            return True
        types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names = {_last_name(node) for node in types}
        return bool(
            names & ({problem.kind, "BaseException", "Exception"} | _PARENTS.get(problem.kind, set()))
        )

    def _do_raise(self, node: ast.Raise) -> None:
        call = node.exc
        text = ""
        if isinstance(call, ast.Call):
            with contextlib.suppress(Raised):
                words = [self.value(argument) for argument in call.args]
                text = " ".join(word for word in words if isinstance(word, str))
            call = call.func
        raise Raised(_last_name(call) if call is not None else "Exception", set(), text, stated=True)

    def _do_assert(self, node: ast.Assert) -> None:
        test, reads = self._apart(node.test)
        if not isinstance(test, Unknown) and not test:
            raise Raised("AssertionError", reads)

    def _do_for(self, node: ast.For) -> None:
        items = self.value(node.iter)
        if not isinstance(items, list | tuple | set | dict | str) or len(items) > 2000:
            self._bind(node.target, UNKNOWN, set(), node.lineno)
            self._either(node.body)
            return
        for item in list(items):
            self._bind(node.target, item, set(), node.lineno)
            try:
                self.block(node.body)
            except _Loop as loop:
                if loop.ends:
                    return
        self.block(node.orelse)

    def _do_while(self, node: ast.While) -> None:
        for _ in range(1000):
            test = self.value(node.test)
            if isinstance(test, Unknown) or not test:
                return
            try:
                self.block(node.body)
            except _Loop as loop:
                if loop.ends:
                    return

    def _do_break(self, node: ast.Break) -> None:
        raise _Loop(True)

    def _do_continue(self, node: ast.Continue) -> None:
        raise _Loop(False)

    def _do_return(self, node: ast.Return) -> None:
        value = self.value(node.value) if node.value else None
        raise _Return(UNKNOWN if self._uncertain else value)

    def _do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.scope.names.pop(target.id, None)
            elif isinstance(target, ast.Subscript):
                owner, key = self.value(target.value), self.value(target.slice)
                if isinstance(owner, dict):
                    owner.pop(key, None)

    def _do_with(self, node: ast.With) -> None:
        prefixed: list[tuple[EnvReader, str]] = []
        for item in node.items:
            value = self.value(item.context_expr)
            if isinstance(value, Prefixed):
                prefixed.append((value.reader, value.reader.prefix))
                value.reader.prefix += value.prefix
                value = value.reader
            if item.optional_vars is not None:
                self._bind(item.optional_vars, value, set(), node.lineno)
        try:
            self.block(node.body)
        except Raised as problem:
            if not _is_suppressing(node):
                raise
            del problem
        finally:
            for reader, before in prefixed:
                reader.prefix = before

    def _do_functiondef(self, node: ast.FunctionDef) -> None:
        decorators = {_last_name(decorator) for decorator in node.decorator_list}
        value: Any = Function(node, self.scope)
        if decorators & {"property", "cached_property", "computed_field", "classproperty"}:
            value = UNKNOWN
        self._bind(ast.Name(node.name), value, set(), node.lineno)

    _do_asyncfunctiondef = _do_functiondef

    def _do_classdef(self, node: ast.ClassDef) -> None:
        bases = tuple(self.value(base) for base in node.bases)
        inner = Scope(self.scope.path, parent=self.scope)
        annotations = {
            statement.target.id: statement.annotation
            for statement in node.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        }
        for base in reversed(bases):
            if isinstance(base, ClassValue):
                for table in ("names", "taint", "where"):
                    getattr(inner, table).update(getattr(base.scope, table))
                annotations = {**base.annotations, **annotations}
        self._scopes.append(inner)
        try:
            for statement in node.body:
                self._top(statement)
        finally:
            self._scopes.pop()
        self._bind(ast.Name(node.name), ClassValue(node.name, bases, inner, annotations), set(), node.lineno)

    # -- imports -----------------------------------------------------------------------------------

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            scope = self.module(alias.name)
            first = alias.name.split(".")[0]
            if alias.asname:
                self.scope.names[alias.asname] = scope or External(alias.name)
            else:
                self.scope.names[first] = self.module(first) or External(first)

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        package = self._package(node)
        if package is None:
            return
        scope = self.module(package) if package else None
        ours = scope is not None or node.level > 0 or self._is_ours(package)
        for alias in node.names:
            if alias.name == "*":
                if scope is None and ours:
                    raise Raised("ModuleNotFoundError", set(), f"there is no module {package}")
                if scope is not None:
                    self._take_all(scope)
                continue
            name = alias.asname or alias.name
            if scope is not None and alias.name in scope.names:
                self.scope.names[name] = scope.names[alias.name]
                self.scope.taint[name] = scope.taint.get(alias.name, set())
                self.scope.where[name] = scope.where.get(alias.name, (scope.path, 1))
                continue
            inner = self.module(f"{package}.{alias.name}") if ours else None
            if inner is None and ours and scope is None:
                raise Raised("ModuleNotFoundError", set(), f"there is no module {package}")
            if inner is None and scope is not None and "__getattr__" not in scope.names:
                self.scope.names[name] = UNKNOWN
                continue
            self.scope.names[name] = inner or External(f"{package}.{alias.name}")

    def _package(self, node: ast.ImportFrom) -> str | None:
        if not node.level:
            return node.module or ""
        parts = self._module_scope().dotted.split(".")
        if self._module_scope().path.name != "__init__.py":
            parts = parts[:-1]
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, *([node.module] if node.module else [])]) or None

    def _module_scope(self) -> Scope:
        return next(scope for scope in reversed(self._scopes) if scope.dotted or scope.parent is None)

    def _is_ours(self, dotted: str) -> bool:
        first = dotted.split(".", maxsplit=1)[0]
        path = self.find(first)
        # A folder without __init__.py next to manage.py may have nothing to do with the imported package.
        return path is not None and path.is_file()

    def _take_all(self, scope: Scope) -> None:
        public = scope.names.get("__all__")
        for name, value in list(scope.names.items()):
            if (name in public) if isinstance(public, list | tuple) else not name.startswith("_"):
                self.scope.names[name] = value
                self.scope.taint[name] = set(scope.taint.get(name, set()))
                self.scope.where[name] = scope.where.get(name, (scope.path, 1))

    def include(self, pattern: str, required: bool) -> None:
        """``split_settings.tools.include``: evaluate matching files into the current module."""
        folder = self._module_scope().path.parent
        found = sorted(folder.glob(pattern)) if not pattern.startswith("/") else []
        if not found and required and "*" not in pattern:
            raise Raised("OSError", set(), f"there is no {pattern}")
        scope = self._module_scope()
        for path in found:
            outside, scope.path = scope.path, path
            try:
                self.run_file(path, scope)
            finally:
                scope.path = outside

    # -- expressions -------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Any:
        """The value of an expression, or ``UNKNOWN``."""
        self._steps += 1
        if self._steps > _STEPS or len(self._scopes) > _DEPTH:
            return UNKNOWN
        handler = getattr(self, f"_of_{type(node).__name__.lower()}", None)
        if handler is None:
            return UNKNOWN
        try:
            return handler(node)
        except (
            TypeError,
            ValueError,
            AttributeError,
            IndexError,
            OverflowError,
            ArithmeticError,
            RecursionError,
        ):
            return UNKNOWN

    def _of_constant(self, node: ast.Constant) -> Any:
        return node.value

    def _of_name(self, node: ast.Name) -> Any:
        return self._lookup(node.id)

    def _lookup(self, name: str) -> Any:
        scope: Scope | None = self.scope
        while scope is not None:
            if name in scope.names:
                self.touched |= scope.taint.get(name, set())
                return scope.names[name]
            scope = scope.parent
        return External(f"builtins.{name}") if name in library.BUILTINS else UNKNOWN

    def _of_attribute(self, node: ast.Attribute) -> Any:
        owner, reads = self._apart(node.value)
        if owner is None:
            raise Raised("AttributeError", self.absent(reads))
        return self.attribute(owner, node.attr)

    def attribute(self, owner: Any, name: str) -> Any:
        """``owner.name``."""
        if isinstance(owner, External):
            dotted = f"{owner.dotted}.{name}"
            if dotted in library.CONSTANTS:
                return library.CONSTANTS[dotted]
            return External(dotted)
        if isinstance(owner, Scope):
            if name in owner.names:
                self.touched |= owner.taint.get(name, set())
                return owner.names[name]
            return self.module(f"{owner.dotted}.{name}") or UNKNOWN
        if isinstance(owner, Instance):
            if name in owner.attributes:
                return owner.attributes[name]
            value = owner.cls.scope.names.get(name, UNKNOWN)
            return Function(value.node, value.scope, bound=owner) if isinstance(value, Function) else value
        if isinstance(owner, ClassValue):
            return owner.scope.names.get(name, UNKNOWN)
        if isinstance(owner, PurePosixPath) and name in {
            "parent",
            "name",
            "stem",
            "suffix",
            "parents",
            "parts",
        }:
            return list(owner.parents) if name == "parents" else getattr(owner, name)
        return UNKNOWN if isinstance(owner, Unknown) else Bound(owner, name)

    def _of_call(self, node: ast.Call) -> Any:
        function = self.value(node.func)
        if isinstance(function, Unknown) and _reads_environment(node):
            function = EnvReader("unknown")
        before, self.touched = self.touched, set()
        try:
            args, kwargs = self._arguments(node)
        finally:
            reads = self.touched
            self.touched = before | reads
        outer, self.argument_reads = self.argument_reads, reads
        try:
            return self.call(function, args, kwargs, node.lineno)
        finally:
            self.argument_reads = outer

    def _arguments(self, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                more = self.value(argument.value)
                args += list(more) if isinstance(more, list | tuple) else [UNKNOWN]
            else:
                args.append(self.value(argument))
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value)
            if keyword.arg:
                kwargs[keyword.arg] = value
            elif isinstance(value, dict):
                kwargs |= {key: entry for key, entry in value.items() if isinstance(key, str)}
        return args, kwargs

    def call(self, function: Any, args: list[Any], kwargs: dict[str, Any], line: int) -> Any:
        """Call a function or class of the project, or one that ``library`` knows."""
        if isinstance(function, Function):
            return self._call_function(function, args, kwargs)
        if isinstance(function, External):
            return library.call(self, function.dotted, args, kwargs, line)
        if isinstance(function, EnvReader):
            return function.call(self, "", args, kwargs, line)
        if isinstance(function, Bound):
            if isinstance(function.owner, EnvReader):
                return function.owner.call(self, function.name, args, kwargs, line)
            return library.method(self, function.owner, function.name, args, kwargs, line)
        if isinstance(function, ClassValue):
            return library.instance(self, function, args, kwargs, line)
        if isinstance(function, library.EnvironPath):
            return str(PurePosixPath(function.place, *map(str, args)))
        return UNKNOWN

    def _call_function(self, function: Function, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if len(self._scopes) > _DEPTH:
            return UNKNOWN
        node = function.node
        inner = Scope(function.scope.path, parent=function.scope)
        if function.bound is not None:
            args = [function.bound, *args]
        spec = node.args
        names = [a.arg for a in [*spec.posonlyargs, *spec.args]]
        self._scopes.append(inner)
        before, self.touched = self.touched, set()
        try:
            for name, default in zip(names[len(names) - len(spec.defaults) :], spec.defaults, strict=True):
                inner.names[name] = self.value(default)
            for keyword, keyword_default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
                inner.names[keyword.arg] = self.value(keyword_default) if keyword_default else UNKNOWN
            inner.names |= dict(zip(names, args, strict=False))
            if spec.vararg:
                inner.names[spec.vararg.arg] = args[len(names) :]
            rest = {
                key: entry
                for key, entry in kwargs.items()
                if key not in {*names, *(k.arg for k in spec.kwonlyargs)}
            }
            inner.names |= {key: entry for key, entry in kwargs.items() if key not in rest}
            if spec.kwarg:
                inner.names[spec.kwarg.arg] = rest
            for name in names:
                inner.names.setdefault(name, UNKNOWN)
            if isinstance(node, ast.Lambda):
                return self.value(node.body)
            self.block(node.body)
        except _Return as returned:
            return returned.value
        except Raised as problem:
            # `raise ImproperlyConfigured(name)` at a reader's end: the variables it has read are missing.
            if problem.stated and not problem.reads:
                problem.reads |= self.absent(self.touched)
            raise
        finally:
            self._scopes.pop()
            self.touched |= before
        return None

    def _of_binop(self, node: ast.BinOp) -> Any:
        left, of_left = self._apart(node.left)
        right, of_right = self._apart(node.right)
        texts = isinstance(left, str | None) and isinstance(right, str | None)
        if texts and (left is None or right is None):
            raise Raised("TypeError", self.absent(of_left | of_right))
        return _combine(type(node.op), left, right)

    def _of_boolop(self, node: ast.BoolOp) -> Any:
        wanted = isinstance(node.op, ast.Or)
        result: Any = UNKNOWN
        for part in node.values:
            result = self.value(part)
            if isinstance(result, Unknown) or bool(result) is wanted:
                return result
        return result

    def _of_unaryop(self, node: ast.UnaryOp) -> Any:
        operand = self.value(node.operand)
        if isinstance(operand, Unknown):
            return UNKNOWN
        if isinstance(node.op, ast.Not):
            return not operand
        return -operand if isinstance(node.op, ast.USub) else UNKNOWN

    def _of_compare(self, node: ast.Compare) -> Any:
        left = self.value(node.left)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator)
            if (
                isinstance(right, External)
                and right.dotted.startswith("os.environ")
                and isinstance(left, str)
            ):
                there = self.read(left, None, "str", node.lineno) is not None
                answer: Any = there if isinstance(op, ast.In) else not there
            elif isinstance(right, Scope):
                answer = (left in right.names) is isinstance(op, ast.In)
            elif isinstance(left, Unknown | External) or isinstance(right, Unknown | External):
                return UNKNOWN
            elif right is None and isinstance(op, ast.In | ast.NotIn):
                raise Raised("TypeError", self.absent())
            else:
                answer = _COMPARE[type(op)](left, right)
            if not answer:
                return False
            left = right
        return True

    def _of_ifexp(self, node: ast.IfExp) -> Any:
        test = self.value(node.test)
        if isinstance(test, Unknown):
            self.value(node.body)
            self.value(node.orelse)
            return UNKNOWN
        return self.value(node.body if test else node.orelse)

    def _of_joinedstr(self, node: ast.JoinedStr) -> Any:
        parts = [
            self.value(part.value) if isinstance(part, ast.FormattedValue) else self.value(part)
            for part in node.values
        ]
        if any(isinstance(part, Unknown | External) for part in parts):
            return UNKNOWN
        return "".join(map(str, parts))

    def _of_subscript(self, node: ast.Subscript) -> Any:
        owner = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            limits = [self.value(part) if part else None for part in (node.slice.lower, node.slice.upper)]
            return UNKNOWN if any(isinstance(x, Unknown) for x in limits) else owner[slice(*limits)]
        key = self.value(node.slice)
        if isinstance(owner, External) and owner.dotted == "os.environ":
            return self.read(key, MISSING, "str", node.lineno) if isinstance(key, str) else UNKNOWN
        if isinstance(owner, Scope):
            return owner.names.get(key, UNKNOWN)
        if isinstance(owner, ConfigFile):
            return Section(owner, str(key))
        if isinstance(owner, Section):
            return owner.config.value(owner.name, str(key), MISSING)
        if isinstance(owner, dict) and not isinstance(key, Unknown) and key not in owner:
            raise Raised("KeyError")
        return UNKNOWN if isinstance(owner, Unknown) or isinstance(key, Unknown) else owner[key]

    def _of_list(self, node: ast.List) -> Any:
        return self._elements(node.elts)

    def _of_tuple(self, node: ast.Tuple) -> Any:
        return tuple(self._elements(node.elts))

    def _of_set(self, node: ast.Set) -> Any:
        return set(self._elements(node.elts))

    def _elements(self, nodes: Sequence[ast.expr]) -> list[Any]:
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                more = self.value(node.value)
                found += list(more) if isinstance(more, list | tuple | set) else []
            else:
                found.append(self.value(node))
        return found

    def _of_dict(self, node: ast.Dict) -> Any:
        found: dict[Any, Any] = {}
        for key, entry in zip(node.keys, node.values, strict=True):
            value = self.value(entry)
            if key is None:
                found |= value if isinstance(value, dict) else {}
            else:
                with contextlib.suppress(TypeError):
                    found[self.value(key)] = value
        return found

    def _of_listcomp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Any:
        results: list[Any] = []
        return (
            results
            if self._iterate(node.generators, lambda: results.append(self.value(node.elt)))
            else UNKNOWN
        )

    _of_generatorexp = _of_setcomp = _of_listcomp

    def _of_dictcomp(self, node: ast.DictComp) -> Any:
        results: dict[Any, Any] = {}

        def add() -> None:
            results[self.value(node.key)] = self.value(node.value)

        return results if self._iterate(node.generators, add) else UNKNOWN

    def _iterate(self, generators: Sequence[ast.comprehension], act: Callable[[], None]) -> bool:
        first = generators[0]
        items = self.value(first.iter)
        if not isinstance(items, list | tuple | set | dict | str) or len(items) > 5000:
            return False
        self._scopes.append(Scope(self.scope.path, parent=self.scope))
        try:
            for item in list(items):
                self._bind(first.target, item, set(), 0)
                tests = [self.value(test) for test in first.ifs]
                if all(not isinstance(test, Unknown) and test for test in tests):
                    if len(generators) > 1:
                        self._iterate(generators[1:], act)
                    else:
                        act()
        finally:
            self._scopes.pop()
        return True

    def _of_lambda(self, node: ast.Lambda) -> Any:
        return Function(node, self.scope)

    def _of_namedexpr(self, node: ast.NamedExpr) -> Any:
        value, reads = self._apart(node.value)
        self._bind(node.target, value, reads, node.lineno)
        return value


def _combine(op: type[ast.operator], left: Any, right: Any) -> Any:
    if isinstance(left, library.EnvironPath):
        return left.up(right) if op is ast.Sub else left.down(right)
    if isinstance(left, list) and isinstance(right, Unknown) and op is ast.Add:
        return list(left)
    if isinstance(right, list) and isinstance(left, Unknown) and op is ast.Add:
        return list(right)
    if isinstance(left, Unknown | External) or isinstance(right, Unknown | External) or op not in _BINARY:
        return UNKNOWN
    if isinstance(left, str) and op is ast.Mod and _holds_unknown(right):
        return UNKNOWN
    if op is ast.Mult and not all(isinstance(x, int | float) and abs(x) < 1e9 for x in (left, right)):
        return UNKNOWN
    try:
        result = _BINARY[op](left, right)
    except Exception:  # any error in the project's operators only makes the value unknown
        return UNKNOWN
    return UNKNOWN if isinstance(result, str | list) and len(result) > _LONGEST else result


def _holds_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(isinstance(x, Unknown) for x in value.values())
    return isinstance(value, tuple | list) and any(isinstance(x, Unknown) for x in value)


def _root_name(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _reads_environment(node: ast.Call) -> bool:
    """Whether a call of an unknown function looks like ``config("NAME", default=...)``."""
    first = node.args[0] if node.args else None
    return (
        isinstance(first, ast.Constant)
        and isinstance(first.value, str)
        and re.fullmatch(r"[A-Z][A-Z0-9_]+", first.value) is not None
        and re.search(r"env|conf|getvar|secret", _last_name(node.func), re.IGNORECASE) is not None
    )


def _targets(statement: ast.AST) -> list[str]:
    if isinstance(statement, ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names if alias.name != "*"]
    if isinstance(statement, ast.Assign):
        nodes = [n for t in statement.targets for n in (t.elts if isinstance(t, ast.Tuple) else [t])]
    elif isinstance(statement, ast.AnnAssign):
        nodes = [statement.target]
    else:
        return []
    return [node.id for node in nodes if isinstance(node, ast.Name)]


def _is_suppressing(node: ast.With) -> bool:
    return any(
        isinstance(item.context_expr, ast.Call) and _last_name(item.context_expr.func) == "suppress"
        for item in node.items
    )
