"""What a project installs: whose files there are, which packages they name, in which versions."""

from __future__ import annotations

import ast
import configparser
import contextlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from slipway.adoption.finding import Findings
from slipway.adoption.layout import Layout, walk
from slipway.errors import SlipwayError

__all__ = ["Dependencies", "is_manifest", "scan"]

_REQUIREMENTS = re.compile(
    r"(^|.*[-_.])(requirements?|reqs?|dependencies)([-_.].*)?\.(txt|pip|in)$|requirements\.txt$",
    re.IGNORECASE,
)
_NOT_PRODUCTION = re.compile(
    r"(^|[-_./])(dev|devel|develop|development|local|tests?|testing|docs?|lint|ci|min|optional|build)([-_.]|$)",
    re.IGNORECASE,
)
_PREFERRED = ("production", "prod", "requirements", "base", "common", "main", "deploy", "heroku", "docker")
_OTHER_MANAGERS = {
    "environment.yml": "conda", "environment.yaml": "conda", "conda-lock.yml": "conda", "pdm.lock": "PDM",
    "pixi.lock": "pixi", "pixi.toml": "pixi", "BUILD": "Bazel", "buildout.cfg": "zc.buildout",
}  # fmt: skip


@dataclass
class Dependencies:
    """The folder, the manager, and the packages by canonical name with what is said of their versions."""

    folder: Path
    manager: str = ""
    files: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    def has(self, *names: str) -> bool:
        """Whether one of the packages is named."""
        return any(name in self.packages for name in names)


def is_manifest(path: Path) -> bool:
    """Whether a file says what is installed."""
    name = path.name
    if name in {"uv.lock", "poetry.lock", "Pipfile", "Pipfile.lock", "setup.py"}:
        return path.is_file()
    if name == "pyproject.toml":
        return _declares(path)
    if name == "setup.cfg":
        return "install_requires" in _text(path)
    if name.endswith((".txt", ".pip", ".in")) and path.parent.name in {"requirements", "reqs"}:
        return True
    return bool(_REQUIREMENTS.match(name))


def _declares(path: Path) -> bool:
    data = _toml(path)
    poetry = data.get("tool", {}).get("poetry", {})
    return bool(
        data.get("project", {}).get("dependencies")
        or "dependencies" in data.get("project", {}).get("dynamic", [])
    ) or bool(poetry.get("dependencies"))


def scan(layout: Layout, findings: Findings) -> Dependencies:
    """Find the project's dependencies and say where they are. Raises ``SlipwayError`` SLIP-147 for none."""
    folder = _folder(layout)
    if folder is None:
        _refuse(layout)
        raise AssertionError
    found = Dependencies(folder)
    _choose(layout, found, findings)
    return found


def _candidates(layout: Layout) -> Iterator[Path]:
    """Folders in which the files may be, the likeliest first."""
    here = layout.manage
    while True:
        yield here
        if here == layout.root:
            break
        here = here.parent
    for folder, _ in walk(layout.root, depth=3):
        if folder != layout.root:
            yield folder


def _folder(layout: Layout) -> Path | None:
    for folder in dict.fromkeys(_candidates(layout)):
        if any(is_manifest(path) for path in folder.iterdir() if path.is_file()):
            # requirements/base.txt is found from the folder above, where -r and -c count from anyway.
            return (
                folder.parent if folder.name in {"requirements", "reqs"} and folder != layout.root else folder
            )
        for name in ("requirements", "reqs"):
            if (folder / name).is_dir() and any(
                is_manifest(p) for p in (folder / name).iterdir() if p.is_file()
            ):
                return folder
    return None


def _refuse(layout: Layout) -> None:
    there = [
        f"{(folder / name).relative_to(layout.root)} ({_OTHER_MANAGERS[name]})"
        for folder, files in walk(layout.root, depth=2)
        for name in files
        if name in _OTHER_MANAGERS
    ]
    if there:
        raise SlipwayError(
            "SLIP-147",
            f"the kit cannot install from what is in {layout.root}: {', '.join(there)}",
            "export its packages to a requirements.txt and commit that (pip freeze, pdm export)",
        )
    raise SlipwayError(
        "SLIP-147",
        f"nothing in {layout.root} says what to install: no uv.lock, poetry.lock, Pipfile, requirements.txt "
        "or the like, pyproject.toml with dependencies, setup.py",
        "write the packages into a requirements.txt (pip freeze >requirements.txt)",
    )


