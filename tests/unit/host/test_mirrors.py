"""Where packages come from: apt and pip configuration, read the way apt and pip read them."""

import stat
from pathlib import Path

import pytest

from slipway.host import mirrors
from slipway.host.mirrors import AptSource

MIRROR = "http://mirror.example/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

DEB822 = f"""\
# a comment
Types: deb deb-src
# one inside a stanza
URIs: {MIRROR}
Suites: bookworm
  bookworm-updates
Components: main
Signed-By: {KEYRING}

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


def test_deb822_keeps_enabled_binary_sources_only():
    """Red when: the check of Enabled or of Types is removed, or a continued line is dropped."""
    assert mirrors.parse_deb822(DEB822) == [
        AptSource((MIRROR,), ("bookworm", "bookworm-updates"), ("main",), KEYRING)
    ]


def test_one_line_sources_with_and_without_options():
    """Red when: the option list is not skipped, or a commented line is taken."""
    text = (
        "# deb http://off.example/debian bookworm main\n"
        f"deb {MIRROR} bookworm main contrib # ours\n"
        "deb-src http://source.example/debian bookworm main\n"
        "deb [ arch=amd64 signed-by=/k.gpg ] https://third.example/apt bookworm main\n"
    )
    assert mirrors.parse_one_line(text) == [
        AptSource((MIRROR,), ("bookworm",), ("main", "contrib")),
        AptSource(("https://third.example/apt",), ("bookworm",), ("main",), "/k.gpg"),
    ]


@pytest.mark.parametrize(
    "foreign",
    [
        "deb [signed-by=/usr/share/keyrings/vendor.gpg] http://vendor.example/debian bookworm main",
        "deb http://vendor.example/linux/debian bookworm stable",
        "deb http://vendor.example/debian bookworm-vendor main",
        "deb http://vendor.example bookworm main",
        "deb cdrom:[Debian]/ bookworm main",
        "deb file:/srv/debian bookworm main",
    ],
)
def test_third_parties_are_not_the_archive(foreign):
    """Red when: the check of the keyring, component, suite, path or scheme is removed, one each."""
    sources = mirrors.parse_one_line(f"{foreign}\ndeb {MIRROR}/ bookworm main\n")
    assert mirrors.archive_of(sources, {"bookworm"}) == MIRROR


def test_an_unconventional_path_counts_when_there_is_no_other():
    """Red when: only the conventional path is accepted."""
    sources = mirrors.parse_one_line("deb https://proxy.example/repository/deb-remote bookworm main\n")
    assert mirrors.archive_of(sources, {"bookworm"}) == "https://proxy.example/repository/deb-remote"
    assert mirrors.archive_of(sources, {"trixie"}) == ""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose apt configuration and os-release are files of the test."""
    apt = tmp_path / "apt"
    (apt / "sources.list.d").mkdir(parents=True)
    release = tmp_path / "os-release"
    release.write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    monkeypatch.setattr(mirrors, "APT_DIRECTORY", apt)
    monkeypatch.setattr(mirrors, "OS_RELEASE", release)
    for name in (*mirrors.CA_VARIABLES, "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return tmp_path


def test_mirrors_of_this_machine(machine):
    """Red when: ``.list.disabled`` files are read, or the security suite is taken for the archive."""
    parts = machine / "apt/sources.list.d"
    (parts / "debian.sources").write_text(
        f"{DEB822}\nTypes: deb\nURIs: {MIRROR}-security\nSuites: bookworm-security\nComponents: main\n"
    )
    (parts / "a.list.disabled").write_text("deb http://off.example/debian bookworm main\n")
    assert mirrors.debian_mirror() == MIRROR
    assert mirrors.debian_security_mirror() == f"{MIRROR}-security"


def test_mirror_list_file_is_followed(machine):
    """Debian's cloud images write it so. Red when: the URI is returned as it is."""
    entries = machine / "mirrors.list"
    entries.write_text(f"# preferred\n{MIRROR}/ priority:1\n")
    (machine / "apt/sources.list").write_text(f"deb mirror+file:{entries} bookworm main\n")
    assert mirrors.debian_mirror() == MIRROR


@pytest.mark.parametrize("release", ["ID=ubuntu\nVERSION_CODENAME=noble\n", "ID=fedora\n", ""])
def test_another_system_has_no_debian_mirror(machine, release):
    """Red when: ID is not looked at."""
    (machine / "apt/sources.list").write_text(f"deb {MIRROR} noble main\ndeb {MIRROR} stable main\n")
    (machine / "os-release").write_text(release)
    assert mirrors.debian_mirror() == ""


def test_pip_configuration_later_files_and_the_environment_win():
    """Red when: the order of files, sections or environment is turned round."""
    texts = [
        "[global]\nindex-url = https://one.example/simple\ntrusted-host = one.example\n",
        "[global]\nindex_url = https://two.example/simple\n[install]\nextra-index-url =\n"
        "    https://extra.example/simple\n    file:///opt/simple\n",
    ]
    found = mirrors.parse_pip_config(texts, {})
    assert found.index_url == "https://two.example/simple"
    assert found.extra_index_urls == ("https://extra.example/simple",)
    assert found.trusted_hosts == ("one.example",)
    override = {"PIP_INDEX_URL": "https://three.example/simple"}
    assert mirrors.parse_pip_config(texts, override).index_url == "https://three.example/simple"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[global]\nindex-url = file:///opt/simple\ntrusted-host = x\n",
        "no section\n",
        "[global]\nx = %(y)s\n",
    ],
)
def test_nothing_for_a_container_is_an_empty_configuration(text):
    """Red when: file: addresses survive, or a trusted host alone makes a file."""
    assert mirrors.parse_pip_config([text], {}).as_config() == ""


