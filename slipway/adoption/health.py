"""HEALTH_READY_PATH and HEALTH_CODES: an address that answers, read from the URL configuration."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from slipway.adoption.project import Project
from slipway.project.evaluator import Evaluator

__all__ = ["CODES", "choose"]

CODES = "200-399 401 403 404 405"
"""A page that needs a login or does not exist still shows a working server; 400: refused host, 5xx: fault."""
_HEALTH = re.compile(
    r"^/([\w-]+/){0,3}_{0,2}(healthz?|health[-_]?check|readyz?|readiness|heartbeat|lbheartbeat|livez?|liveness"
    r"|alive|ping|ht|up|status)_{0,2}/?$",
    re.IGNORECASE,
)
_RANK = (
    "ready", "readyz", "readiness", "health", "healthz", "healthcheck", "health-check", "health_check",
    "heartbeat", "ht", "ping", "live", "alive", "livez", "status", "up",
)  # fmt: skip
_DEEPEST = 4


def choose(project: Project) -> None:
    """Set both: the address of a health view, else the admin's login, else ``/``."""
    settings = project.settings
    root = settings.get("ROOT_URLCONF")
    found = list(_paths(project, root, "/", 0)) if isinstance(root, str) else []
    views = [(path, where) for path, where, target in found if target != "include" and _HEALTH.match(path)]
    if views:
        path, where = min(views, key=lambda entry: (_rank(entry[0]), len(entry[0])))
        project.findings.say("HEALTH_READY_PATH", path, "named like a health view", where, sure=False)
    else:
        admin = next(
            (
                (path, where)
                for path, where, target in found
                if target == "admin" and settings.installed("django.contrib.admin")
            ),
            None,
        )
        if admin:
            project.findings.say(
                "HEALTH_READY_PATH",
                f"{admin[0]}login/",
                "the admin's login: there is no health view",
                admin[1],
                sure=False,
            )
        else:
            project.findings.say(
                "HEALTH_READY_PATH",
                "/",
                "there is neither a health view nor the admin",
                settings.where("ROOT_URLCONF"),
                sure=False,
            )
    project.findings.say(
        "HEALTH_CODES",
        CODES,
        "a page that needs a login, or does not exist, still shows a working server",
        sure=False,
    )


def _rank(path: str) -> int:
    last = path.strip("/").split("/")[-1].strip("_").lower()
    return _RANK.index(last) if last in _RANK else len(_RANK)


def _paths(project: Project, dotted: str, prefix: str, depth: int) -> Iterator[tuple[str, str, str]]:
    """Yield address, FILE:LINE and kind (``view``, ``admin``, ``include``) of each fixed address."""
    layout = project.layout
    path = Evaluator(layout.root, layout.search, {}).find(dotted)
    if path is None or not path.is_file() or depth > _DEEPEST:
        if re.match(r"health_check(\.|$)", dotted):
            yield prefix, "", "view"
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    inside_i18n: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "i18n_patterns":
            inside_i18n |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if (
            not isinstance(node, ast.Call)
            or _name(node.func) not in {"path", "re_path", "url"}
            or len(node.args) < 2
        ):
            continue
        pattern = _pattern(project, node.args[0])
        if pattern is None or id(node) in inside_i18n:
            continue
        plain = _plain(pattern) if _name(node.func) != "path" else pattern
        if plain is None or "<" in plain:
            continue
        address = prefix + plain
        where = layout.at(path, node.lineno)
        target = node.args[1]
        included = _included(target)
        if included:
            yield address, where, "include"
            yield from _paths(project, included, address, depth + 1)
        elif "site.urls" in ast.unparse(target) and address.endswith("/"):
            yield address, where, "admin"
        else:
            yield address, where, "view"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _pattern(project: Project, node: ast.expr) -> str | None:
    """Return a pattern's text; attributes such as ``settings.ADMIN_URL`` are looked up."""
    if isinstance(node, ast.JoinedStr):
        parts = [_pattern(project, p.value if isinstance(p, ast.FormattedValue) else p) for p in node.values]
        return None if None in parts else "".join(part or "" for part in parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _pattern(project, node.left), _pattern(project, node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "settings":
        value = project.settings.get(node.attr)
        return value if isinstance(value, str) else None
    return _literal(node)


def _plain(pattern: str) -> str | None:
    """Return the only address that a regular expression matches; None if there are more."""
    text = pattern.removeprefix("^").removesuffix("$").removesuffix(r"\Z").removesuffix("/?")
    return (
        None
        if re.search(r"[\\()\[\]*+?|{}]", text.replace("\\.", "").replace("\\-", ""))
        else text.replace("\\", "")
    )


def _included(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and _name(node.func) == "include" and node.args:
        first = node.args[0]
        if isinstance(first, ast.Tuple) and first.elts:
            first = first.elts[0]
        return _literal(first) or ""
    return ""
