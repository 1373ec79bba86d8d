"""Finds this machine's package sources, so that builds use the same ones.

Standard library only: the bootstrap imports this before there is a virtual environment. Builds get the
results as secrets; they are never written to a tracked file.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slipway.host.npmrc import npm_config

__all__ = [
    "AptSource",
    "PipSettings",
    "archive_of",
    "ca_bundle",
    "debian_mirror",
    "debian_security_mirror",
    "parse_deb822",
    "parse_one_line",
    "parse_pip_config",
    "pip_index",
    "pip_settings",
    "write_build_secrets",
]

APT_DIRECTORY = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
_RELEASE_ALIASES = frozenset({"stable", "oldstable", "testing", "unstable", "sid"})
_CONVENTIONAL = re.compile(r"/debian(-security)?/?$")
_NO_CONFIGURATION = "/dev/null"  # PIP_CONFIG_FILE with this value: pip reads no file at all


@dataclass(frozen=True)
class AptSource:
    """One enabled binary package source: each URI serves each suite."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True)
class PipSettings:
    """The part of pip's configuration that a container can use."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()

    def as_config(self) -> str:
        """Return a ``pip.conf``, or the empty string when there is nothing to configure."""
        lines = []
        if self.index_url:
            lines.append(f"index-url = {self.index_url}")
        if self.extra_index_urls:
            lines.append("extra-index-url = " + " ".join(self.extra_index_urls))
        if self.trusted_hosts and lines:
            lines.append("trusted-host = " + " ".join(self.trusted_hosts))
        return "\n".join(["[global]", *lines, ""]) if lines else ""


def parse_deb822(text: str) -> list[AptSource]:
    """Return the enabled sources of a ``.sources`` file (the format of sources.list(5))."""
    sources = []
    for stanza in _stanzas(text):
        if stanza.get("enabled", "yes").lower() in {"no", "false", "off", "0", "without", "disable"}:
            continue
        if "deb" in stanza.get("types", "").split():
            sources.append(
                AptSource(
                    uris=tuple(stanza.get("uris", "").split()),
                    suites=tuple(stanza.get("suites", "").split()),
                    components=tuple(stanza.get("components", "").split()),
                    signed_by=stanza.get("signed-by", ""),
                )
            )
    return sources


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield each stanza's fields with lower-case names; a continued value keeps its line breaks."""
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += "\n" + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields:
            yield fields


