"""PYTHON_VERSION: from the project's declarations, its packages, and the images for this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from slipway.adoption.project import Project
from slipway.config.settings import variables
from slipway.core.errors import SlipwayError
from slipway.engine import engine
from slipway.images import pythonversion
from slipway.images.bases import KINDS, PREFIX
from slipway.images.pythonversion import DEFAULT, OFFERED, Declaration

__all__ = ["choose", "django_version", "has_image"]

# The first releases with binary packages on the package index for 3.11, 3.12, 3.13 and 3.14: an older pin
# would have to be compiled, which often fails. For 3.11, releases that compile count too ("0": all).
_FIRST_BINARIES = {
    "aiohttp": ("3.8.2", "3.9.0", "3.10.6", "3.13.0"),
    "cffi": ("0", "1.16.0", "1.17.0", "2.0.0"),
    "gevent": ("22.8.0", "23.9.0", "24.10.1", "25.8.0"),
    "greenlet": ("1.1.3", "3.0.0", "3.1.0", "3.2.4"),
    "grpcio": ("1.49.0", "1.59.0", "1.66.2", "1.75.1"),
    "lxml": ("4.9.0", "4.9.3", "5.3.0", "6.0.1"),
    "matplotlib": ("3.6.0", "3.8.0", "3.9.2", "3.10.5"),
    "numpy": ("1.23.2", "1.26.0", "2.1.0", "2.3.2"),
    "opencv-python": ("0", "4.8.0", "4.10.0", "4.12.0"),
    "pandas": ("1.5.0", "2.1.1", "2.2.3", "2.3.3"),
    "pillow": ("0", "10.1.0", "10.4.0", "12.0.0"),
    "psycopg-binary": ("3.1.4", "3.1.12", "3.2.3", "3.2.10"),
    "psycopg2": ("2.9.3", "2.9.7", "2.9.10", "2.9.11"),
    "psycopg2-binary": ("2.9.3", "2.9.8", "2.9.10", "2.9.11"),
    "pydantic-core": ("0", "2.6.0", "2.20.0", "2.35.0"),
    "pyyaml": ("0", "6.0.1", "6.0.2", "6.0.3"),
    "scikit-learn": ("1.1.3", "1.3.1", "1.5.2", "1.7.2"),
    "scipy": ("1.9.2", "1.11.2", "1.14.1", "1.16.1"),
    "shapely": ("1.8.5", "2.0.2", "2.0.6", "2.1.2"),
    "tensorflow": ("2.12.0", "2.16.1", "2.20.0", "99"),
    "torch": ("2.0.0", "2.2.0", "2.5.0", "2.9.0"),
    "uvloop": ("0.17.0", "0.18.0", "0.20.0", "0.22.0"),
}

_DRIVERS = ("psycopg2", "psycopg2-binary")

# The long-term release that each series of Django ends with.
_LAST_OF_SERIES = {1: "1.11", 2: "2.2", 3: "3.2", 4: "4.2", 5: "5.2", 6: "6.2"}


def choose(project: Project, can_have: Callable[[str], bool]) -> None:
    """Set PYTHON_VERSION. ``can_have`` returns whether this machine can get the official image of a version.

    It is called only for a version for which the kit builds no base image. Raises ``SlipwayError`` SLIP-148
    when the project's declarations exclude every version that the kit offers.
    """
    layout, dependencies = project.layout, project.dependencies
    folder = layout.inside(dependencies.folder) or "."
    declared = pythonversion.declared(layout.root, folder)
    if layout.manage not in {layout.root, dependencies.folder}:
        declared += pythonversion.declared(layout.root, layout.inside(layout.manage))
    declared += _docker(project)
    ranges = [d for d in declared if not d.pin]
    admitted = fitting = [v for v in OFFERED if all(pythonversion.admits(d, v) for d in ranges)]
    if not fitting:
        reason = next((d for d in ranges if not any(pythonversion.admits(d, v) for v in OFFERED)), ranges[0])
        raise SlipwayError(
            "SLIP-148",
            f"{reason}; the kit offers {OFFERED[0]} to {OFFERED[-1]}",
            "change the project's declaration if it runs on one of these",
        )
    why = [f"{d}" for d in ranges if any(not pythonversion.admits(d, v) for v in OFFERED)]
    sure = True
    for limit in (_django_limit(project), _binary_limit(project)):
        if limit:
            low, high, text = limit
            narrowed = [v for v in fitting if _key(low) <= _key(v) <= _key(high)]
            if narrowed and narrowed != fitting:
                fitting, sure = narrowed, False
                why.append(text)
    pins = [d for d in declared if d.pin]
    version = _nearest(pins, fitting)
    carried = [v for v in fitting if v in KINDS["python"].suites]
    if carried and version not in carried and not can_have(version):
        wanted, version = version, _nearest(pins, carried)
        why.append(f"no registry has {wanted} for this machine; the kit builds an image of {version}")
    elif version not in carried and not can_have(version):
        version = _with_newer_driver(project, admitted, pins) or version
        if version in fitting:
            project.findings.warn(
                f"Python {version}: no registry has its image for this machine, and the kit builds none"
            )
    where = declared[0].file if declared else ""
    if pins:
        exact = any(pythonversion.admits(pin, version) for pin in pins)
        why.append(str(pins[0]) + ("" if exact else f"; {version} is the nearest"))
        sure = sure and exact
    if not why:
        why = ["the project declares none"]
        sure = False
    project.findings.say("PYTHON_VERSION", version, "; ".join(why), where, sure=sure)


def _nearest(pins: list[Declaration], offered: list[str]) -> str:
    """Apply the rule of ``pythonversion.choose`` to the versions left."""
    chosen = pythonversion.choose(pins, offered, DEFAULT)
    return chosen or offered[-1]


def _docker(project: Project) -> list[Declaration]:
    """Return the versions in use by Dockerfiles and tool files."""
    found = []
    layout = project.layout
    for folder in dict.fromkeys((layout.manage, project.dependencies.folder, layout.root)):
        for name in (
            "Dockerfile",
            "Dockerfile.prod",
            "Dockerfile.production",
            ".tool-versions",
            "runtime.txt",
            "compose/production/django/Dockerfile",
            "docker/Dockerfile",
        ):
            path = folder / name
            if not path.is_file():
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            match = re.search(
                r"(?:FROM\s+(?:--platform=\S+\s+)?(?:\S*/)?python:|^python[\s-])(3\.\d+)", text, re.M
            ) or re.search(r"PYTHON_VERSION[=\s]+[\"']?(3\.\d+)", text)
            if match:
                found.append(
                    Declaration(layout.at(path), "", match[1], (SpecifierSet(f"=={match[1]}.*"),), True)
                )
    return found


def django_version(project: Project) -> str:
    """Return the newest Django that the requirements allow, such as ``4.2``; empty without a bound."""
    return _upper(project.dependencies.packages.get("django", ""))


def _upper(specifier: str) -> str:
    try:
        clauses = list(SpecifierSet(specifier))
    except InvalidSpecifier:
        return ""
    for clause in clauses:
        if clause.operator in {"==", "===", "<="}:
            return clause.version.rstrip(".*")
        parts = [int(part) for part in re.findall(r"\d+", clause.version)]
        if clause.operator == "~=":
            # ~=4.2.1 allows 4.2 only; ~=4.2 allows any 4.
            return f"{parts[0]}.{parts[1]}" if len(parts) > 2 else _LAST_OF_SERIES.get(parts[0], "")
        if clause.operator == "<":
            minor = parts[1] if len(parts) > 1 else 0
            return f"{parts[0]}.{minor - 1}" if minor else _LAST_OF_SERIES.get(parts[0] - 1, "")
    return ""


def _django_limit(project: Project) -> tuple[str, str, str] | None:
    version = django_version(project)
    if not version:
        return None
    low, high = pythonversion.for_django(version)
    runs = f"{high} at most" if low == OFFERED[0] else f"{low} to {high}"
    return low, high, f"Django {version} runs on {runs}"


def _with_newer_driver(project: Project, admitted: list[str], pins: list[Declaration]) -> str:
    """Return a version for this machine, after setting DEPENDENCY_OVERRIDES; empty if that does not help.

    It helps if only the pin of psycopg2 is too old for the version: releases of 2.9 are drop-in replacements,
    which Django accepts since 3.1.
    """
    django = django_version(project)
    pinned = [name for name in _DRIVERS if _upper(project.dependencies.packages.get(name, ""))]
    if not pinned or project.dependencies.manager != "requirements" or not django:
        return ""
    if Version(django) < Version("3.1"):
        return ""
    fitting = admitted
    for limit in (_django_limit(project), _binary_limit(project, without=_DRIVERS)):
        if limit:
            fitting = [v for v in fitting if _key(limit[0]) <= _key(v) <= _key(limit[1])]
    carried = [v for v in fitting if v in KINDS["python"].suites]
    if not carried:
        return ""
    version = _nearest(pins, carried)
    since = OFFERED[1:].index(version)
    packages = project.dependencies.packages
    project.findings.say(
        "DEPENDENCY_OVERRIDES",
        " ".join(f"{name}=={_FIRST_BINARIES[name][since]}" for name in pinned),
        f"the pin ({', '.join(name + packages[name] for name in pinned)}) fits no Python for this machine; "
        f"with the registry's image of 3.10 the override is not needed",
        sure=False,
    )
    return version


def _binary_limit(project: Project, without: Collection[str] = ()) -> tuple[str, str, str] | None:
    newest, reason = OFFERED[-1], ""
    for name, first in _FIRST_BINARIES.items():
        if name in without:
            continue
        version = _upper(project.dependencies.packages.get(name, ""))
        if not version:
            continue
        try:
            can = [
                p for p, since in zip(OFFERED[1:], first, strict=True) if Version(version) >= Version(since)
            ]
        except InvalidVersion:
            continue
        last = can[-1] if can else OFFERED[0]
        if _key(last) < _key(newest):
            newest, reason = last, f"{name} {version} has no binary package for Python newer than {last}"
    return (OFFERED[0], newest, reason) if reason else None


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def has_image(version: str, recorded: Mapping[str, str]) -> bool:
    """Return whether this machine can get a version's official image; ``recorded`` is machine.env."""
    if any(value.startswith(PREFIX) for value in recorded.values()):
        return False
    return engine.can_have(re.sub(r":\d+\.\d+", f":{version}", variables()["PYTHON_IMAGE"].default))
