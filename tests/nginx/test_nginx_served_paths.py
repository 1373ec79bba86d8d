"""Static files and uploads under whatever addresses a project gives them: every rule holds there."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import LIVE, Nginx, World

SCRIPT = b"alert(1)\n"


def put(folder: Path, name: str, content: bytes = SCRIPT) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def start(world: World, **environment: str) -> Nginx:
    for name in ("app.js", "app.0123456789ab.js", "m.mjs", ".git/x.mjs", ".env"):
        put(world.folder / "static", name)
    for name in ("page.html", "code.js", "photo.png", ".git/code.js"):
        put(world.folder / "media", name)
    world.start_stub()
    nginx = world.start_nginx(**environment)
    world.wait_for_application(nginx)
    return nginx


def reached_application(nginx: Nginx, path: str) -> bool:
    answer = nginx.request(path)
    return answer.status == 200 and answer.header("Content-Type") == "application/json"


@pytest.mark.parametrize(
    ("static", "media"),
    [("/assets/static/", "/assets/"), ("s/", "/s.1/up/"), ("/static/", "/static/media/")],
)
def test_every_rule_holds_under_other_addresses(world: World, static: str, media: str) -> None:
    """Red when a template or map names /static/ or /media/, or the rules of one apply to the other."""
    nginx = start(world, NGINX_STATIC_URL=static, NGINX_MEDIA_URL=media)
    static = f"/{static.strip('/')}/"

    script = nginx.request(f"{static}app.js")
    assert (script.status, script.body) == (200, SCRIPT)
    assert "javascript" in str(script.header("Content-Type")), (
        "the rule for scripts among uploads is not for these"
    )
    assert script.header("Content-Disposition") is None
    assert script.header("Cache-Control") == "public, max-age=300"
    assert "immutable" in str(nginx.request(f"{static}app.0123456789ab.js").header("Cache-Control"))
    assert str(nginx.request(f"{static}m.mjs").header("Content-Type")).startswith("text/javascript")

    page = nginx.request(f"{media}page.html")
    assert (page.status, page.header("Content-Disposition")) == (200, "attachment")
    assert "sandbox" in str(page.header("Content-Security-Policy"))
    upload = nginx.request(f"{media}code.js")
    assert (upload.status, upload.header("Content-Type")) == (200, "application/octet-stream")
    assert nginx.request(f"{media}photo.png").header("Content-Disposition") is None

    for path in (f"{static}.env", f"{static}.git/x.mjs", f"{media}.git/code.js", f"{static}none.css"):
        assert nginx.request(path).status == 404, path
    # The way out of an alias without a slash at its end.
    assert nginx.request(f"{static[:-1]}../state/maintenance").status != 200 or reached_application(
        nginx, f"{static[:-1]}../state/maintenance"
    )
    # What is a letter in an address is none in a pattern: /s.1/ is not /sx1/.
    assert (
        nginx.request(media.replace(".", "x") + "none" if "." in media else "/echo").header("Cache-Control")
        is None
    )

    nginx.exec(f"{LIVE}/bin/maintenance", "on", "60", "closed")
    assert nginx.request(f"{static}app.js").status == 200
    assert nginx.request(f"{media}photo.png").status == 503


def test_what_is_served_elsewhere_is_the_applications(world: World) -> None:
    """Red when the address of another host, or the root of the site, becomes a location."""
    nginx = start(world, NGINX_STATIC_URL="https://cdn.example.com/static/", NGINX_MEDIA_URL="/")
    for path in ("/static/app.js", "/media/photo.png", "/app.js", "/nowhere/app.js"):
        assert reached_application(nginx, path), path


def test_a_page_is_no_probe(world: World) -> None:
    """Red when served-paths.envsh lets every HEALTH_READY_PATH pass: the home page of a closed site would."""
    nginx = start(world, NGINX_HEALTH_READY_PATH="/")
    nginx.exec(f"{LIVE}/bin/maintenance", "on", "60", "closed")
    assert nginx.request("/").status == 503
    assert nginx.request("/healthz/ready").status == 200
