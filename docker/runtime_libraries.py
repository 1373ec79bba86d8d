"""Find the Debian packages that the installed Python packages need to run, by the libraries they link to.

    runtime_libraries.py VENV STATUS OUT

OUT gets one package a line: those with a shared library that a file in VENV links to and that the base image
lacks, by its dpkg's file STATUS. If a wheel was built earlier and comes from a cache, the library may be
missing here too: then its package is searched and installed, which proves that it is the right one. Libraries
that a program loads by name at run time leave no trace in a file; a table lists those.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import requirements_text
import trim_root

KIT = Path(__file__).parent
NEEDED = re.compile(r"^\t(\S+) => (?:(/\S+) \(0x[0-9a-f]+\)|not found)$", re.MULTILINE)
# Names for apt: one that begins with ^ is a regular expression, because releases differ in the numbers.
BY_NAME = {
    "cairocffi": ("libcairo2",),
    "cairosvg": ("libcairo2",),
    "magic": ("^libmagic1(t64)?$",),
    "psycopg": ("libpq5",),
    "python-magic": ("^libmagic1(t64)?$",),
    "pyvips": ("^libvips42(t64)?$",),
    "pyzbar": ("^libzbar0(t64)?$",),
    "wand": (r"^libmagickwand-[67]\.q16-[0-9]+(t64)?$",),
    "weasyprint": ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "fonts-dejavu-core"),
}
# Distributions that bring the library of the first one along.
BUNDLED = {"psycopg": {"psycopg-binary", "psycopg-c"}, "pyvips": {"pyvips-binary"}}
# Features that a project's own code uses (dependency_files.py).
FEATURES = {
    "geodjango": ("^libgdal[0-9]+(t64)?$", "^libgeos-c1(t64|v5)$", "^libproj[0-9]+(t64)?$"),
    "spatialite": ("libsqlite3-mod-spatialite",),
}
# Libraries in packages with another name.
ELSEWHERE = {
    "libexslt.so.0": ("libxslt1.1",),
    "libgthread-2.0.so.0": ("libglib2.0-0t64", "libglib2.0-0"),
    "libjpeg.so.62": ("libjpeg62-turbo",),
    "libxml2.so.2": ("libxml2",),
    "libxmlsec1.so.1": ("libxmlsec1-1", "libxmlsec1"),
    "libxmlsec1-openssl.so.1": ("libxmlsec1-openssl",),
    "libxslt.so.1": ("libxslt1.1",),
    "libz.so.1": ("zlib1g",),
}


def packages(venv: Path, status: str, features: Collection[str] = ()) -> list[str]:
    """Return the packages, sorted, without those in ``status``; prints libraries that were not found."""
    wanted = set(by_name(distributions(venv)))
    wanted.update(package for feature in features for package in FEATURES.get(feature, ()))
    files = list(libraries_and_programs(venv))
    objects = [path for path in files if is_object(path)]
    inside = {os.path.basename(path) for path in files}  # noqa: PTH119
    found, missing = linked(objects, inside)
    if missing and install(missing):
        found, missing = linked(objects, inside)
    for library in sorted(missing):
        print(f"dependencies: no package found for {library}: set RUNTIME_PACKAGES if it is needed")
    return sorted(wanted | outermost(owners(found) - installed(status)))


def installed(status: str) -> set[str]:
    """Return the names of the packages that are installed by a file of dpkg's (dpkg-query(1), Status)."""
    return {package.name for package in trim_root.read_status(status) if package.installed}


def libraries_and_programs(venv: Path) -> Iterator[str]:
    """Yield the files that may be ELF files, by their name or place."""
    for folder, _, files in os.walk(venv):
        programs = folder == f"{venv}/bin"
        yield from (f"{folder}/{name}" for name in files if programs or ".so" in name)


