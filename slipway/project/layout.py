"""Finds the parts of a project: manage.py, the settings module, the folder that becomes /app."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.project.buildrule import installs
from slipway.project.evaluator import Evaluator
from slipway.project.files import is_kit_folder
from slipway.project.objects import Scope

__all__ = ["Layout", "find", "walk"]

_SKIPPED = {
    "node_modules", "site-packages", "__pycache__", "bower_components", "venv", "env", "virtualenv", "build",
    "dist", "htmlcov", "staticfiles",
}  # fmt: skip
# Folders for tests, examples and the like: another manage.py takes precedence over one in them.
_SECONDARY = re.compile(
    r"(^|[-_])(tests?|testing|testproject|examples?|demos?|sandbox|samples?|docs?|fixtures|templates?|vendor|tutorials?"
    r"|playground|benchmarks?|skeleton|boilerplate|project_template)([-_]|$)|[{}]",
    re.IGNORECASE,
)
_DEPTH = 6


@dataclass
class Layout:
    """The folders of a project on this machine, absolute; ``settings`` is the module's dotted name."""

    root: Path
    """The folder that becomes /app."""
    manage: Path
    """The folder with manage.py."""
    settings: str = ""
    settings_why: str = ""
    settings_where: str = ""
    settings_sure: bool = True
    development: str = ""
    """Another settings module, which manage.py uses by default."""
    configuration: str = ""
    """DJANGO_CONFIGURATION of django-configurations."""
    development_configuration: str = ""
    configurations: dict[Path, str] = field(default_factory=dict)
    """The value of DJANGO_CONFIGURATION by the file that sets it."""
    search: tuple[Path, ...] = ()
    """The folders that Python imports from."""

    def inside(self, path: Path) -> str:
        """``path`` relative to PROJECT_ROOT."""
        return path.relative_to(self.root).as_posix()

    def at(self, path: Path, line: int | None = None) -> str:
        """FILE:LINE for people."""
        name = self.inside(path) if path.is_relative_to(self.root) else str(path)
        return f"{name}:{line}" if line else name


def walk(root: Path, depth: int = _DEPTH) -> Iterator[tuple[Path, list[str]]]:
    """The folders below ``root`` with their files; folders that never hold the project's code are skipped."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and len(here.relative_to(root).parts) < depth
            and not (here / name / "pyvenv.cfg").exists()
            and not is_kit_folder(here / name)
        )
        yield here, sorted(files)


def find(path: Path, manage_dir: str = "") -> Layout:
    """The layout of the project at ``path``; ``manage_dir``, relative to it, selects one of several folders.

    Raises ``SlipwayError``: SLIP-144 no such folder, SLIP-145 no manage.py or several.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise SlipwayError(
            "SLIP-144",
            f"{path} {what}",
            "name the folder of a Django project: invoke adopt ../shop (invoke --help adopt: its flags)",
        )
    root = path.resolve()
    manage = _manage_dir(root, manage_dir)
    # The files that name the dependencies may be above, up to the top of the repository.
    top = root
    if not _has_dependencies(root):
        for above in _up_to_repository(root):
            if _has_dependencies(above):
                top = above
                break
    layout = Layout(root=top, manage=manage)
    _find_settings(layout)
    return layout


def _manage_dir(root: Path, chosen: str) -> Path:
    if chosen:
        folder = (root / chosen).resolve()
        if not (folder / "manage.py").is_file() or not folder.is_relative_to(root):
            raise SlipwayError(
                "SLIP-145",
                f"there is no manage.py in {folder}",
                f"--manage-dir is relative to {root}; leave it out to search",
            )
        return folder
    every = [
        folder for folder, files in walk(root) if "manage.py" in files and _is_djangos(folder / "manage.py")
    ]
    if not every:
        raise SlipwayError(
            "SLIP-145",
            f"there is no manage.py of Django in {root} or below it",
            "name the folder of the project, with manage.py in it or below it",
        )
    primary = [f for f in every if not any(_SECONDARY.search(part) for part in f.relative_to(root).parts)]
    candidates = primary or every
    if len(candidates) == 1:
        return candidates[0]
    names = [folder.relative_to(root).as_posix() for folder in candidates]
    shown = ", ".join(f"{'' if name == '.' else name + '/'}manage.py" for name in names[:5])
    raise SlipwayError(
        "SLIP-145",
        f"there are {len(names)} manage.py in {root}: {shown}",
        f"choose one: invoke adopt {path_word(root)} --manage-dir {names[0]}",
    )


