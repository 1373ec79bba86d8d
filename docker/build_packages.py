"""Find the Debian packages that a failed installation lacked, from its output.

Projects that need no compiler get none: most packages come as wheels. The first package that has to be built
fails; then compilers and the commonly needed headers are installed, in a stage that no image keeps.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

COMMON = (
    "build-essential", "git", "pkg-config", "libpq-dev", "default-libmysqlclient-dev", "libffi-dev",
    "libssl-dev", "zlib1g-dev", "libjpeg-dev", "libfreetype-dev", "libxml2-dev", "libxslt1-dev",
)  # fmt: skip
GIT = ("git", "ca-certificates", "openssh-client")
RUST = ("cargo",)
# More packages that builds of these need, by the distribution's name.
FURTHER = {
    "gdal": ("libgdal-dev",),
    "m2crypto": ("swig",),
    "mod-wsgi": ("apache2-dev",),
    "pycairo": ("libcairo2-dev",),
    "pycurl": ("libcurl4-openssl-dev",),
    "pygobject": ("libgirepository-2.0-dev|libgirepository1.0-dev", "libcairo2-dev"),
    "pygraphviz": ("libgraphviz-dev",),
    "pyicu": ("libicu-dev",),
    "pylibmc": ("libmemcached-dev",),
    "pymssql": ("freetds-dev",),
    "pyodbc": ("unixodbc-dev",),
    "pysqlcipher3": ("libsqlcipher-dev",),
    "python-ldap": ("libldap-dev|libldap2-dev", "libsasl2-dev"),
    "python-snappy": ("libsnappy-dev",),
    "xmlsec": ("libxmlsec1-dev", "libxmlsec1-openssl"),
}
FAILED = re.compile(
    r"(?:Failed to (?:download and )?build|Building)\s+[`'\"]?([A-Za-z0-9][\w.\-]*)|"
    r"(?:Because|and)\s+([A-Za-z0-9][\w.\-]*)(?:==\S+)? (?:could not be built|was not able to be built)"
)
NO_GIT = re.compile(r"Git executable not found|No such file or directory: '?git'?|Cannot find command 'git'")
NEEDS_RUST = re.compile(r"rustc|cargo|maturin|setuptools[-_]rust", re.IGNORECASE)


def lacking(output: str, present: Collection[str], headers: Collection[str] = ()) -> tuple[list[str], str]:
    """Return the packages to install before trying again, and the reason; nothing when none would help.

    ``output`` is the output of the failed installation, ``present`` the packages returned before, and
    ``headers`` those that ``for_python`` returns.
    """
    wanted: list[str] = []
    reason = ""
    if NO_GIT.search(output):
        wanted, reason = [*GIT], "a dependency comes from a Git repository"
    elif "build" in output.lower() and (names := failed(output)):
        wanted = [*COMMON, *headers]
        wanted += [package for name in names for package in FURTHER.get(name, ())]
        wanted += RUST if NEEDS_RUST.search(output) else ()
        reason = f"{', '.join(names)} has no wheel for this Python and has to be built"
    new = [package for package in dict.fromkeys(wanted) if package not in present]
    return new, reason if new else ""


def for_python(version: str, include: str, library: str) -> list[str]:
    """Return the packages with this Python's own headers and shared library, where the image lacks them.

    ``version`` as in 3.13; ``include`` and ``library`` are the paths from sysconfig. Debian's own Python
    names a shared library that it does not ship; programs that embed Python (uWSGI) link to it.
    """
    headers = Path(include, "Python.h").is_file()
    shared = not re.search(r"\.so(\.|$)", library) or Path(library).exists()
    return ([] if headers else ["python3-dev"]) + ([] if shared else [f"libpython{version}-dev"])


def failed(output: str) -> list[str]:
    """Return the names of the distributions that could not be built, as in PEP 503, in order."""
    found = re.findall(
        r"[Ff]ailed to (?:download and )?build:? [`'\"]?([A-Za-z0-9][\w.\-]*?)(?:==|[`'\"\s@]|$)", output
    )
    return list(dict.fromkeys(re.sub(r"[-_.]+", "-", name).lower() for name in found))
