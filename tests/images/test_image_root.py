"""What is left of the base image in production, and that what is left is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from imagekit import PROJECTS, PYTHON_IMAGE, World, copy_of_project, docker

INSTALLING = "apt apt-get dpkg debconf perl pip pip3 adduser useradd passwd mount"
PACKAGES = "sed -n 's/^Package: //p' /var/lib/dpkg/status"
# `ldd` complains of what is no dynamic executable, and goes on.
UNRESOLVED = (
    "find /usr/bin /usr/sbin /usr/lib /usr/local -type f \\( -perm /111 -o -name '*.so*' \\)"
    " | xargs ldd 2>/dev/null | grep 'not found' || true"
)
USES = """
import bz2, ctypes, ctypes.util, curses, dbm, locale, lzma, readline, shutil, sqlite3, ssl, subprocess, uuid
import zoneinfo
for name in ("ssl", "m", "sqlite3", "stdc++"):
    ctypes.CDLL(ctypes.util.find_library(name))
zoneinfo.ZoneInfo("Europe/Berlin")
locale.setlocale(locale.LC_ALL, "C.UTF-8")
assert ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt").get_ca_certs()
programs = "bash sh sed grep awk find xargs tar gzip flock setsid openssl getent iconv date sort stat diff"
print("lacking:", *(name for name in programs.split() if not shutil.which(name)))
for code in ("sjis", "gb18030", "big5", "euc-kr", "koi8-r", "windows-1251", "iso-8859-2", "utf-16", "cp437"):
    subprocess.run(["iconv", "-t", code, "/etc/hostname"], check=True, capture_output=True)
"""


def test_nothing_that_installs_is_there_and_the_record_of_packages_is(world: World, web: str) -> None:
    """Red when the stage `trimmed` does not run trim_root.py, or trim_packages does not write the record."""
    assert world.run(web, "sh", "-c", f"command -v {INSTALLING} || true") == ""
    listed = set(world.run(web, "sh", "-c", PACKAGES).splitlines())
    assert {"libc6", "coreutils", "bash", "ca-certificates", "tzdata", "netbase"} <= listed
    assert not {"apt", "dpkg", "passwd"} & listed
    assert world.run(web, "sh", "-c", "ls -d /etc/apt /var/lib/apt /usr/include 2>/dev/null || true") == ""
    # A scanner reads there which files are a package's.
    assert world.run(web, "sh", "-c", "grep -l /bin/bash /var/lib/dpkg/info/*.list").endswith("bash.list")


def test_what_is_left_is_whole(world: World, web: str) -> None:
    """Red when not_needed leaves Depends out of account and NOT_NEEDED has a library (libselinux1)."""
    assert world.run(web, "sh", "-c", UNRESOLVED, options=("--user=0",)) == ""
    assert world.run(web, "python", "-c", USES) == "lacking:"
    assert docker("run", "--rm", "--read-only", web, "python", "-m", "pydoc", "json").startswith("Help on")


def test_owners_modes_and_links_are_those_of_the_base(world: World, web: str, dev: str) -> None:
    """Red when the files are copied with --chown or --chmod."""
    places = "/ /tmp /srv/beat /srv/data /srv/static /usr/bin/su /etc/shadow /usr/sbin/unix_chkpwd /bin /root"
    look = ("stat", "-c", "%n %u:%g %a %F", *places.split())
    assert world.run(web, *look) == world.run(dev, *look)
    assert " 10001:10001 1777 " in world.run(web, *look)


def test_development_keeps_everything(world: World, dev: str) -> None:
    """Red when the stage `runtime` stands on production's root."""
    programs = INSTALLING.replace("adduser ", "")
    found = world.run(dev, "sh", "-c", f"for name in {programs}; do command -v $name; done")
    assert len(found.splitlines()) == len(programs.split())
    assert world.run(dev, "sh", "-c", "find /usr/include /usr/local/include -name Python.h") != ""
    assert set(world.run(PYTHON_IMAGE, "sh", "-c", PACKAGES).splitlines()) <= set(
        world.run(dev, "sh", "-c", PACKAGES).splitlines()
    )


def test_variables_of_the_base_image_reach_the_project(world: World, tmp_path: Path) -> None:
    """Also while its settings are imported in the build. Red when the stage `trimmed` does not run
    base_environment.py, or the entrypoint (with_overlay, for the build) does not read what it wrote.
    """
    lines = ["ENV ORACLE_HOME=/opt/oracle NLS_LANG=x PATH=/opt/oracle/bin:$PATH", ""]
    (tmp_path / "Dockerfile").write_text("\n".join([f"FROM {PYTHON_IMAGE}", *lines]), encoding="utf-8")
    base = f"{world.name}:base-with-variables"
    docker("build", "--quiet", "--tag", base, str(tmp_path))
    world.images.add(base)
    project = copy_of_project("plain", tmp_path / "plain")
    with (project / "config/settings.py").open("a", encoding="utf-8") as settings:
        settings.write('\nimport os\n\nORACLE = os.environ["ORACLE_HOME"]\n')
    image = world.image("web", project, PYTHON_IMAGE=base)
    shown = docker("run", "--rm", "--env", "NLS_LANG=mine", image, "env").splitlines()
    found = dict(line.split("=", 1) for line in shown)
    assert (found["ORACLE_HOME"], found["NLS_LANG"]) == ("/opt/oracle", "mine")
    assert found["PATH"].startswith("/opt/venv/bin:/opt/oracle/bin:/usr/local/bin:")


@pytest.mark.long
def test_a_program_that_is_asked_for_keeps_what_it_needs(world: World) -> None:
    """Git is written in Perl in part. Red when Depends is left out of account: perl-base goes."""
    image = world.image("web", PROJECTS / "plain", COLLECTSTATIC="skip", RUNTIME_PACKAGES="git gettext mount")
    script = (
        "cd /tmp && git init -q . && echo a >a && git add a"
        " && git -c user.name=x -c user.email=x@example.org commit -qm one && git log --format=%s"
        " && git submodule status && perl -MGit -e 'print qq(perl\\n)'"
        " && msgfmt --version | head -n 1 && command -v mount && ! command -v apt-get"
    )
    said = world.run(image, "sh", "-c", script, options=("--user=0",)).splitlines()
    assert said[:2] == ["one", "perl"]
    assert "gettext-tools" in said[2]
    assert said[3] == "/usr/bin/mount"