def path_word(path: Path) -> str:
    """A path as a person would type it."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def _is_djangos(path: Path) -> bool:
    try:
        text = path.read_bytes()
    except OSError:
        return False
    return b"django" in text.lower() or b"execute_from_command_line" in text


def _has_dependencies(folder: Path) -> bool:
    return any(installs(place) for place, _ in walk(folder, depth=3))


def _up_to_repository(root: Path) -> Iterator[Path]:
    if (root / ".git").exists():
        return
    for above in root.parents:
        if (above / ".git").exists():
            yield from [folder for folder in root.parents if folder.is_relative_to(above)]
            return


# -- the settings module -----------------------------------------------------------------------------

_DEVELOPMENT = re.compile(r"(^|[._])(local|dev|develop|development|devel|test|tests|testing|debug)($|[._])")
_BY_NAME = (
    "production", "prod", "live", "deploy", "heroku", "docker", "server", "default", "base", "common",
    "settings", "local", "dev", "development",
)  # fmt: skip


def _find_settings(layout: Layout) -> None:
    manage = layout.manage / "manage.py"
    named = _named_settings(layout, manage)
    layout.search = (layout.manage, *_added_paths(layout, manage))
    by_server = {
        path: module
        for path in _server_files(layout)
        for module in [_named_settings(layout, path)]
        if module and _exists(layout, module)
    }
    server_path, server = next(iter(by_server.items()), (manage, ""))
    named_there = named if named and _exists(layout, named) else ""
    # Server files (wsgi.py, asgi.py) are for production; developers use manage.py.
    chosen, path = (named_there, manage) if named_there else (server, server_path)
    if server and (not _DEVELOPMENT.search(server) or not named_there):
        chosen, path = server, server_path
    if chosen:
        layout.settings, layout.settings_why = chosen, f"the default of {layout.inside(path)}"
        layout.settings_where = layout.at(*_line_of(path, chosen))
        better = _better_than_development(layout, chosen)
        if better:
            layout.settings, layout.settings_sure = better, False
            layout.settings_why = f"for production, by its name; {layout.inside(path)} takes {chosen}"
        if named_there not in {"", layout.settings}:
            layout.development = named_there
        _choose_configuration(layout, manage)
        return
    found = _by_name(layout)
    if found:
        layout.settings, layout.settings_sure = found[0], False
        others = f" (there are also {', '.join(found[1:4])})" if len(found) > 1 else ""
        layout.settings_why = f"no default is set; chosen by its name{others}"
        return
    if named:
        raise SlipwayError(
            "SLIP-146",
            f"{layout.at(*_line_of(manage, named))} names the settings module {named}, which is not in "
            f"{layout.manage}",
            "restore it; or create it if each machine has its own (often there is an example next to it)",
        )
    raise SlipwayError(
        "SLIP-146",
        f"no settings module: {manage} names none, and no file in {layout.root} looks like one",
        "let manage.py set DJANGO_SETTINGS_MODULE, as startproject writes it",
    )


def _choose_configuration(layout: Layout, manage: Path) -> None:
    """Choose the class of django-configurations: the server's, production's by name, or manage.py's."""
    found = layout.configurations
    first = found.get(manage, "")
    server = next((name for path, name in found.items() if path != manage), first)
    file = Evaluator(layout.root, layout.search, {}).find(layout.settings)
    if _DEVELOPMENT.search(server.lower()) and file and file.is_file():
        text = file.read_text(encoding="utf-8", errors="replace")
        named = re.search(r"^class (Production|Prod|Live|Heroku)\b", text, re.MULTILINE)
        server = named[1] if named else server
    layout.configuration = server or first
    layout.development_configuration = first if first != layout.configuration else ""


