"""The environment variables that the settings read, and their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from slipway.adoption.project import Project
from slipway.core.suggestions import suggest
from slipway.project.library import GENERATED
from slipway.project.objects import Read, Unknown
from slipway.project.reading import Reading

__all__ = ["fill_required", "hosts", "off", "postpone_https", "secret_key", "try_values"]

_ROUNDS = 40
_SECRET_MARK = "slipway-secret-secret_key"  # noqa: S105 - the placeholder's value in a scan
_SECRET = re.compile(r"SECRET|PASS|TOKEN|KEY|CREDENTIAL|DSN|PRIVATE|SALT|AUTH|ACCESS|CERT|SIGN|WEBHOOK", re.I)
_SWITCHES = re.compile(r"(\w+_)?(SECURE_\w+|\w+_COOKIE_SECURE|\w*USE_(?!R)\w+|\w*ENABLED?|\w*IS_\w+)")
_STAND_INS = {
    "int": "1",
    "float": "1",
    "bool": "False",
    "json": "[]",
    "url": "http://localhost",
    "list": "localhost",
}
_HOSTS = (
    "localhost,127.0.0.1", "localhost 127.0.0.1", '["localhost","127.0.0.1"]', "localhost;127.0.0.1",
    "['localhost','127.0.0.1']", "localhost",
)  # fmt: skip
_EXAMPLES = (
    ".env.example", ".env.sample", ".env.template", ".env.dist", ".env.tmpl", "env.example", "example.env",
    "env.sample", "sample.env", ".env-example", ".env-sample", ".env.dev", ".env.local.example",
    ".env.production.example", ".env",
)  # fmt: skip


def fill_required(project: Project) -> None:
    """Set each variable that the settings require, or list it for the person to fill in."""
    examples = _documented(project)
    for _ in range(_ROUNDS):
        settings = project.settings
        unmet = [name for name in settings.missing if name not in project.assumed]
        if not unmet:
            return
        for name in unmet:
            _fill(project, settings.reads[name], examples)


def _fill(project: Project, read: Read, examples: dict[str, tuple[str, str]]) -> None:
    name = read.name
    where = project.settings.where_read(name)
    value = suggest(name)
    if value is None and (read.kind == "bool" or _SWITCHES.fullmatch(name)):
        value = "False"
    if read.kind == "db":
        value = suggest("DATABASE_URL")
    if value is not None and _is_accepted(project, name, value):
        sure = suggest(name) is not None
        project.give(
            name,
            value,
            "required; by its name" if sure else "required; off until you change it",
            sure=sure,
        )
        return
    for candidate in _spellings(name):
        if _is_accepted(project, name, candidate):
            project.give(name, candidate, "required; by its name", sure=False)
            return
    documented, source = examples.get(name, ("", ""))
    if documented and _is_accepted(project, name, documented):
        project.give(name, documented, f"required; from {source}", sure=False)
        return
    for plain, kind in (("stand-in", read.kind), ("[]", "literal"), ("1", "int")):
        text = (
            "[]"
            if kind == "literal"
            else _STAND_INS.get(kind, "https://stand-in.invalid" if name.endswith("URL") else plain)
        )
        if _is_accepted(project, name, text):
            break
    if kind == "literal":
        project.give(name, "[]", "required; an empty list until you change it", sure=False)
        return
    project.assumed[name] = text
    project.findings.ask(name, documented, f"the settings fail without it{_sort(kind)}", where)


def _sort(kind: str) -> str:
    kinds = {
        "int": "a whole number",
        "float": "a number",
        "list": "a list, separated by commas",
        "json": "JSON",
        "url": "a URL",
    }
    return f" ({kinds[kind]})" if kind in kinds else ""


def _spellings(name: str) -> tuple[str, ...]:
    return _HOSTS if name.endswith("HOSTS") else ()


def _is_accepted(project: Project, name: str, value: str) -> bool:
    """Return whether the settings accept the value of this variable."""
    after = project.with_values(**{name: value})
    return not any(name in stop.reads for stop in after.stops)


def _documented(project: Project) -> dict[str, tuple[str, str]]:
    """Return values from the project's example env files, except possible secrets."""
    found: dict[str, tuple[str, str]] = {}
    for folder in dict.fromkeys((project.layout.manage, project.layout.root, project.dependencies.folder)):
        for name in _EXAMPLES:
            path = folder / name
            if path.is_file():
                for variable, value in _plain_lines(path):
                    if not is_secret(variable, value):
                        found.setdefault(variable, (value, project.layout.at(path)))
    return found


