"""docker/trim_root.py: which packages production goes without."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from kitfiles import load

STATUS = """\
Package: apt
Status: install ok installed
Depends: libapt-pkg7.0 (>= 3.0.4), adduser

Package: libapt-pkg7.0
Status: install ok installed

Package: perl-base
Status: install ok installed
Provides: perlapi-5.40.1

Package: debconf
Status: install ok installed
Pre-Depends: perl-base

Package: dpkg
Status: install ok installed
Depends: tar

Package: passwd
Status: install ok installed

Package: tar
Status: install ok installed
Description: GNU tar
 Depends: apt

Package: tzdata
Status: install ok installed
Depends: debconf (>= 0.5) | debconf-2.0

"""
GIT = """\
Package: git
Status: install ok installed
Depends: perl, liberror-perl

Package: perl
Status: install ok installed
Pre-Depends: dpkg (>= 1.17.17)
Depends: perlapi-5.40.1

"""
EVERYTHING = {"apt", "debconf", "dpkg", "libapt-pkg7.0", "passwd", "perl-base"}


@pytest.fixture
def trim() -> ModuleType:
    return load("trim_root")


def test_what_installs_goes_and_what_only_its_scripts_need_is_no_reason_to_stay(trim: ModuleType) -> None:
    """Red when FOR_INSTALLATION is not taken off (tzdata keeps debconf, and that perl-base)."""
    assert trim.not_needed(trim.read_status(STATUS), set(), {}) == EVERYTHING


def test_what_a_package_depends_on_stays(trim: ModuleType) -> None:
    """Red when Depends, or what a package provides, is not followed: git would lose perl."""
    assert trim.not_needed(trim.read_status(STATUS + GIT), set(), {}) == EVERYTHING - {"perl-base"}


def test_what_runs_a_script_that_stays_stays(trim: ModuleType) -> None:
    """Of perl-base no dependency needs to be written down. Red when ``scripts`` is left out of account."""
    packages = trim.read_status(STATUS)
    assert trim.not_needed(packages, set(), {"perl-base": {"tar"}}) == EVERYTHING - {"perl-base"}
    assert trim.not_needed(packages, set(), {"perl-base": {"apt", "openssl"}}) == EVERYTHING


@pytest.mark.parametrize("word", ["apt", "apt-get|apt", "^ap[t]$"])
def test_what_is_asked_for_by_name_stays_with_what_it_needs(trim: ModuleType, word: str) -> None:
    """Red when the arguments are ignored, or understood otherwise than install-packages does."""
    packages = trim.read_status(STATUS)
    asked = trim.named([word], packages)
    assert trim.not_needed(packages, asked, {}) == EVERYTHING - {"apt", "libapt-pkg7.0"}


def root_with(folder: Path, status: str, files: dict[str, list[str]]) -> Path:
    """Make a root where each package has ``files``, through /bin, a link as on Debian."""
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "bin").symlink_to("usr/bin")
    info = folder / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (folder / "var/lib/dpkg/status").write_text(status)
    for package, paths in files.items():
        (info / f"{package}.list").write_text("/.\n" + "".join(f"{path}\n" for path in paths))
        (info / f"{package}.postinst").write_text("#!/bin/sh\n")
        for path in paths:
            (folder / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (folder / path[1:]).write_text("#!/usr/bin/perl\n" if "script" in path else "x")
            (folder / path[1:]).chmod(0o755)
    return folder


def test_files_of_packages_that_go_are_removed_and_the_record_says_so(
    trim: ModuleType, tmp_path: Path
) -> None:
    """Red when a file that a package that stays has as well is removed, when /bin is not followed, or when
    the record still lists what is gone: a scanner would report it.
    """
    files = {"apt": ["/bin/apt", "/bin/both"], "tar": ["/bin/tar", "/usr/bin/both"]}
    root = root_with(tmp_path, STATUS, files)
    assert trim.trim_packages(root, []) == EVERYTHING
    assert sorted(path.name for path in (root / "usr/bin").iterdir()) == ["both", "tar"]
    record = (root / "var/lib/dpkg/status").read_text()
    assert [package.name for package in trim.read_status(record)] == ["tar", "tzdata"]
    assert [path.name for path in (root / "var/lib/dpkg/info").iterdir()] == ["tar.list"]


def test_a_script_keeps_its_interpreter(trim: ModuleType, tmp_path: Path) -> None:
    """Red when scripts are not read."""
    root = root_with(tmp_path, STATUS, {"perl-base": ["/usr/bin/perl"], "tar": ["/usr/bin/tar-script"]})
    assert "perl-base" not in trim.trim_packages(root, [])
    assert (root / "usr/bin/perl").exists()


@pytest.mark.parametrize(("name", "stays"), [("GBK", True), ("IBM037", False), ("CP1251", True)])
def test_of_the_conversions_those_of_the_web_and_of_pcs_stay(
    trim: ModuleType, tmp_path: Path, name: str, stays: bool
) -> None:
    """Red when PARTS_KEPT is not asked, or PARTS is; all of them stay when libc6 is asked for by name."""
    status = "Package: libc6\nStatus: install ok installed\n\n"
    module = f"/usr/lib/x86_64-linux-gnu/gconv/{name}.so"
    root = root_with(tmp_path, status, {"libc6": [module]})
    trim.trim_packages(root, ["libc6"])
    assert (root / module[1:]).exists()
    trim.trim_packages(root, [])
    assert (root / module[1:]).exists() == stays


@pytest.mark.parametrize(("others", "stays"), [([], False), (["awscli"], True)])
def test_pip_goes_where_nothing_else_is_installed_beside_it(
    trim: ModuleType, tmp_path: Path, others: list[str], stays: bool
) -> None:
    """Red when what else a base image has installed system-wide is not looked at."""
    site = tmp_path / "site-packages"
    for name in ("pip", "pip-25.1.dist-info", "README.txt", *others):
        (site / name).mkdir(parents=True)
    trim.trim_interpreter(tmp_path, tmp_path / "stdlib", [site])
    assert (site / "pip").exists() == stays


@pytest.mark.parametrize("library", [True, False])
def test_tkinter_stays_with_its_library_alone(trim: ModuleType, tmp_path: Path, library: bool) -> None:
    """Official images bring the module without Tk. Red when its extension is left, which links to nothing."""
    stdlib = tmp_path / "usr/local/lib/python3.13"
    extension = stdlib / "lib-dynload/_tkinter.cpython-313-x86_64-linux-gnu.so"
    paths = [extension, stdlib / "tkinter/__init__.py", stdlib / "lib-dynload/_ssl.so"]
    paths += [tmp_path / "usr/lib/x86_64-linux-gnu/libtk8.6.so"] if library else []
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    trim.trim_interpreter(tmp_path, stdlib, [])
    assert (extension.exists(), (stdlib / "tkinter").exists()) == (library, library)
    assert (stdlib / "lib-dynload/_ssl.so").exists()