def _better_than_development(layout: Layout, named: str) -> str:
    """The module for production next to a settings module that by its name is for development or for all."""
    head, _, last = named.rpartition(".")
    if not _DEVELOPMENT.search(last) and last not in {"base", "common", "defaults"}:
        return ""
    for name in ("production", "prod", "live", "heroku"):
        candidate = f"{head}.{name}" if head else name
        if _exists(layout, candidate):
            return candidate
    return ""


def _exists(layout: Layout, dotted: str) -> bool:
    found = Evaluator(layout.root, layout.search or (layout.manage,), {}).find(dotted)
    return found is not None and found.is_file()


def _server_files(layout: Layout) -> list[Path]:
    found = [
        folder / name
        for name in ("wsgi.py", "asgi.py")
        for base in dict.fromkeys((layout.manage, *layout.search))
        for folder, files in walk(base, depth=3)
        if name in files and not any(_SECONDARY.search(part) for part in folder.relative_to(base).parts)
    ]
    return sorted(dict.fromkeys(found), key=lambda path: (path.name != "wsgi.py", len(path.parts)))


def _line_of(path: Path, text: str) -> tuple[Path, int | None]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return path, next((number for number, line in enumerate(lines, 1) if text in line), None)


def _named_settings(layout: Layout, path: Path) -> str:
    """The value that a project file gives DJANGO_SETTINGS_MODULE, as far as its conditions are known."""
    run = Evaluator(layout.root, (layout.manage,), {})
    scope = Scope(path=path, dotted="__main__")
    try:
        run.run_file(path, scope)
    except SyntaxError as bad:
        raise SlipwayError(
            "SLIP-146",
            f"{layout.at(path, bad.lineno)}: {bad.msg}",
            "fix the file, or, if it is for Python 2, port the project to Python 3 first",
        ) from None
    chosen = run.environ.get("DJANGO_SETTINGS_MODULE", "")
    if "DJANGO_CONFIGURATION" in run.environ:
        layout.configurations[path] = run.environ["DJANGO_CONFIGURATION"]
    if chosen:
        return chosen
    match = re.search(
        r"""DJANGO_SETTINGS_MODULE["']\s*(?:,|\]\s*=)\s*["']([A-Za-z_][\w.]*)["']""",
        path.read_text(encoding="utf-8", errors="replace"),
    )
    return match[1] if match else ""


def _added_paths(layout: Layout, path: Path) -> list[Path]:
    """Folders that manage.py adds to sys.path."""
    run = Evaluator(layout.root, (layout.manage,), {})
    with_main = Scope(path=path, dotted="__main__")
    run.run_file(path, with_main)
    folders = [run.on_host(place) for place in run.path_edits]
    added = [folder.resolve() for folder in folders if folder and folder.is_dir()]
    src = layout.manage / "src"
    if src.is_dir() and any((entry / "__init__.py").exists() for entry in src.iterdir() if entry.is_dir()):
        added.append(src)
    return [
        folder
        for folder in dict.fromkeys(added)
        if folder != layout.manage and folder.is_relative_to(layout.root)
    ]


def _by_name(layout: Layout) -> list[str]:
    """Modules that use INSTALLED_APPS or the like or star-import a sibling, production's names first."""
    found: list[str] = []
    for base in layout.search:
        for folder, files in walk(base, depth=4):
            if any(_SECONDARY.search(part) for part in folder.relative_to(base).parts):
                continue
            for name in files:
                path = folder / name
                in_package = "settings" in folder.name or "config" in folder.name or folder.name == "conf"
                if not name.endswith(".py") or not ("settings" in name or in_package):
                    continue
                if _looks_like_settings(path):
                    parts = path.relative_to(base).with_suffix("").parts
                    found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    last = {module: module.rpartition(".")[2] for module in found}
    order = {name: index for index, name in enumerate(_BY_NAME)}
    return sorted(dict.fromkeys(found), key=lambda m: (order.get(last[m], 50), m.count("."), m))


def _looks_like_settings(path: Path) -> bool:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in {"INSTALLED_APPS", "ROOT_URLCONF", "DATABASES"}:
            return True
        if isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names) and node.level:
            return True
    return False