def _choose(layout: Layout, found: Dependencies, findings: Findings) -> None:
    folder = found.folder
    at = layout.at
    pyproject = folder / "pyproject.toml"
    locks = [name for name in ("uv.lock", "poetry.lock", "Pipfile.lock") if (folder / name).is_file()]
    requirements = _requirements(folder)
    if locks:
        found.manager = {"uv.lock": "uv", "poetry.lock": "poetry", "Pipfile.lock": "pipenv"}[locks[0]]
        found.files = (locks[0],)
        if locks[0] == "Pipfile.lock":
            _from_pipfile_lock(folder / locks[0], found, at(folder / locks[0]))
        else:
            _from_lock(folder / locks[0], found, at(folder / locks[0]))
        others = [*locks[1:], *(p.name for p in requirements if p.parent == folder)]
        if others:
            findings.say(
                "DEPENDENCY_MANAGER",
                found.manager,
                f"{locks[0]} is there beside {', '.join(others)}; a lock says the most",
                at(folder / locks[0]),
                sure=False,
            )
    elif requirements:
        found.manager = "requirements"
        _choose_requirements(layout, found, requirements, findings)
        if _declares(pyproject) or (folder / "Pipfile").is_file():
            other = "pyproject.toml" if _declares(pyproject) else "Pipfile"
            findings.say(
                "DEPENDENCY_MANAGER", "requirements",
                f"{found.files[0]} is there beside {other}, which has no lock",
                at(folder / found.files[0]), sure=False,
            )  # fmt: skip
    elif (folder / "Pipfile").is_file():
        found.manager, found.files = "pipenv", ("Pipfile",)
        for name, spec in _toml(folder / "Pipfile").get("packages", {}).items():
            version = (
                spec if isinstance(spec, str) else spec.get("version", "") if isinstance(spec, dict) else ""
            )
            _note(
                found, name, version.replace("*", "") if version == "*" else version, at(folder / "Pipfile")
            )
    else:
        found.manager = "project"
        name = next(
            (n for n in ("pyproject.toml", "setup.py", "setup.cfg") if (folder / n).is_file()),
            "pyproject.toml",
        )
        found.files = (name,)
        _from_project(folder, found, at(folder / name))
    if found.manager in {"uv", "poetry", "project"}:
        _groups(pyproject, found, findings, at(pyproject))
    if not found.has("django"):
        findings.warn(
            f"Django is not among the packages of {', '.join(found.files)}", at(folder / found.files[0])
        )


# -- requirements files ------------------------------------------------------------------------------


def _requirements(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.iterdir()) if path.is_file() and _REQUIREMENTS.match(path.name)]
    for name in ("requirements", "reqs"):
        if (folder / name).is_dir():
            found += [
                p
                for p in sorted((folder / name).iterdir())
                if p.is_file() and p.suffix in {".txt", ".pip", ".in"}
            ]
    # What is compiled from a .in is what is installed.
    return [path for path in found if path.suffix != ".in" or not path.with_suffix(".txt").exists()]


def _choose_requirements(layout: Layout, found: Dependencies, every: list[Path], findings: Findings) -> None:
    def rank(path: Path) -> tuple[bool, int, int, str]:
        words = re.split(r"[-_.]", path.name.lower())
        development = bool(_NOT_PRODUCTION.search(path.stem)) or "constraint" in path.name.lower()
        named = [index for index, name in enumerate(_PREFERRED) if name in words]
        if path.name == "requirements.txt" and path.parent == found.folder:
            named = [2]
        return development, min(named, default=len(_PREFERRED)), len(path.parts), path.name

    best = sorted(every, key=rank)
    # Beside requirements/production.txt it is often an alias of it; the plain name is what tools take.
    plain = found.folder / "requirements.txt"
    chosen = plain if plain in every and _packages_of(plain) else best[0]
    if chosen == plain and best[0] != plain and _only_includes(plain) and rank(best[0])[1] < 2:
        chosen = best[0]
    name = chosen.relative_to(found.folder).as_posix()
    found.files = (name,)
    for package, version, where, line in _packages_of(chosen):
        _note(found, package, version, layout.at(where, line))
    default = (
        "requirements.txt",
        "requirements/production.txt",
        "requirements/prod.txt",
        "requirements/base.txt",
    )
    first = next((n for n in default if (found.folder / n).is_file()), "")
    others = [p.relative_to(found.folder).as_posix() for p in best if p != chosen]
    if name != first or (others and chosen != plain):
        also = f"; there are also {', '.join(others[:4])}" if others else ""
        findings.say(
            "REQUIREMENTS_FILES",
            name,
            f"the file for production, by its name{also}",
            layout.at(chosen),
            sure=not others,
        )


def _only_includes(path: Path) -> bool:
    lines = [line.strip() for line in _text(path).splitlines()]
    return all(line.startswith(("-r", "--requirement", "#")) for line in lines if line)


def _packages_of(path: Path, seen: frozenset[Path] = frozenset()) -> list[tuple[str, str, Path, int]]:
    """Names and version specifiers of a requirements file and those it includes."""
    found: list[tuple[str, str, Path, int]] = []
    if path in seen or not path.is_file():
        return found
    for number, line in enumerate(_text(path).replace("\\\n", " ").splitlines(), 1):
        text = re.sub(r"(^|\s)#.*", "", line).split(" --hash")[0].strip()
        included = re.match(r"(?:-r|--requirement)[\s=]*(\S+)", text)
        if included:
            found += _packages_of((path.parent / included[1]).resolve(), seen | {path})
            continue
        egg = re.search(r"#egg=([A-Za-z0-9_.-]+)", line)
        if egg:
            found.append((egg[1], "", path, number))
        elif text and not text.startswith(("-", "git+", "http", ".", "/")):
            with_version = _parsed(text)
            if with_version:
                found.append((*with_version, path, number))
    return found