def parse_one_line(text: str) -> list[AptSource]:
    """Return the sources of a ``.list`` file (``deb [options] URI suite component...``)."""
    sources = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)([^#]*)", line)
        if match:
            options, uri, suite, components = match.groups(default="")
            signed_by = re.search(r"signed-by=(\S+)", options)
            sources.append(
                AptSource(
                    uris=(uri,),
                    suites=(suite,),
                    components=tuple(components.split()),
                    signed_by=signed_by.group(1) if signed_by else "",
                )
            )
    return sources


def archive_of(sources: Iterable[AptSource], suites: Iterable[str]) -> str:
    """Return the URI from which ``sources`` get Debian's own ``suites``, or the empty string.

    Third parties publish suites of the same names: a source counts as Debian's when it has the
    component ``main`` and is signed by Debian's keyring (named, or implied by naming none). If there
    are several, one with the conventional path ``/debian`` or ``/debian-security`` wins, then the
    first. ``mirror+file:`` URIs are returned unchanged.
    """
    wanted = set(suites)
    candidates = [
        uri
        for source in sources
        if "main" in source.components
        and wanted.intersection(source.suites)
        and (not source.signed_by or "debian-archive" in source.signed_by)
        for uri in source.uris
        if uri.startswith(("http://", "https://", "mirror+file:"))
    ]
    conventional = [uri for uri in candidates if _CONVENTIONAL.search(urlsplit(uri).path)]
    return (conventional or candidates or [""])[0].rstrip("/")


def debian_mirror() -> str:
    """Return the URL of this machine's Debian archive; empty when it is not Debian or names none."""
    codename = _debian_codename()
    return _resolved(archive_of(_apt_sources(), {codename, *_RELEASE_ALIASES})) if codename else ""


def debian_security_mirror() -> str:
    """Return the URL of this machine's Debian security archive; empty as for ``debian_mirror``."""
    codename = _debian_codename()
    suites = {f"{name}-security" for name in (codename, *_RELEASE_ALIASES)}
    return _resolved(archive_of(_apt_sources(), suites)) if codename else ""


def _debian_codename() -> str:
    """Return the codename of the Debian release this machine runs; empty on another system."""
    fields = dict(line.split("=", 1) for line in _read(OS_RELEASE).splitlines() if "=" in line)
    if fields.get("ID", "").strip("\"'") != "debian":
        return ""
    return fields.get("VERSION_CODENAME", "").strip("\"'") or "unstable"


def _apt_sources() -> list[AptSource]:
    parts = APT_DIRECTORY / "sources.list.d"
    sources = [*parse_one_line(_read(APT_DIRECTORY / "sources.list"))]
    for path in sorted(parts.glob("*.sources")):
        sources += parse_deb822(_read(path))
    for path in sorted(parts.glob("*.list")):
        sources += parse_one_line(_read(path))
    return sources


def _resolved(uri: str) -> str:
    """Return ``uri``, or the first http(s) entry of the file that a ``mirror+file:`` URI names."""
    if not uri.startswith("mirror+file:"):
        return uri
    for line in _read(Path(urlsplit(uri).path)).splitlines():
        entry = line.split("#", 1)[0].split()
        if entry and entry[0].startswith(("http://", "https://")):
            return entry[0].rstrip("/")
    return ""


def parse_pip_config(texts: Iterable[str], environment: Mapping[str, str]) -> PipSettings:
    """Return the settings pip would use, from its configuration files (later ones win) and environment.

    Only http(s) addresses are kept: a path of this machine does not exist in a container.
    """
    merged: dict[str, str] = {}
    for text in texts:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text)
        except configparser.Error:
            continue  # pip itself reports a file it cannot read
        for section in ("global", "install"):
            if parser.has_section(section):
                merged |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    for key in ("index-url", "extra-index-url", "trusted-host"):
        variable = "PIP_" + key.upper().replace("-", "_")
        merged[key] = environment.get(variable) or merged.get(key, "")
    index = _web_addresses(merged["index-url"])
    return PipSettings(
        index_url=index[0] if index else None,
        extra_index_urls=_web_addresses(merged["extra-index-url"]),
        trusted_hosts=tuple(merged["trusted-host"].split()),
    )


def _web_addresses(value: str) -> tuple[str, ...]:
    return tuple(word for word in value.split() if word.startswith(("http://", "https://")))


def pip_settings() -> PipSettings:
    """Return the pip configuration of this machine and user that a build can use."""
    return parse_pip_config(map(_read, _pip_files(os.environ)), os.environ)


def pip_index() -> str | None:
    """Return the package index this machine's pip is configured for; ``None`` means pip's default."""
    return pip_settings().index_url


def _pip_files(environment: Mapping[str, str]) -> list[Path]:
    """Return pip's configuration files in rising precedence (page "Configuration" of pip's manual)."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == _NO_CONFIGURATION:
        return []
    home = Path(environment.get("HOME") or "/")
    config_home = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    system = [
        Path(entry) / "pip/pip.conf"
        for entry in reversed((environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"))
        if entry
    ]
    files = [*system, Path("/etc/pip.conf"), home / ".pip/pip.conf", config_home / "pip/pip.conf"]
    return [*files, Path(named)] if named else files


def ca_bundle() -> Path | None:
    """Return the CA bundle that the environment names; ``None`` when it names no existing file."""
    for variable in CA_VARIABLES:
        value = os.environ.get(variable, "")
        if value and Path(value).is_file():
            return Path(value)
    return None


def write_build_secrets(directory: Path) -> None:
    """Write ``ca.pem``, ``pip.conf``, ``apt-mirror`` and ``npmrc`` into ``directory``, for the owner only.

    A file is empty when this machine has no such setting, so that a build can always name all of
    them. It is rewritten only when its content changes. Raises ``OSError``.
    """
    bundle = ca_bundle()
    mirror = debian_mirror()
    contents = {
        "ca.pem": bundle.read_text(encoding="utf-8", errors="replace") if bundle else "",
        "pip.conf": pip_settings().as_config(),
        "apt-mirror": f"{mirror}\n" if mirror else "",
        "npmrc": npm_config(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        _write_private(directory / name, content)


def _write_private(path: Path, content: str) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") == content:
        path.chmod(0o600)
        return
    replacement = path.with_name(path.name + ".new")
    replacement.unlink(missing_ok=True)
    descriptor = os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    replacement.replace(path)


def _read(path: Path) -> str:
    """Return the text of ``path``; empty when it is missing or this user may not read it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
