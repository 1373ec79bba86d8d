"""The dependencies of a project: the files that name them, the packages and their versions."""

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

from slipway.core.errors import SlipwayError
from slipway.core.imagecode import load
from slipway.project.buildrule import RULE, choose, installs
from slipway.project.finding import Findings
from slipway.project.layout import Layout, walk

__all__ = ["Dependencies", "scan"]

TEXT = load("requirements_text")
_OTHER_MANAGERS = {
    "environment.yml": "conda", "environment.yaml": "conda", "conda-lock.yml": "conda", "pdm.lock": "PDM",
    "pixi.lock": "pixi", "pixi.toml": "pixi", "BUILD": "Bazel", "buildout.cfg": "zc.buildout",
}  # fmt: skip


@dataclass
class Dependencies:
    """The folder, the manager, and the packages by canonical name with their version specifiers."""

    folder: Path
    manager: str = ""
    files: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    """Files that could be installed from too, and are ignored."""
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    def has(self, *names: str) -> bool:
        """Whether one of the packages is named."""
        return any(name in self.packages for name in names)


def scan(layout: Layout, findings: Findings) -> Dependencies:
    """Find the project's dependencies and add findings on them. Raises ``SlipwayError`` SLIP-147 for none."""
    every = [_read(layout, folder) for folder in dict.fromkeys(_candidates(layout)) if installs(folder)]
    if not every:
        raise _refusal(layout)
    # A folder with the requirements of tools may be nearer than the one that names Django.
    found = next((entry for entry in every if entry.has("django")), every[0])
    _say(layout, found, findings)
    return found


def _candidates(layout: Layout) -> Iterator[Path]:
    """Folders that the files may be in, the most likely first."""
    here = layout.manage
    while True:
        yield here
        if here == layout.root:
            break
        here = here.parent
    for folder, _ in walk(layout.root, depth=3):
        # requirements/base.txt is found from the folder above it.
        if folder != layout.root and not RULE.words(folder.name) & RULE.WORDS:
            yield folder


def _refusal(layout: Layout) -> SlipwayError:
    there = [
        f"{(folder / name).relative_to(layout.root)} ({_OTHER_MANAGERS[name]})"
        for folder, files in walk(layout.root, depth=2)
        for name in files
        if name in _OTHER_MANAGERS
    ]
    if there:
        return SlipwayError(
            "SLIP-147",
            f"the kit cannot install from what is in {layout.root}: {', '.join(there)}",
            "export the packages to a requirements.txt and commit it (pip freeze, pdm export)",
        )
    return SlipwayError(
        "SLIP-147",
        f"nothing in {layout.root} says what to install: no uv.lock, poetry.lock, Pipfile, requirements.txt "
        "or the like, pyproject.toml with dependencies, setup.py",
        "write the packages into a requirements.txt (pip freeze >requirements.txt)",
    )


def _read(layout: Layout, folder: Path) -> Dependencies:
    """The dependencies that the files chosen in ``folder`` name."""
    choice = choose(folder)
    found = Dependencies(folder, choice.manager, choice.files, others=choice.passed_over)
    where = layout.at(folder / found.files[0])
    if found.manager == "requirements":
        for name in found.files:
            for package, version, path, line in _packages_of(folder / name):
                _note(found, package, version, layout.at(path, line))
    elif found.files[0] == "Pipfile.lock":
        _from_pipfile_lock(folder / "Pipfile.lock", found, where)
    elif found.files[0] == "Pipfile":
        _from_pipfile(folder / "Pipfile", found, where)
    elif found.files[0].endswith(".lock"):
        _from_lock(folder / found.files[0], found, where)
    else:
        _from_project(folder, found, where)
    return found


def _say(layout: Layout, found: Dependencies, findings: Findings) -> None:
    where = layout.at(found.folder / found.files[0])
    if found.others:
        why = f"{found.files[0]} is there next to {', '.join(found.others)}"
        findings.say("DEPENDENCY_MANAGER", found.manager, why, where, sure=False)
    if found.manager == "requirements":
        every = [n for n in RULE.requirements_files(found.folder) if n not in found.files]
        others = [n for n in every if not RULE.role(n) & set(RULE.DEVELOPMENT)]
        if others:
            why = f"for production, by name and content; there are also {', '.join(others[:4])}"
            findings.say("REQUIREMENTS_FILES", " ".join(found.files), why, where, sure=False)
    if found.manager in {"uv", "poetry", "project"}:
        pyproject = found.folder / "pyproject.toml"
        _groups(pyproject, found, findings, layout.at(pyproject))
    if not found.has("django"):
        findings.warn(f"Django is not among the packages of {', '.join(found.files)}", where)


# -- requirements files ------------------------------------------------------------------------------


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
        raise SlipwayError("SLIP-147", f"{where} is not JSON", "regenerate it: pipenv lock") from None
    for name, spec in data.get("default", {}).items():
        _note(found, name, spec.get("version", ""), where)


def _from_pipfile(path: Path, found: Dependencies, where: str) -> None:
    for name, spec in _toml(path).get("packages", {}).items():
        version = spec if isinstance(spec, str) else spec.get("version", "") if isinstance(spec, dict) else ""
        _note(found, name, "" if version == "*" else version, where)


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
    """A file's text, in any encoding that editors write; empty for a missing file."""
    try:
        text: str = TEXT.read(path)
    except OSError:
        return ""
    return text
