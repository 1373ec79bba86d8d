"""Remove from this image's root what a running production container does not need.

    trim_root.py [PACKAGE...]

Production runs as a user without rights on a read-only root: no package can be installed there, no account
created and no file system mounted. So the packages of NOT_NEEDED are removed, with the interpreter's files
for installing, compiling and teaching. A package stays when one that stays depends on it, when it runs a
script of one that stays, or when it is a PACKAGE: one that the project names (RUNTIME_PACKAGES, as for
install-packages), which is also the way to keep one.

The record of installed packages in /var/lib/dpkg stays and lists the remaining ones, for scanners. An image
without that record is not based on Debian, and keeps its packages. Run as root, on a root that is discarded
or copied.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

STATUS = "var/lib/dpkg/status"
INFO = "var/lib/dpkg/info"
# For scanners: which files belong to packages, and their digests. The rest is for dpkg itself.
KEPT_INFO = (".list", ".md5sums", ".conffiles")

# As shell patterns, because the numbers in them differ between releases of Debian.
NOT_NEEDED = (
    # packages: fetching, proving and installing them, and asking about their configuration
    "adduser", "apt", "apt-utils", "debconf", "debconf-i18n", "debian-archive-keyring", "dpkg", "gpgv",
    "init-system-helpers", "libapt-pkg*", "libdebconfclient0", "libhogweed*", "libnettle*",
    "perl-base", "sqv",
    # accounts, logins, disks
    "e2fsprogs", "fdisk", "libsemanage-common", "libsemanage[12]", "libsepol[12]", "login", "login.defs",
    "logsave", "mount", "passwd",
    # installing Python packages
    "python3-pip-whl", "python3-setuptools-whl", "python3-wheel-whl", "python3.*-venv",
)  # fmt: skip
# Packages use them while they are installed or removed, and no program needs them to run.
FOR_INSTALLATION = {
    "adduser",
    "cdebconf",
    "debconf",
    "debconf-2.0",
    "dpkg",
    "init-system-helpers",
    "install-info",
}
# Scripts of these do not keep their interpreter: they are removed with it. (openssl: c_rehash, which `openssl
# rehash` replaces.)
SCRIPTS_GO = {"openssl", "libpam-runtime"}
# Parts of packages that stay, unless the project names them: programs that only root runs, and iconv's
# encodings (C; Python has codecs of its own) other than Unicode, those of the web (WHATWG Encoding Standard)
# and of PCs.
PARTS = {"util-linux": ("usr/sbin/*", "sbin/*"), "libc6": ("usr/lib/*/gconv/*.so",)}
PARTS_KEPT = re.compile(
    r".*/gconv/(lib\w+|UTF-\w+|UNICODE|ISO-?8859-\w+|ISO-2022-[\w-]+|CP\d+|KOI-?8\S*|GB\w+|BIG5\w*"
    r"|EUC-[\w-]+|SJIS|SHIFT_JIS\w*|UHC|JOHAB|MAC[\w-]*|TIS-620|VISCII|TCVN\S*|IBM(437|85\d|86\d|874|92[12]|932|943))\.so"
)
# Files that packages create while they are installed, in addition to their own.
MADE_BY = {
    "apt": ("etc/apt", "usr/lib/apt", "var/cache/apt", "var/lib/apt", "var/log/apt"),
    "debconf": ("etc/debconf.conf", "usr/share/debconf", "var/cache/debconf", "var/log/dpkg.log"),
    "debian-archive-keyring": ("usr/share/keyrings",),
    "dpkg": (
        "etc/dpkg",
        "etc/systemd/system/timers.target.wants",
        "usr/lib/dpkg",
        "usr/share/dpkg",
        "var/lib/dpkg/triggers",
        "var/lib/dpkg/updates",
    ),
}
# Documentation, and files for people at a terminal of a development machine. Licences (usr/share/doc) stay.
FOR_READERS = (
    "usr/share/bash-completion", "usr/share/bug", "usr/share/gcc", "usr/share/gdb", "usr/share/info",
    "usr/share/lintian", "usr/share/man", "usr/share/pixmaps", "usr/share/zsh", "usr/local/share/man",
)  # fmt: skip
# Of the standard library: the installer of pip, the editor, a demonstration, help texts, the files to link a
# program with, and the extension modules of Python's own tests.
STDLIB = (
    "ensurepip", "idlelib", "turtledemo", "pydoc_data", "config-*",
    "lib-dynload/_test*", "lib-dynload/_ctypes_test*", "lib-dynload/_xxtest*", "lib-dynload/xx*",
)  # fmt: skip
INSTALLERS = re.compile(
    r"(pip|setuptools|wheel|_distutils_hack|pkg_resources|distutils-precedence\.pth|README\.txt|__pycache__)([-.].*)?"
)
COMPILERS = ("cc", "gcc", "clang", "tcc")
SHEBANG = re.compile(rb"#! ?/(?:usr/)?(?:local/)?bin/(?:env )?([a-z]+)")


class Package:
    """One installed package: its name, the names it depends on, and those it stands for."""

    def __init__(self, stanza: str) -> None:
        fields = dict(re.findall(r"^([A-Za-z-]+): *(.*(?:\n .*)*)", stanza, re.MULTILINE))
        self.stanza = stanza
        self.name = fields["Package"]
        self.architecture = fields.get("Architecture", "")
        self.installed = fields.get("Status", "").endswith(" installed")
        self.provides = {_name(word) for word in fields.get("Provides", "").split(",") if word.strip()}
        # Of alternatives (a | b) every installed one counts: the record does not tell which one is used.
        self.depends = {
            _name(word)
            for field in ("Depends", "Pre-Depends")
            for word in re.split(r"[,|]", fields.get(field, ""))
            if word.strip()
        } - FOR_INSTALLATION


def _name(word: str) -> str:
    return re.split(r"[ :(\[]", word.strip(), maxsplit=1)[0]


def read_status(text: str) -> list[Package]:
    """Return the packages of a dpkg status file (deb822; dpkg(1), FILES)."""
    return [Package(stanza) for stanza in text.split("\n\n") if stanza.strip()]


def named(words: Collection[str], packages: Collection[Package]) -> set[str]:
    """Return the names that ``words`` mean: names, alternatives (a|b), regular expressions (^a)."""
    patterns = [word for word in words if word.startswith("^")]
    names = {name for word in words if not word.startswith("^") for name in word.split("|")}
    names |= {p.name for p in packages if any(re.search(pattern, p.name) for pattern in patterns)}
    return names


def not_needed(
    packages: Collection[Package], asked: Collection[str], scripts: Mapping[str, Collection[str]]
) -> set[str]:
    """Return the names of the packages that can go.

    ``asked`` are those that must stay; ``scripts`` says which packages have scripts for which interpreter, by
    the package that brings the interpreter.
    """
    providers: dict[str, set[str]] = {}
    for package in packages:
        for name in (package.name, *package.provides):
            providers.setdefault(name, set()).add(package.name)
    kept_for = {package.name: set[str]() for package in packages}
    for package in packages:
        for name in package.depends:
            for provider in providers.get(name, ()):
                kept_for[package.name].add(provider)
    for interpreter, users in scripts.items():
        for user in set(users) - SCRIPTS_GO:
            kept_for.get(user, set()).add(interpreter)
    wanted = {provider for name in asked for provider in providers.get(name, ())}
    queue = [
        name
        for name in kept_for
        if name in wanted or not any(fnmatch.fnmatchcase(name, pattern) for pattern in NOT_NEEDED)
    ]
    kept = set(queue)
    while queue:
        for name in kept_for[queue.pop()] - kept:
            kept.add(name)
            queue.append(name)
    return set(kept_for) - kept


def files_of(package: Package, root: Path) -> Iterator[Path]:
    """Yield the paths of a package, in the spelling that has no link to a folder in it (/bin is one)."""
    for name in (package.name, f"{package.name}:{package.architecture}"):
        listing = root / INFO / f"{name}.list"
        if listing.is_file():
            for line in listing.read_text(encoding="utf-8").splitlines():
                if line not in ("", "/."):
                    path = root / line[1:]
                    yield Path(os.path.realpath(path.parent), path.name)


def scripts_by_interpreter(owned: Mapping[str, Collection[Path]]) -> dict[str, set[str]]:
    """Return, by the package of an interpreter, the packages that have executable scripts for it."""
    programs = {
        path.name: owner for owner, paths in owned.items() for path in paths if path.parent.name == "bin"
    }
    found: dict[str, set[str]] = {}
    for owner, paths in owned.items():
        for path in paths:
            interpreter = programs.get(_interpreter(path))
            if interpreter and interpreter != owner:
                found.setdefault(interpreter, set()).add(owner)
    return found


def _interpreter(path: Path) -> str:
    try:
        if not os.access(path, os.X_OK) or path.is_symlink() or not path.is_file():
            return ""
        with path.open("rb") as file:
            match = SHEBANG.match(file.read(64))
    except OSError:
        return ""
    return match.group(1).decode() if match else ""


def remove(paths: Iterable[Path]) -> None:
    """Remove files, links and trees, if they exist."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def trim_packages(root: Path, asked: Collection[str]) -> set[str]:
    """Remove the packages that can go from ``root`` and from its record; return their names."""
    status = root / STATUS
    packages = read_status(status.read_text(encoding="utf-8"))
    installed = [package for package in packages if package.installed]
    owned = {package.name: list(files_of(package, root)) for package in installed}
    asked = named(asked, installed)
    gone = not_needed(installed, asked, scripts_by_interpreter(owned))
    staying = {path for name, paths in owned.items() if name not in gone for path in paths}
    going = [path for name in gone for path in owned[name] if path not in staying]
    if "perl-base" in gone:
        going += [path for name in SCRIPTS_GO for path in owned.get(name, ()) if _interpreter(path) == "perl"]
    folders = {path for path in going if path.is_dir() and not path.is_symlink()}
    remove(path for path in going if path not in folders)
    for folder in sorted(folders, key=lambda path: -len(path.parts)):
        if not any(folder.iterdir()):
            folder.rmdir()
    remove(root / made for name in gone for made in MADE_BY.get(name, ()))
    for name, patterns in PARTS.items():
        if name in owned and name not in asked:
            remove(
                path
                for path in owned[name]
                if any(fnmatch.fnmatchcase(str(path.relative_to(root)), pattern) for pattern in patterns)
                and not PARTS_KEPT.fullmatch(str(path))
            )
    if "dpkg" in gone:
        remove(path for path in (root / INFO).iterdir() if path.suffix not in KEPT_INFO)
        remove((root / STATUS).parent.glob("*-old"))
    remove(
        path
        for path in (root / INFO).iterdir()
        if path.name.removesuffix(path.suffix).partition(":")[0] in gone
    )
    status.write_text(
        "".join(package.stanza.strip("\n") + "\n\n" for package in packages if package.name not in gone),
        encoding="utf-8",
    )
    return gone