def test_pip_configuration_is_written_as_pip_reads_it():
    """Red when: a key is misspelt (the text is read back)."""
    settings = mirrors.PipSettings(
        "https://a.example/s", ("https://b.example/s", "https://c.example/s"), ("a.example",)
    )
    assert mirrors.parse_pip_config([settings.as_config()], {}) == settings


def test_first_existing_bundle_is_taken(machine, monkeypatch):
    """Red when: existence is not checked."""
    bundle = machine / "ca.pem"
    bundle.write_text("PEM\n")
    assert mirrors.ca_bundle() is None
    monkeypatch.setenv("SSL_CERT_FILE", str(machine / "missing.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert mirrors.ca_bundle() == bundle


def test_build_secrets_are_private_and_rewritten_only_when_changed(machine, monkeypatch):
    """Red when: the mode is left to the umask, or every call writes."""
    bundle = machine / "ca.pem"
    bundle.write_text("PEM\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("PIP_INDEX_URL", "https://a.example/s")
    monkeypatch.setenv("npm_config_registry", "https://npm.example/")
    (machine / "apt/sources.list").write_text(f"deb {MIRROR} bookworm main\n")
    directory = machine / "new/build"
    mirrors.write_build_secrets(directory)
    assert {path.name: path.read_text() for path in directory.iterdir()} == {
        "ca.pem": "PEM\n",
        "pip.conf": "[global]\nindex-url = https://a.example/s\n",
        "apt-mirror": f"{MIRROR}\n",
        "npmrc": "registry=https://npm.example/\n",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    before = {path: path.stat().st_ino for path in directory.iterdir()}
    monkeypatch.delenv("PIP_INDEX_URL")
    mirrors.write_build_secrets(directory)
    changed = {path.name for path, inode in before.items() if path.stat().st_ino != inode}
    assert changed == {"pip.conf"}
    assert (directory / "pip.conf").read_text() == ""


def test_importable_without_third_party_modules():
    """The bootstrap needs it before there is an environment. Red when: it imports slipway.core.errors."""
    import subprocess
    import sys

    root = Path(mirrors.__file__).parents[2]
    code = "import sys, slipway.host.mirrors as asked; asked.debian_mirror(); print('invoke' in sys.modules)"
    argv = [sys.executable, "-S", "-E", "-c", code]
    assert subprocess.run(argv, cwd=root, check=True, capture_output=True, text=True).stdout == "False\n"
