"""What runs and what is served beside pages: WebSockets, files, tasks, assets."""

from __future__ import annotations

from collections.abc import Callable

from adoptkit import Adopted
from projectkit import Project
from projects import api_only, asgi_chat, celery_redis, npm_assets, static_outside

from tests.support.polling import eventually
from tests.support.site import png
from tests.support.websocket import WebSocket

Beside = Callable[[Project], Adopted]


def test_a_websocket_through_nginx(beside: Beside) -> None:
    """Red when the worker speaks no WebSocket, or nginx does not pass on the upgrade."""
    own = beside(asgi_chat.PROJECT)
    own.prove()
    with WebSocket(own.port, "/ws/echo/") as socket:
        assert socket.status == 101
        socket.send("hello")
        assert socket.receive() == "echo: hello"
        socket.send("again")
        assert socket.receive() == "echo: again"
    with WebSocket(own.port, "/ws/echo/", origin="http://evil.example") as socket:
        assert socket.status == 403


def test_static_files_and_uploads_outside_the_project(beside: Beside) -> None:
    """Red when STATIC_URL or MEDIA_URL is /static/ or /media/ whatever the settings say."""
    own = beside(static_outside.PROJECT)
    own.prove()
    picture = png()
    answer = own.site.submit("/upload/", {}, files={"picture": ("picture.png", picture, "image/png")})
    assert answer.headers["Location"].startswith("/uploads/")
    served = own.site.get(answer.headers["Location"])
    assert served.content == picture
    assert own.logged(served)["upstream_addr"] == ""


def test_a_celery_worker_writes_what_a_request_has_asked_for(beside: Beside) -> None:
    """Red without the broker, the worker, or beat."""
    own = beside(celery_redis.PROJECT)
    own.prove()
    assert own.site.get("/start/From%20the%20worker/").status_code == 202
    eventually(lambda: "From the worker<" in own.site.get("/").text, "the task's row", timeout=30)
    eventually(lambda: "From beat<" in own.site.get("/").text, "the row of the schedule", timeout=30)


def test_assets_of_npm_and_whitenoise(beside: Beside) -> None:
    """Red when npm runs after collectstatic or not at all: the manifest has no built.css then."""
    own = beside(npm_assets.PROJECT)
    own.prove()
    own.assert_static(own.stylesheet("built"), "color: teal")


def test_an_api_without_pages(beside: Beside) -> None:
    """Red when a 404 at / counts as ill, or requirements in UTF-16 are no requirements."""
    own = beside(api_only.PROJECT)
    own.prove()
    assert own.site.get("/").status_code == 404
