"""DATABASE and its variables, EXTRA_DATABASES, and DATA_PATHS for files that must be kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from slipway.adoption.project import Project
from slipway.adoption.variables import try_values
from slipway.core.suggestions import suggest
from slipway.project.reading import Reading, text_of, texts

__all__ = ["databases"]

_DRIVERS = (
    "psycopg",
    "psycopg2",
    "psycopg2-binary",
    "psycopg-binary",
    "psycopg-c",
    "psycopg2cffi",
    "asyncpg",
)
_PASSWORD = "{{secret:postgres_password}}"  # noqa: S105 - the name of one


def _url(project: Project, database: str = "") -> str:
    name, user = project.database
    return f"postgres://{user}:{_PASSWORD}@db:5432/{database or name}"


_KINDS = (
    ("postg", "postgres"), ("psqlextra", "postgres"), ("sqlite", "sqlite"), ("spatialite", "sqlite"),
    ("mysql", "MySQL"), ("maria", "MySQL"), ("oracle", "Oracle"), ("mssql", "SQL Server"),
    ("djongo", "MongoDB"),
)  # fmt: skip


def databases(project: Project) -> None:
    """Decide DATABASE and the variables that lead there, DATA_PATHS for SQLite, EXTRA_DATABASES."""
    _prefer_postgres(project)
    settings = project.settings
    found = settings.get("DATABASES")
    where = settings.where("DATABASES")
    if not isinstance(found, dict) or not isinstance(found.get("default"), dict):
        project.findings.say(
            "DATABASE",
            "postgres",
            "the database cannot be read from the settings; PostgreSQL is assumed",
            where,
            sure=False,
        )
        if not isinstance(found, dict) or not found:
            return
        if not isinstance(found.get("default"), dict):
            return
    kinds = {alias: _kind(entry) for alias, entry in found.items()}
    _decide(project, kinds, where)
    for alias, kind in kinds.items():
        if kind == "sqlite":
            _keep_sqlite(project, found[alias])


def _decide(project: Project, kinds: dict[str, str], where: str) -> None:
    findings = project.findings
    other = next((kind for kind in kinds.values() if kind not in {"postgres", "sqlite", "unknown"}), "")
    host = _part(project.settings, "HOST")
    if kinds.get("default") == "postgres" and host != "db" and _is_given(project):
        findings.say("DATABASE", "none", f"app.env names a server: {host}", where)
    elif "postgres" in kinds.values():
        findings.say("DATABASE", "postgres", "the settings' database is PostgreSQL", where)
        _assign(project)
        _disable_tls(project)
        _check_postgres(project)
    elif set(kinds.values()) <= {"sqlite"}:
        findings.say("DATABASE", "none", "SQLite is the only database", where)
        return
    elif kinds.get("default") == "MySQL" and not project.layout.configuration:
        findings.say(
            "DATABASE", "postgres", "instead of MySQL, which the kit does not run", where, sure=False
        )
        project.override("DATABASES", "PostgreSQL instead of MySQL", sure=False)
        findings.warn(
            "the database is MySQL; PostgreSQL replaces it. To keep MySQL: DATABASE=none, no DATABASES in "
            "SETTINGS_OVERLAY, and the address of your own server in app.env",
            where,
        )
        for entry in [e for e in findings.left if e.variable in project.settings.deciding("DATABASES")]:
            findings.left.remove(entry)
            project.give(entry.variable, "unused", "of MySQL; required, but not used", sure=False)
    elif other or not project.dependencies.has(*_DRIVERS):
        findings.say(
            "DATABASE", "none", f"the database is {other or 'unknown'}, not the kit's", where, sure=False
        )
        findings.warn("the kit does not run this database: give the project the address of a server", where)
        return
    else:
        findings.say("DATABASE", "postgres", "there is a driver for PostgreSQL", where, sure=False)
    if not project.dependencies.has(*_DRIVERS):
        why = "no package names a driver for PostgreSQL"
        findings.say("EXTRA_PIP_PACKAGES", "psycopg2-binary", why, where, sure=False)


def _is_given(project: Project) -> bool:
    return any(name in project.given for name in project.settings.deciding("DATABASES"))


def _kind(entry: Any) -> str:
    engine = entry.get("ENGINE") if isinstance(entry, dict) else None
    if not isinstance(engine, str):
        return "unknown"
    low = engine.lower()
    for word, kind in _KINDS:
        if word in low:
            return kind
    return engine or "unknown"


def _default_kind(settings: Reading) -> str:
    found = settings.get("DATABASES")
    return _kind(found.get("default")) if isinstance(found, dict) else "unknown"


def _prefer_postgres(project: Project) -> None:
    """Choose PostgreSQL where a variable leads from SQLite to it and the driver is installed."""
    settings = project.settings
    kind = _default_kind(settings)
    if kind == "postgres" or (kind == "sqlite" and not project.dependencies.has(*_DRIVERS)):
        return
    names = [name for name in settings.deciding("DATABASES") if name not in project.assumed]
    urls = [n for n in names if settings.reads[n].kind == "db" or re.search(r"(URL|URI|DSN)$", n)]
    for name in urls:
        if _default_kind(project.with_values(**{name: _url(project)})) == "postgres":
            project.give(name, _url(project), "DATABASES: the stack's PostgreSQL")
            return
    parts: dict[str, str] = {}
    for _ in range(6):
        after = project.with_values(**parts)
        more = {
            n: _suggested(project, n)
            for n in after.deciding("DATABASES")
            if _suggested(project, n)
            and n not in parts
            and n not in project.assumed
            # Only one of NAME and NAME_FILE.
            and (n.removesuffix("_FILE") == n or n.removesuffix("_FILE") not in after.reads)
        }
        if not more:
            break
        parts |= more
    for name, value in parts.items():
        if value.startswith("django.db.backends."):
            # Some settings prepend the package to the name.
            spelled = ("postgresql", "postgres", value)
            parts[name] = next(
                (s for s in spelled if _has_backend(project.with_values(**{**parts, name: s}))), value
            )
    if parts and _default_kind(project.with_values(**parts)) == "postgres":
        for name, value in parts.items():
            project.give(name, value, "DATABASES: the stack's PostgreSQL")
        return
    switches = [n for n in names if re.search(r"ENGINE|BACKEND|TYPE|USE_|DB|DATABASE|POSTGRES", n)]
    values = ("django.db.backends.postgresql", "postgresql", "postgres", "True", "1", "production")
    # A backend without the full name of one of Django's may come from a package.
    found = try_values(project, switches, values, _has_backend) or try_values(
        project, switches, values, lambda s: _default_kind(s) == "postgres"
    )
    if found:
        project.give(found[0], found[1], "DATABASES: leads to PostgreSQL", sure=False)


def _has_backend(settings: Reading) -> bool:
    """Return whether ENGINE is the full name of a PostgreSQL backend of Django."""
    engine = str(_part(settings, "ENGINE"))
    return re.fullmatch(r"django\.(db|contrib\.gis\.db)\.backends\.post\w+", engine) is not None


def _suggested(project: Project, name: str) -> str:
    return suggest(name, db_name=project.database[0], db_user=project.database[1]) or ""


_SENTINEL = "slipwaymark"


def _assign(project: Project) -> None:
    """Find by marker values which entry of DATABASES each variable sets, and give it the right value."""
    settings = project.settings
    names = [
        n
        for n in settings.deciding("DATABASES")
        if n not in project.given and not n.startswith("DJANGO_SETTINGS")
    ]
    for name in names:
        alias = _alias_by_url(project, name)
        if alias:
            database = _database_of(project, alias)
            _forget(project, name)
            project.give(name, _url(project, database), f"DATABASES[{alias!r}]: the stack's PostgreSQL")
            continue
        if project.settings.reads.get(name) is None or project.settings.reads[name].kind == "db":
            continue
        place = _place_of(project, name)
        if place:
            _give_part(project, name, *place)


def _alias_by_url(project: Project, name: str) -> str:
    """Return the alias of the existing database that a variable sets by a URL; empty if none."""
    there = project.settings.get("DATABASES")
    mark = f"{_SENTINEL}x"
    after = project.with_values(**{name: _url(project, mark)}).get("DATABASES")
    found = [
        str(alias)
        for alias, entry in (after.items() if isinstance(after, dict) else ())
        if isinstance(entry, dict) and entry.get("NAME") == mark
    ]
    # Do not add a database that exists only once the variable is set: the person decides that.
    return next((a for a in found if not isinstance(there, dict) or a in there), "")


def _forget(project: Project, name: str) -> None:
    """Drop the assumptions about a variable from before its meaning was known."""
    project.assumed.pop(name, None)
    findings = project.findings
    findings.take_back(name, "app.env")
    findings.left[:] = [o for o in findings.left if o.variable != name]


def _database_of(project: Project, alias: str) -> str:
    """Return the database name for an alias; ``default`` and its replicas share one."""
    if alias == "default" or re.search(r"replica|read|slave|secondary", alias, re.I):
        return project.database[0]
    database = re.sub(r"[^a-z0-9_]", "_", alias.lower())
    _append(project, "EXTRA_DATABASES", database, "the settings have more than one database")
    for name in ("default", alias):
        _append(project, "MIGRATE_DATABASES", name, "Django migrates one database at a time")
    return database


def _append(project: Project, variable: str, word: str, why: str) -> None:
    """Add a word to a list in ``.env``, unless it has it."""
    findings = project.findings
    already = (findings.value(variable) or "").split()
    if word not in already:
        findings.take_back(variable)
        findings.say(variable, " ".join([*already, word]), why, project.settings.where("DATABASES"))


def _part(settings: Reading, key: str) -> Any:
    found = settings.get("DATABASES")
    entry = found.get("default") if isinstance(found, dict) else None
    return entry.get(key) if isinstance(entry, dict) else None


def _place_of(project: Project, name: str) -> tuple[str, str] | None:
    for mark in (f"{_SENTINEL}x", "54329"):
        found = project.with_values(**{name: mark}).get("DATABASES")
        for alias, entry in found.items() if isinstance(found, dict) else ():
            for key, value in entry.items() if isinstance(entry, dict) else ():
                if isinstance(value, str | int) and mark in str(value):
                    return str(alias), str(key)
    return None


def _give_part(project: Project, name: str, alias: str, key: str) -> None:
    user = project.database[1]
    why = f"DATABASES[{alias!r}][{key!r}]"
    database = _database_of(project, alias) if key == "NAME" else ""
    values = {"HOST": "db", "NAME": database, "USER": user, "PASSWORD": _PASSWORD, "PORT": "5432"}
    if key in values:
        value = "/run/secrets/postgres_password" if name.endswith("_FILE") else values[key]
        _forget(project, name)
        project.give(name, value, why)
    elif key == "ENGINE":
        found_ = try_values(
            project,
            [name],
            ("django.db.backends.postgresql", "postgresql", "postgres"),
            _has_backend,
        )
        if found_:
            project.give(*found_, why)


def _check_postgres(project: Project) -> None:
    """Use a fixed database name and user for the stack; let the overlay replace other fixed values."""
    settings = project.settings
    found = settings.get("DATABASES")
    for alias, entry in found.items() if isinstance(found, dict) else ():
        if _kind(entry) != "postgres":
            continue
        host, port, password = entry.get("HOST"), entry.get("PORT", ""), entry.get("PASSWORD")
        wrong = []
        if isinstance(host, str) and host != "db":
            wrong.append(f"the host is {host or 'this machine'}")
        if not (isinstance(password, str) and "slipway-secret-postgres_password" in password):
            wrong.append("the password is not the stack's")
        if _wants_tls(entry):
            wrong.append("it requires TLS, which the stack's does not have")
        if str(port) not in {"", "5432", "None", "?"}:
            wrong.append(f"the port is {port}")
        if wrong:
            if alias == "default":
                project.override("DATABASES", ", ".join(wrong), sure=isinstance(host, str | type(None)))
            else:
                project.findings.warn(
                    f"DATABASES[{alias!r}] is fixed: {', '.join(wrong)}", settings.where("DATABASES")
                )
            continue
        name, user = entry.get("NAME"), entry.get("USER")
        if alias == "default":
            for variable, value in (("DB_NAME", name), ("DB_USER", user)):
                if (
                    isinstance(value, str)
                    and value not in project.database
                    and re.fullmatch(r"[a-z_][a-z0-9_]*", value)
                ):
                    project.findings.say(
                        variable, value, "as the settings have it", settings.where("DATABASES")
                    )


def _wants_tls(entry: dict[str, Any]) -> bool:
    options = entry.get("OPTIONS")
    return isinstance(options, dict) and options.get("sslmode") in {"require", "verify-ca", "verify-full"}


def _disable_tls(project: Project) -> None:
    """Switch off TLS to the database by a variable, if one decides it."""
    found = project.settings.get("DATABASES")
    entry = found.get("default") if isinstance(found, dict) else None
    if not isinstance(entry, dict) or not _wants_tls(entry):
        return
    names = [n for n in project.settings.deciding("DATABASES") if re.search(r"SSL|TLS|DEBUG|LOCAL", n)]

    def plain(after: Reading) -> bool:
        there = after.get("DATABASES")
        entry = there.get("default") if isinstance(there, dict) else None
        return (
            isinstance(entry, dict)
            and not _wants_tls(entry)
            and _kind(entry) == "postgres"
            and after.get("DEBUG") == project.settings.get("DEBUG")
        )

    found_ = try_values(project, names, ("disable", "False", "0", "false", "off", "no"), plain)
    if found_:
        project.give(*found_, "DATABASES: the stack's PostgreSQL has no TLS")


def _keep_sqlite(project: Project, entry: dict[str, Any]) -> None:
    name = text_of(entry.get("NAME"))
    if not name or name == ":memory:" or "slipway" in name:
        return
    folder = PurePosixPath(name).parent
    # A separate folder that other settings point into too is the project's data folder.
    others = [text for text in texts(list(project.settings.values.values())) if text.startswith(f"{folder}/")]
    together = (
        len(set(others)) > 1
        and str(folder) not in {".", "/", "/app"}
        and not _holds_code(project, str(folder))
    )
    keep(project, f"{folder}/" if together else name, "the SQLite database")


def _holds_code(project: Project, place: str) -> bool:
    path = PurePosixPath("/app") / project.layout.inside(project.layout.manage) / place
    if not path.is_relative_to("/app"):
        return False
    folder = project.layout.root / path.relative_to("/app")
    return folder.is_dir() and next(folder.rglob("*.py"), None) is not None


def keep(project: Project, place: str, what: str) -> None:
    """Add a path to DATA_PATHS."""
    layout = project.layout
    path = PurePosixPath("/app") / layout.inside(layout.manage) / place
    path = PurePosixPath(*_normal(path))
    inside = path.relative_to("/app").as_posix() if path.is_relative_to("/app") else str(path)
    if inside in {".", ""} or re.search(r"\s", inside) or inside in project.data:
        return
    if any(inside.startswith(f"{kept.rstrip('/')}/") for kept in project.data):
        return
    inside = f"{inside}/" if place.endswith("/") else inside
    project.data.append(inside)
    before = next((f.why for f in project.findings.found if f.variable == "DATA_PATHS"), "")
    project.findings.take_back("DATA_PATHS")
    project.findings.say(
        "DATA_PATHS", " ".join(project.data), f"{before}, {what}" if before else f"must be kept: {what}"
    )


def _normal(path: PurePosixPath) -> Iterator[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1] or parts
        else:
            parts.append(part)
    yield from parts