def is_object(path: str) -> bool:
    """Return whether ``path`` is an ELF file, and no link."""
    if os.path.islink(path) or not os.path.isfile(path):  # noqa: PTH113, PTH114
        return False
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(4) == b"\x7fELF"


def linked(objects: Iterable[str | Path], inside: Collection[str]) -> tuple[set[Path], set[str]]:
    """Return where the loader finds the libraries that ``objects`` need, and the names it does not find.

    ``inside`` are names of files in the same environment, which the loader may find only at run time.
    """
    listed = list(map(str, objects))
    if not listed:
        return set(), set()
    # It complains about files that are not dynamic executables, and goes on.
    answer = subprocess.run(["ldd", *listed], capture_output=True, text=True, check=False).stdout
    found, missing = set(), set()
    roots = _roots(listed)
    for name, path in set(NEEDED.findall(answer)):
        if path and not any(Path(path).is_relative_to(root) for root in roots):
            found.add(Path(path))
        elif not path and name not in inside:
            missing.add(name)
    return found, missing


def _roots(paths: Iterable[str]) -> set[str]:
    return {str(Path(*Path(path).parts[:3])) for path in paths}


def outermost(names: Collection[str]) -> set[str]:
    """Return the packages that no other of them depends on: they bring the rest along."""
    if not names:
        return set()
    query = ["dpkg-query", "--show", "--showformat=${Package} ${Depends}\n", *names]
    lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    needed = {name for line in lines for name in re.findall(r"[a-z0-9][a-z0-9.+-]+", line.partition(" ")[2])}
    return set(names) - needed


def owners(paths: Iterable[Path]) -> set[str]:
    """Return the Debian packages of the files; files in none are skipped."""
    resolved = {str(path.resolve()) for path in paths}
    if not resolved:
        return set()
    query = ["dpkg-query", "--search", *sorted(resolved)]
    lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return {line.split(":", 1)[0].split(",")[0] for line in lines}


def candidates(library: str) -> list[str]:
    """Return the names that Debian's policy gives to the package of a library, best first.

    Debian Policy Manual, "Shared libraries", 8.1: the name and version of its soname.
    """
    match = re.fullmatch(r"(.+?)(?:-(\d[\d.]*))?\.so(?:\.([\d.]+))?", library)
    if not match:
        return []
    name, release, version = match.groups(default="")
    stem = (name + (f"-{release}" if release else "")).lower().replace("_", "-")
    joined = f"{stem}-{version}" if stem[-1:].isdigit() and version else stem + version
    return [*ELSEWHERE.get(library, ()), f"{joined}t64", joined]


def install(libraries: Iterable[str]) -> bool:
    """Install the packages that may hold ``libraries``; return whether there was one to install."""
    alternatives = ["|".join(names) for library in sorted(libraries) if (names := candidates(library))]
    if not alternatives:
        return False
    print(f"dependencies: looking for the packages of {', '.join(sorted(libraries))}", flush=True)
    done = subprocess.run([KIT / "install-packages", "--if-there", *alternatives], check=False)
    return done.returncode == 0


def distributions(venv: Path) -> set[str]:
    """Return the names of the installed distributions, as in PEP 503."""
    return {
        requirements_text.normalised(path.name.split("-")[0])
        for path in venv.glob("lib/python3*/site-packages/*.dist-info")
    }


def by_name(installed: Collection[str]) -> Iterator[str]:
    """Yield the packages with libraries that these distributions load by name."""
    for name, wanted in BY_NAME.items():
        if name in installed and not BUNDLED.get(name, set()) & set(installed):
            yield from wanted


def main(arguments: list[str]) -> int:
    """Run the usage above; features are read from standard input, a line each."""
    venv, status, out = map(Path, arguments)
    found = packages(venv, status.read_text(encoding="utf-8"), sys.stdin.read().split())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(f"{name}\n" for name in found), encoding="utf-8")
    if found:
        print(f"dependencies: libraries for the image: {' '.join(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
