"""docker/server_kind.py: ASGI or WSGI, from sources as projects have them. And missing_requirements.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from kitfiles import load

server_kind = load("server_kind").server_kind
missing = load("missing_requirements").missing

WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
ASGI = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
CHANNELS = """\
from channels.routing import ProtocolTypeRouter, URLRouter
django_app = get_asgi_application()
application = ProtocolTypeRouter({"http": django_app, "websocket": URLRouter([])})
"""
ELSEWHERE = "from config.asgi import application as app\n"
RE_EXPORTED = {"shop/__init__.py": "from .server import app\n", "shop/server.py": f"{WSGI}app = application"}
OLD_CHANNELS = """\
import os
from channels.routing import get_default_application
application = get_default_application()
"""
BOTH = WSGI + "from django.core.asgi import get_asgi_application\napp = get_asgi_application()\n"


@pytest.mark.parametrize(
    ("target", "files", "kind"),
    [
        ("config.wsgi:application", {"config/wsgi.py": WSGI}, "wsgi"),
        ("config.asgi:application", {"config/asgi.py": ASGI}, "asgi"),
        ("config.asgi:application", {"config/asgi.py": WSGI}, "wsgi"),
        ("config.routing:application", {"config/routing.py": CHANNELS}, "asgi"),
        ("app:app", {"app.py": ELSEWHERE, "config/asgi.py": ASGI}, "asgi"),
        ("app:app", {"app.py": ELSEWHERE}, "asgi"),
        ("shop:app", RE_EXPORTED, "wsgi"),
        ("main:app", {"main.py": BOTH}, "asgi"),
        ("main:application", {"main.py": BOTH}, "wsgi"),
        ("app:create()", {"app.py": "def create():\n    return get_asgi_application()\n"}, "asgi"),
        ("app:create", {"app.py": "async def create(scope, receive, send): ...\n"}, "asgi"),
        ("app:app", {"app.py": "class App:\n    async def __call__(self, *a): ...\napp = App()\n"}, "asgi"),
        ("app:app", {"app.py": "from x import get_asgi_application as make\napp = make()\n"}, "asgi"),
        ("config.asgi:application", {"config/asgi.py": OLD_CHANNELS}, "asgi"),
        ("asgi:app", {}, "asgi"),
        ("nowhere.server:app", {}, "wsgi"),
        ("asgi:app", {"asgi.py": "def broken(:\n"}, "asgi"),
        ("", {}, "wsgi"),
    ],
)  # fmt: skip
def test_the_source_decides_and_then_the_name(
    tmp_path: Path, target: str, files: dict[str, str], kind: str
) -> None:
    """Red when the name decides alone, an import is not followed, or a file's other application counts."""
    for name, content in files.items():
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text(content)
    assert server_kind(target, [tmp_path, tmp_path / "src"]) == kind


def test_what_is_installed_is_not_asked_for() -> None:
    """Red when names are compared as they are spelled, or a hash stays behind."""
    text = (
        "click==8 \\\n    --hash=a\nUvicorn_Worker==0.4 \\\n    --hash=b\n"
        "h11==1 ; python_version < '3' \\\n    --hash=c\n"
    )
    assert missing(text, {"click", "h11"}) == "Uvicorn_Worker==0.4 \\\n    --hash=b\n"
    assert missing(text, {"click", "h11", "uvicorn-worker"}) == ""