def _plain_lines(path: Path) -> Iterable[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", line)
        if match:
            value = match[2].split(" #")[0].strip().strip("\"'")
            if value and not re.search(r"[$'\"<>\\]", value):
                yield match[1], value


def is_secret(variable: str, value: str) -> bool:
    """Return whether a variable may hold a secret, by its name or the look of its value."""
    looks = re.search(r"://[^/\s]*:[^/\s]*@", value) or re.fullmatch(
        r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9_+/=-]{20,}", value
    )
    harmless = re.fullmatch(r"\d{1,6}|true|false|yes|no|on|off", value, re.IGNORECASE)
    return not harmless and bool(_SECRET.search(variable) or looks)


# -- variables that depend on the stack --------------------------------------------------------------


def try_values(
    project: Project, names: Iterable[str], candidates: Iterable[str], good: Callable[[Reading], bool]
) -> tuple[str, str] | None:
    """Return the first variable and value that make the settings ``good``; None if there are none."""
    texts = list(candidates)
    for name in names:
        if name in project.given:
            continue
        for text in texts:
            if good(project.with_values(**{name: text})):
                return name, text
    return None


def secret_key(project: Project) -> None:
    """Set SECRET_KEY from the generated secret, by the variable that decides it, else by the overlay."""
    settings = project.settings

    def is_ours(after: Reading) -> bool:
        return _SECRET_MARK in str(after.get("SECRET_KEY"))

    names = settings.deciding("SECRET_KEY")
    if is_ours(settings) or any(name in project.given for name in names if _SECRET.search(name)):
        return
    for name in sorted(names, key=lambda n: n.endswith("_FILE")):
        value = "/run/secrets/secret_key" if name.endswith("_FILE") else "{{secret:secret_key}}"
        if is_ours(project.with_values(**{name: value})):
            project.give(name, value, "SECRET_KEY: a generated secret")
            return
    key = settings.get("SECRET_KEY")
    if isinstance(key, Unknown):
        likely = [n for n in names if re.search(r"SECRET|KEY", n) and not n.endswith("_FILE")]
        if likely and not any(project.assumed.get(n) == "{{secret:secret_key}}" for n in likely):
            project.give(likely[0], "{{secret:secret_key}}", "SECRET_KEY: a generated secret", sure=False)
        return
    if not key:
        project.override("SECRET_KEY", "the settings have none, and Django does not start without one")
    elif key == GENERATED:
        project.override("SECRET_KEY", "it is generated at each start; all processes need the same one")
    else:
        project.override(
            "SECRET_KEY",
            "it is in the project's files, so their readers can sign sessions; to keep it, remove "
            "SECRET_KEY here",
        )


def off(project: Project) -> None:
    """Switch DEBUG off in production, by a variable or by the overlay."""
    settings = project.settings
    debug = settings.get("DEBUG", False)
    names = [name for name in settings.deciding("DEBUG") if name != "DJANGO_SETTINGS_MODULE"]
    likely = sorted(names, key=lambda name: "DEBUG" not in name)
    if debug is False or debug == 0:
        for name in likely[:1]:
            if "DEBUG" in name and name not in project.given:
                _on_in_development(project, name, ("True", "1", "true", "on"))
        return
    spellings = ["False", "0", "false", "off", "no", "production", "prod", "PRODUCTION", "live", ""]
    if likely and re.search(r"ENV|STAGE|MODE", likely[0]):
        spellings = ["production", "prod", *spellings]
    found = try_values(
        project, likely, spellings, lambda s: s.get("DEBUG") is False or s.get("DEBUG") in (0, "")
    )
    if found:
        name, value = found
        before = settings.reads[name]
        project.give(name, value, "DEBUG is off in production")
        _on_in_development(project, name, (str(before.default), "True", "1"))
        return
    fixed = "is fixed to True" if debug is True else "cannot be read"
    project.override("DEBUG", f"it {fixed} in the settings", sure=debug is True)


