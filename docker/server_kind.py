"""Whether a server target is an ASGI or a WSGI callable, read from the project's source.

    server_kind.py TARGET FOLDER...

Prints ``asgi`` or ``wsgi``. Nothing is imported: a build runs this before the project's dependencies are
installed, gunicorn's master before its workers load the project. FOLDERs are those Python would import from.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# Every name with "asgi" in it, those of channels, and of the frameworks that mount Django.
ASGI = re.compile(r"asgi|ProtocolTypeRouter|get_default_application|FastAPI|Starlette|Quart", re.IGNORECASE)
WSGI = re.compile(r"wsgi", re.IGNORECASE)
MOST_IMPORTS = 5


def server_kind(target: str, folders: Sequence[Path]) -> str:
    """Return ``asgi`` or ``wsgi`` for ``target`` (``module:callable`` or ``module:factory()``).

    The names its definition uses decide, also if it is imported from another module of the project; without
    such names, or without the source, the name of the module decides.
    """
    module, _, attribute = target.partition(":")
    name = attribute.partition("(")[0] or "application"
    return _kind_in(module, name, folders, MOST_IMPORTS) or _kind_of_name(module)


def _kind_of_name(module: str) -> str:
    return "asgi" if module.rpartition(".")[2] == "asgi" else "wsgi"


def _kind_in(module: str, name: str, folders: Sequence[Path], imports_left: int) -> str | None:
    source = _source(module, folders)
    if source is None:
        return None
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    used = _names_behind(name, tree)
    if used is ASYNC or any(ASGI.search(word) for word in used):
        return "asgi"
    if any(WSGI.search(word) for word in used):
        return "wsgi"
    for origin, original in _imports(name, tree, module, source):
        if imports_left:
            return _kind_in(origin, original, folders, imports_left - 1) or _kind_of_name(origin)
    return None


def _source(module: str, folders: Sequence[Path]) -> Path | None:
    path = module.replace(".", "/")
    for folder in folders:
        for candidate in (folder / f"{path}.py", folder / path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


ASYNC = frozenset({"async def"})


def _names_behind(name: str, tree: ast.Module) -> frozenset[str]:
    """Return every identifier that the definition of ``name`` uses, its own and those of what it uses.

    ASYNC for a coroutine function, or a class whose instances are called as one.
    """
    definitions: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            definitions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign):
            for assigned in node.targets:
                if isinstance(assigned, ast.Name):
                    definitions.setdefault(assigned.id, []).append(node.value)
    seen: set[str] = set()
    queue = [name]
    while queue:
        current = queue.pop()
        for node in definitions.get(current, []) if current not in seen else []:
            if _is_coroutine(node):
                return ASYNC
            queue += _identifiers(node)
        seen.add(current)
    return frozenset(seen - {name}) | _original_names(seen - {name}, tree)


def _is_coroutine(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(isinstance(m, ast.AsyncFunctionDef) and m.name == "__call__" for m in node.body)
    return isinstance(node, ast.AsyncFunctionDef)


def _identifiers(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr


def _original_names(names: set[str], tree: ast.Module) -> frozenset[str]:
    """Return the names under which ``names`` were imported (``get_asgi_application as make``)."""
    return frozenset(
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if alias.asname in names
    )


def _imports(name: str, tree: ast.Module, module: str, source: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of each ``from … import … as name``."""
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
        origin = ".".join([*parents, *([node.module] if node.module else [])])
        yield from ((origin, alias.name) for alias in node.names if (alias.asname or alias.name) == name)


if __name__ == "__main__":
    print(server_kind(sys.argv[1], [Path(folder) for folder in sys.argv[2:]]))
