"""Which Debian packages the installed Python packages need to run, found by what they link to.

    runtime_libraries.py VENV STATUS OUT

OUT gets one package a line: those that hold a shared library which something in VENV is linked to and the
base image has not, by its dpkg's file STATUS. Where a wheel was built earlier and comes from a cache, the
library may not be here either: then its package is looked for and installed, which proves that it was the
right one. Only what is loaded by name while the program runs leaves no trace in a file; for that there is a
table.
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
# Names as apt takes them: one that begins with ^ is a regular expression, because releases differ in the
# numbers.
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
# Distributions with which the one in front brings its library along.
BUNDLED = {"psycopg": {"psycopg-binary", "psycopg-c"}, "pyvips": {"pyvips-binary"}}
# What a project's own code makes use of (dependency_files.py).
FEATURES = {
    "geodjango": ("^libgdal[0-9]+(t64)?$", "^libgeos-c1(t64|v5)$", "^libproj[0-9]+(t64)?$"),
    "spatialite": ("libsqlite3-mod-spatialite",),
}
# Libraries whose package is not called like them.
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
    """Return the packages, sorted, without those in ``status``; prints what could not be found."""
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
    """Return the names of the packages that a file of dpkg's says are installed (dpkg-query(1), Status)."""
    return {package.name for package in trim_root.read_status(status) if package.installed}


def libraries_and_programs(venv: Path) -> Iterator[str]:
    """Yield what may be an ELF file, by its name or place."""
    for folder, _, files in os.walk(venv):
        programs = folder == f"{venv}/bin"
        yield from (f"{folder}/{name}" for name in files if programs or ".so" in name)


def is_object(path: str) -> bool:
    """Whether ``path`` is an ELF file, and no link."""
    if os.path.islink(path) or not os.path.isfile(path):  # noqa: PTH113, PTH114
        return False
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(4) == b"\x7fELF"


def linked(objects: Iterable[str | Path], inside: Collection[str]) -> tuple[set[Path], set[str]]:
    """Return where the loader finds what ``objects`` need, and the names it does not find.

    ``inside`` are names of files that come along, which the loader may not know until the program runs.
    """
    listed = list(map(str, objects))
    if not listed:
        return set(), set()
    # Of what is not a dynamic executable it complains, and goes on.
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
    """Return the Debian packages of the files; one that is in none is passed over."""
    resolved = {str(path.resolve()) for path in paths}
    if not resolved:
        return set()
    query = ["dpkg-query", "--search", *sorted(resolved)]
    lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return {line.split(":", 1)[0].split(",")[0] for line in lines}


def candidates(library: str) -> list[str]:
    """Return what Debian's policy would call the package of a library, best first.

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
    """Return the names of what is installed, as in PEP 503."""
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