def trim_interpreter(root: Path, stdlib: Path, site_packages: Collection[Path]) -> None:
    """Remove the interpreter's files for installing and developing.

    pip stays if anything else is installed there: that may need it.
    """
    remove(path for pattern in STDLIB for path in stdlib.glob(pattern))
    if not list(root.glob("usr/lib/*/lib*tk[89]*.so*")):
        remove([stdlib / "tkinter", *stdlib.glob("lib-dynload/_tkinter*")])
    for folder in site_packages:
        if folder.is_dir() and all(INSTALLERS.fullmatch(path.name) for path in folder.iterdir()):
            remove(folder.iterdir())
            programs = root / "usr/local/bin"
            remove(path for path in programs.glob("*") if re.fullmatch(r"(pip|wheel)[\d.]*", path.name))
    if not any(shutil.which(compiler) for compiler in COMPILERS):
        remove([root / "usr/include", root / "usr/local/include"])
        remove(root.glob("usr/local/lib/libpython*.a"))


def main(asked: list[str], root: Path = Path("/")) -> int:
    """Run the usage above."""
    gone = trim_packages(root, asked) if (root / STATUS).is_file() else set()
    # Those of the image's interpreter: the virtual environment uses only its standard library.
    folders = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    trim_interpreter(root, Path(sysconfig.get_path("stdlib")), folders)
    remove(root / name for name in FOR_READERS)
    subprocess.run(["/sbin/ldconfig"], check=False)
    remove([root / "var/cache/ldconfig/aux-cache"])
    print(f"production leaves out: {' '.join(sorted(gone)) or 'no package'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