def _on_in_development(project: Project, name: str, spellings: tuple[str, ...]) -> None:
    found = try_values(project, [name], spellings, lambda s: s.get("DEBUG") in (True, 1))
    if found:
        where = project.settings.where_read(name)
        project.findings.tell(name, found[1], "DEBUG, in development", where, file="app.dev.env")


def admits(hosts_: Any, name: str) -> bool:
    """Return whether ALLOWED_HOSTS admits a host."""
    if not isinstance(hosts_, list | tuple | set):
        return False
    return any(isinstance(entry, str) and entry in {"*", name, f".{name}"} for entry in hosts_)


def hosts(project: Project) -> None:
    """Make ALLOWED_HOSTS admit the host names of the stack."""
    settings = project.settings
    names = [n for n in settings.deciding("ALLOWED_HOSTS") if "DEBUG" not in n]
    likely = sorted(names, key=lambda name: "HOST" not in name)

    def both(after: Reading) -> bool:
        return admits(after.get("ALLOWED_HOSTS"), "localhost") and admits(
            after.get("ALLOWED_HOSTS"), "127.0.0.1"
        )

    if both(settings):
        return
    tries = ((_HOSTS, both), (_HOSTS, lambda s: admits(s.get("ALLOWED_HOSTS"), "localhost")), (("*",), both))
    attempts = (try_values(project, likely, spellings, good) for spellings, good in tries)
    found = next((attempt for attempt in attempts if attempt), None)
    if found:
        project.give(
            found[0], found[1], "ALLOWED_HOSTS; in production use the site's names, those of SERVER_NAMES"
        )
        return
    if admits(settings.get("ALLOWED_HOSTS"), "localhost"):
        return
    there = settings.get("ALLOWED_HOSTS", [])
    shown = ", ".join(map(str, there)) if isinstance(there, list | tuple) and there else "nothing"
    project.override("ALLOWED_HOSTS", f"it admits {shown}", sure=isinstance(there, list | tuple))


_UNTIL_HTTPS = "it is fixed to True: right only once TLS is on or TRUSTED_PROXY names a proxy that ends it"


def postpone_https(project: Project) -> None:
    """Switch off redirects to https and https-only cookies until TLS is switched on."""
    for setting in ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"):
        settings = project.settings
        if settings.get(setting, False) is not True:
            continue
        names = [
            name for name in settings.deciding(setting) if re.search(r"SSL|HTTPS|SECURE|TLS|COOKIE", name)
        ]
        found = try_values(
            project,
            names,
            ("False", "0", "false", "off", ""),
            lambda s, key=setting: s.get(key) is False,  # type: ignore[misc]
        )
        if found:
            project.give(
                found[0],
                found[1],
                f"{setting}; True once the site is on https (TLS in .env, or a proxy in front)",
                sure=False,
            )
        elif setting == "SECURE_SSL_REDIRECT":
            project.findings.say(
                "HEALTH_FORWARDED_PROTO",
                "https",
                "the settings redirect http to https",
                settings.where(setting),
            )
            project.override(setting, _UNTIL_HTTPS)
        else:
            project.override(setting, _UNTIL_HTTPS)
        name = setting.replace("_SECURE", "_NAME")
        if str(settings.get(name, "")).startswith("__"):
            project.override(name, "browsers accept its prefix only over https")
