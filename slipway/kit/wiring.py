"""Edit the output of ``startproject`` for the kit: texts in, texts out."""

from __future__ import annotations

import ast
import re

from slipway.core.errors import SlipwayError

__all__ = ["environment", "module", "requirements", "settings", "urls"]

_UNUSED = ("pillow", "python-dotenv")
_READ = {
    "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "DEBUG", "HSTS_SECONDS", "HTTPS", "POSTGRES_DB", "POSTGRES_HOST",
    "POSTGRES_PASSWORD_FILE", "POSTGRES_PORT", "POSTGRES_USER", "SECRET_KEY", "SECRET_KEY_FILE",
}  # fmt: skip
_SETTINGS = {
    "SECRET_KEY": 'SECRET_KEY = env.text("SECRET_KEY")',
    "DEBUG": 'DEBUG = env.flag("DEBUG")',
    "ALLOWED_HOSTS": 'ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")',
    "DATABASES": """\
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": env.text("POSTGRES_HOST"),
        "PORT": env.number("POSTGRES_PORT", default=5432),
        "NAME": env.text("POSTGRES_DB"),
        "USER": env.text("POSTGRES_USER"),
        "PASSWORD": env.text("POSTGRES_PASSWORD"),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }
    if env.given("POSTGRES_HOST")
    else {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": env.text("SQLITE_PATH", str(BASE_DIR / "db.sqlite3")),
    }
}""",
}


def settings(text: str, name: str, end: str) -> str:
    """Return ``startproject``'s settings with the values of ``_SETTINGS``, and ``end`` after them.

    Raises ``SlipwayError`` SLIP-158 if one of those is not among its assignments.
    """
    found = _assignments(text)
    missing = sorted(_SETTINGS.keys() - found)
    if missing:
        raise _unexpected("settings.py", missing)
    lines = text.splitlines()
    for variable in sorted(_SETTINGS, key=lambda variable: -found[variable].lineno):
        node = found[variable]
        lines[node.lineno - 1 : node.end_lineno] = _SETTINGS[variable].splitlines()
    lines[_last_import(text) : _last_import(text)] = ["", f"from {name} import env"]
    return "\n".join(lines).rstrip() + "\n\n" + end


def urls(text: str, name: str) -> str:
    """Return ``startproject``'s URLs with the health checks before them, and development's uploads after.

    Raises ``SlipwayError`` SLIP-158 if it has no ``urlpatterns``.
    """
    node = _assignments(text).get("urlpatterns")
    if not node or not isinstance(node.value, ast.List) or node.end_lineno is None:
        raise _unexpected("urls.py", ["urlpatterns"])
    lines = text.splitlines()
    lines.insert(node.end_lineno - 1, "    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),")
    lines.insert(node.end_lineno - 1, "    # Empty unless DEBUG: in production nginx serves the uploads.")
    checks = [f'    path("healthz/{check}", health.{check}),' for check in ("live", "ready")]
    lines[node.value.lineno : node.value.lineno] = checks
    last, first = _last_import(text), _first_import(text)
    lines[last:last] = ["", f"from {name} import health"]
    lines[first:first] = ["from django.conf import settings", "from django.conf.urls.static import static"]
    return "\n".join(lines) + "\n"


def module(text: str, name: str) -> str:
    """Return a module of the example, changed for the project ``name``."""
    text = re.sub(r"^from config import ", f"from {name} import ", text, flags=re.MULTILINE)
    # /api/entries exists only in the example; every new project has the admin.
    return text.replace("guestbook.health", f"{name}.health").replace("/api/entries", "/admin/")


def requirements(text: str) -> str:
    """Return the example's requirements, with or without hashes, less those that only its apps need."""
    entries = re.split(r"^(?=[^\s\\])", text, flags=re.MULTILINE)
    names = tuple(re.compile(rf"{name}\b", re.IGNORECASE) for name in _UNUSED)
    return "".join(entry for entry in entries if not any(name.match(entry) for name in names))


def environment(text: str) -> str:
    """Return an ``app*.env.example`` without paragraphs on variables that the new settings do not read."""
    paragraphs = re.split(r"\n\n+", text.rstrip("\n"))
    kept = [p for p in paragraphs if set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", p, re.MULTILINE)) <= _READ]
    return "\n\n".join(kept) + "\n"


def _assignments(text: str) -> dict[str, ast.Assign]:
    return {
        target.id: node
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _imports(text: str) -> list[ast.stmt]:
    return [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]


def _first_import(text: str) -> int:
    return min(node.lineno for node in _imports(text)) - 1


def _last_import(text: str) -> int:
    return max(node.end_lineno or node.lineno for node in _imports(text))


def _unexpected(file: str, missing: list[str]) -> SlipwayError:
    return SlipwayError(
        "SLIP-158",
        f"startproject wrote a {file} without {', '.join(missing)}: this Django has a different template",
        "restore the kit's pins in the example's requirements, or: invoke new NAME --keep-example",
    )
