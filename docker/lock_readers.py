"""Read Poetry's and Pipenv's locks as requirements with hashes, where the manager itself cannot do it.

The pins are the lock's own; nothing is resolved. Markers are evaluated for the Python this runs with, which
must have the version that the packages are installed for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from requirements_text import normalised

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib


class StaleError(Exception):
    """The lock was not made from the file next to it."""


def from_poetry(folder: Path, groups: Iterable[str], extras: Iterable[str], everything: bool) -> list[str]:
    """Return the lines for the main dependencies of ``poetry.lock`` and those of ``groups`` and ``extras``.

    ``everything`` takes every group. Raises StaleError for a direct dependency that is not locked.
    """
    groups, extras = set(groups), set(extras)
    lock = tomllib.loads((folder / "poetry.lock").read_text(encoding="utf-8"))
    manifest = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8-sig"))
    by_name: dict[str, list[dict[str, Any]]] = {}
    for package in lock.get("package", []):
        by_name.setdefault(normalised(package["name"]), []).append(package)
    _check_content_hash(lock, manifest)
    # Since Poetry 1.3 files are listed with each package, before that together at the end.
    files = lock.get("metadata", {}).get("files", {})

    wanted = [*_poetry_direct(manifest, groups, extras, everything)]
    chosen: dict[str, dict[str, Any]] = {}
    queue = [(name, wanted_extras) for name, wanted_extras in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        name, package_extras = queue.pop()
        if (name, package_extras) in seen or name == "python":
            continue
        seen.add((name, package_extras))
        fitting = [p for p in by_name.get(name, []) if _fits(p, extras)]
        if not fitting:
            raise StaleError(f"pyproject.toml requires {name}, which is not in poetry.lock")
        chosen[name] = package = fitting[0]
        queue += _poetry_needs(package, package_extras, by_name)
    return [_poetry_line(package, files) for _, package in sorted(chosen.items())]


def _check_content_hash(lock: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Raise StaleError unless the hash is as Poetry's ``Locker`` computes it, in any form of its releases."""
    locked = lock.get("metadata", {}).get("content-hash")
    if not locked:
        return
    poetry = manifest.get("tool", {}).get("poetry", {})
    project = {
        key: manifest.get("project", {})[key]
        for key in ("requires-python", "dependencies", "optional-dependencies")
        if manifest.get("project", {}).get(key) is not None
    }
    groups = manifest.get("dependency-groups", {})
    legacy = ("dependencies", "source", "extras", "dev-dependencies")
    present = {key: poetry[key] for key in (*legacy, "group") if key in poetry}
    formulas = [
        # With [project], missing keys are left out; before, they were there with null.
        {**({"project": project} if project else {}), **more, "tool": {"poetry": present}}
        for more in ({}, {"dependency-groups": groups})
    ]
    for keys in (legacy, ("dependencies", "group", "source", "extras"), (*legacy, "group")):
        formulas += [
            {key: poetry.get(key) for key in keys},
            {**{key: poetry.get(key) for key in keys}, **present},
        ]
    digests = {hashlib.sha256(json.dumps(f, sort_keys=True).encode()).hexdigest() for f in formulas}
    if locked not in digests:
        raise StaleError("pyproject.toml has changed since poetry.lock was made")


def _poetry_direct(  # noqa: PLR0912 - one branch for each table that may hold dependencies
    manifest: Mapping[str, Any], groups: set[str], extras: set[str], everything: bool
) -> Iterator[tuple[str, frozenset[str]]]:
    project, poetry = manifest.get("project", {}), manifest.get("tool", {}).get("poetry", {})
    listed = list(project.get("dependencies", []))
    for name, requirements in project.get("optional-dependencies", {}).items():
        if name in extras:
            listed += requirements
    for name, requirements in manifest.get("dependency-groups", {}).items():
        if name in groups or everything:
            listed += [r for r in requirements if isinstance(r, str)]
    for requirement in listed:
        name, _, marker = requirement.partition(";")
        if _holds(marker):
            match = re.match(r"\s*([\w.\-]+)\s*(?:\[([^\]]*)\])?", name)
            if match:
                yield normalised(match[1]), _extras_of((match[2] or "").split(","))

    tables = [poetry.get("dependencies", {})]
    for name, group in poetry.get("group", {}).items():
        if name in groups or everything:
            tables.append(group.get("dependencies", {}))
    if everything:
        tables.append(poetry.get("dev-dependencies", {}))
    by_extra = {normalised(n) for extra in extras for n in poetry.get("extras", {}).get(extra, [])}
    for table in tables:
        for name, constraint in table.items():
            alternatives = constraint if isinstance(constraint, list) else [constraint]
            for entry in alternatives:
                detail = entry if isinstance(entry, dict) else {}
                if detail.get("optional") and normalised(name) not in by_extra:
                    continue
                if _holds(detail.get("markers", "")) and _python_admits(detail.get("python", "")):
                    yield normalised(name), _extras_of(detail.get("extras", []))


def _poetry_needs(
    package: Mapping[str, Any], extras: frozenset[str], by_name: Mapping[str, Any]
) -> Iterator[tuple[str, frozenset[str]]]:
    through_extras = {
        normalised(re.split(r"[\s\[(;<>=!~]", requirement.strip(), maxsplit=1)[0])
        for extra in extras
        for requirement in package.get("extras", {}).get(extra, [])
    }
    for name, constraint in package.get("dependencies", {}).items():
        for entry in constraint if isinstance(constraint, list) else [constraint]:
            detail = entry if isinstance(entry, dict) else {}
            if detail.get("optional") and normalised(name) not in through_extras:
                continue
            if _holds(detail.get("markers", ""), extras) and normalised(name) in by_name:
                yield normalised(name), _extras_of(detail.get("extras", []))