def _parsed(text: str) -> tuple[str, str] | None:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    if requirement.marker and not requirement.marker.evaluate(
        {"python_version": "3.13", "sys_platform": "linux"}
    ):
        return None
    return requirement.name, str(requirement.specifier)


# -- locks and projects ------------------------------------------------------------------------------


def _from_lock(path: Path, found: Dependencies, where: str) -> None:
    for package in _toml(path).get("package", []):
        if isinstance(package, dict) and "name" in package:
            _note(found, package["name"], f"=={package['version']}" if "version" in package else "", where)


def _from_pipfile_lock(path: Path, found: Dependencies, where: str) -> None:
    try:
        data = json.loads(_text(path))
    except ValueError:
        raise SlipwayError("SLIP-147", f"{where} is not JSON", "make it again: pipenv lock") from None
    for name, spec in data.get("default", {}).items():
        _note(found, name, spec.get("version", ""), where)


def _from_project(folder: Path, found: Dependencies, where: str) -> None:
    data = _toml(folder / "pyproject.toml")
    texts = list(data.get("project", {}).get("dependencies", []))
    for name, spec in data.get("tool", {}).get("poetry", {}).get("dependencies", {}).items():
        version = spec if isinstance(spec, str) else spec.get("version", "") if isinstance(spec, dict) else ""
        if name != "python":
            _note(found, name, _caret(version), where)
    config = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(configparser.Error):
        config.read_string(_text(folder / "setup.cfg"))
    texts += config.get("options", "install_requires", fallback="").splitlines()
    texts += setup_py(folder / "setup.py").get("install_requires", [])
    for text in texts:
        parsed = _parsed(text.strip()) if isinstance(text, str) else None
        if parsed:
            _note(found, *parsed, where)


def setup_py(path: Path) -> dict[str, Any]:
    """The plain arguments of ``setup()`` in a setup.py."""
    try:
        tree = ast.parse(_text(path))
    except SyntaxError:
        return {}
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            if (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) != "setup":
                continue
            for keyword in node.keywords:
                try:
                    found[keyword.arg or ""] = ast.literal_eval(keyword.value)
                except ValueError:
                    continue
    return found


def _groups(pyproject: Path, found: Dependencies, findings: Findings, where: str) -> None:
    """Groups and extras that production needs, by their names."""
    data = _toml(pyproject)
    poetry = data.get("tool", {}).get("poetry", {})
    wanted = re.compile(
        r"^(prod|production|deploy|deployment|server|postgres|postgresql|psycopg|pg|web|gunicorn|heroku|docker)$",
        re.I,
    )
    groups = [g for g in {**data.get("dependency-groups", {}), **poetry.get("group", {})} if wanted.match(g)]
    extras = [
        e
        for e in {**data.get("project", {}).get("optional-dependencies", {}), **poetry.get("extras", {})}
        if wanted.match(e)
    ]
    if groups:
        found.groups = tuple(groups)
        findings.say(
            "DEPENDENCY_GROUPS", " ".join(groups), "groups for production, by their names", where, sure=False
        )
    if extras:
        found.extras = tuple(extras)
        findings.say(
            "DEPENDENCY_EXTRAS", " ".join(extras), "extras for production, by their names", where, sure=False
        )
    tables = [data.get("dependency-groups", {}).get(g, []) for g in groups]
    tables += [data.get("project", {}).get("optional-dependencies", {}).get(e, []) for e in extras]
    for text in (text for table in tables for text in table if isinstance(text, str)):
        parsed = _parsed(text)
        if parsed:
            _note(found, *parsed, where)


def _caret(spec: str) -> str:
    """Poetry's ``^4.2`` as a specifier."""
    match = re.match(r"\^(\d+)(\.\d+)?", spec)
    if match:
        return f">={spec[1:]},<{int(match[1]) + 1}"
    if re.match(r"~\d", spec):
        return f"~={spec[1:]}" if "." in spec else f">={spec[1:]}"
    return "" if spec == "*" else f"=={spec}" if re.match(r"\d", spec) else spec


def _note(found: Dependencies, name: str, version: str, where: str) -> None:
    key = canonicalize_name(name)
    found.packages.setdefault(key, version)
    found.where.setdefault(key, where)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError:
        return {}


def _text(path: Path) -> str:
    """A file's text, whichever of the encodings that editors write."""
    try:
        raw = path.read_bytes()
    except OSError:
        return ""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    return raw.decode("utf-8-sig", errors="replace")