def _poetry_line(package: Mapping[str, Any], files: Mapping[str, Any]) -> str:
    name, source = package["name"], package.get("source", {})
    kind = source.get("type")
    if kind == "git":
        where = f"git+{source['url']}@{source.get('resolved_reference') or source['reference']}"
        below = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        return f"{name} @ {where}{below}"
    if kind in {"directory", "file"}:
        return f"./{source['url']}"
    if kind == "url":
        return f"{name} @ {source['url']}"
    return _pinned(name, package["version"], (f["hash"] for f in package.get("files") or files.get(name, [])))


def poetry_sources(lock: Path) -> list[str]:
    """Return the addresses of the package indexes that a poetry.lock names."""
    packages = tomllib.loads(lock.read_text(encoding="utf-8")).get("package", [])
    sources = (package.get("source", {}) for package in packages)
    return sorted({source["url"] for source in sources if source.get("type") == "legacy"})


def from_pipenv(folder: Path, categories: Sequence[str], public_index: str) -> list[str]:
    """Return the lines for ``categories`` of ``Pipfile.lock`` (``default``, ``develop``, or others by name).

    ``public_index`` is the address of Python's own. Raises StaleError when the lock's hash of the Pipfile is
    not that of the Pipfile next to it.
    """
    lock = json.loads((folder / "Pipfile.lock").read_text(encoding="utf-8"))
    pipfile = folder / "Pipfile"
    if pipfile.is_file():
        locked = lock["_meta"].get("hash", {}).get("sha256")
        content = tomllib.loads(pipfile.read_text(encoding="utf-8-sig"))
        # The hash includes Pipenv's default source.
        content.setdefault("source", [{"name": "pypi", "url": public_index.rstrip("/"), "verify_ssl": True}])
        if locked and locked != pipfile_hash(content):
            raise StaleError("Pipfile has changed since Pipfile.lock was made")
    chosen: dict[str, str] = {}
    for category in categories:
        for name, package in lock.get(category, {}).items():
            if _holds(package.get("markers", "")):
                chosen.setdefault(name, _pipenv_line(name, package))
    return [line for _, line in sorted(chosen.items())]


def pipfile_sources(lock: Path) -> list[str]:
    """Return the index addresses a Pipfile.lock adds to the default one, which Pipenv calls "pypi"."""
    sources = json.loads(lock.read_text(encoding="utf-8"))["_meta"]["sources"]
    return [source["url"] for source in sources if source["name"] != "pypi"]


def pipfile_hash(pipfile: Mapping[str, Any]) -> str:
    """Return the SHA-256 that Pipenv writes into its lock (plette's ``Pipfile.get_hash``)."""
    sections = {"source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv"}
    data = {
        "_meta": {"sources": pipfile.get("source", []), "requires": pipfile.get("requires", {})},
        "default": pipfile.get("packages", {}),
        "develop": pipfile.get("dev-packages", {}),
        **{name: table for name, table in pipfile.items() if name not in sections},
    }
    content = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _pipenv_line(name: str, package: Mapping[str, Any]) -> str:
    extras = f"[{','.join(package['extras'])}]" if package.get("extras") else ""
    if "git" in package:
        below = f"#subdirectory={package['subdirectory']}" if package.get("subdirectory") else ""
        return f"{name}{extras} @ git+{package['git'].removeprefix('git+')}@{package['ref']}{below}"
    local = package.get("path") or package.get("file")
    if local:
        return f"{name}{extras} @ {local}" if "://" in local else local
    return _pinned(name + extras, package["version"].removeprefix("=="), package.get("hashes", []))


def _pinned(name: str, version: str, hashes: Iterable[str]) -> str:
    return " ".join([f"{name}=={version}", *(f"--hash={h}" for h in sorted(hashes))])


def _fits(package: Mapping[str, Any], extras: Iterable[str]) -> bool:
    """Return whether this locked version, of several, is for this Python and the project's ``extras``."""
    markers = package.get("markers", "")
    if isinstance(markers, dict):  # one for each group
        return any(_holds(marker, extras) for marker in markers.values())
    return _holds(markers, extras) and _python_admits(package.get("python-versions", ""))


def _python_admits(constraint: str) -> bool:
    """Return whether a constraint in Poetry's notation admits this Python; only the forms found in locks."""
    if not constraint or constraint == "*" or "|" in constraint or re.search(r"[\^~]", constraint):
        return True
    clauses = [
        f"python_full_version {op} '{v}'" for op, v in re.findall(r"([<>=!]+)\s*([\w.*]+)", constraint)
    ]
    return all(_holds(clause) for clause in clauses)


def _holds(marker: str, extras: Iterable[str] = ()) -> bool:
    if not marker.strip():
        return True
    # Few builds read a lock here, and packaging has no bytecode there.
    from packaging.markers import InvalidMarker, Marker  # noqa: PLC0415

    try:
        parsed = Marker(marker)
    except InvalidMarker:
        return True
    return any(parsed.evaluate({"extra": extra}) for extra in (*extras, ""))


def _extras_of(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip() for name in names if name.strip())
