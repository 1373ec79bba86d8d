"""Files outside static/ and media/ stay there, however the way to them is written.

Dotfiles, and what may be cached how: tests/nginx/test_nginx_files.py.
"""

from __future__ import annotations

import itertools

import pytest
from inside import by_service, execute
from rawhttp import send, statuses

from tests.support.world import World, base_images, docker

# What no answer may hold: /etc/passwd, nginx's own configuration, the project's code, and a dotfile.
FOREIGN = (b"root:x:", b"worker_processes", b"DJANGO_SETTINGS_MODULE", b"planted-dotfile")

UP = {
    "plain": "../",
    "encoded dots": "%2e%2e/",
    "one dot encoded": ".%2E/",
    "encoded slash": "..%2f",
    "all encoded": "%2e%2e%2f",
    "encoded twice": "%252e%252e%252f",
    "encoded thrice": "%25252e%25252e%25252f",
    "backslash": "..\\",
    "encoded backslash": "..%5c",
    "overlong": "%c0%ae%c0%ae%c0%af",
    "wide": "%uff0e%uff0e%u2215",
    "doubled": "....//",
    "parameters": "..;/",
    "zero byte": "..%00/",
    "slashes": "..////",
    "current folders": "./.././",
}
PREFIXES = ("/static/", "/media/", "/static/x/../", "/media/2026/%2e/", "//static/", "/STATIC/../static/")
TARGETS = ("etc/passwd", "srv/nginx/live/nginx.conf", "app/manage.py", "static/.hidden")

# The folder's name without its slash: `location /media { alias …/; }` would take these for `..` below it.
SLIPS = (
    "/static../nginx/live/nginx.conf",
    "/media../nginx/live/nginx.conf",
    "/static..%2fnginx/live/nginx.conf",
    "/media%2e%2e/nginx/live/nginx.conf",
    "/static/../media../nginx/live/nginx.conf",
    "/media/.%00./nginx/live/nginx.conf",
    "/media/%2fetc/passwd",
    "/media//etc/passwd",
    "/media/file:///etc/passwd",
    "/static/%00../../etc/passwd",
    "/static/admin/css/base.css%00.html/../../../../../etc/passwd",
    "/media/?/../../../etc/passwd",
    "/media/#/../../../etc/passwd",
)


@pytest.fixture(scope="module")
def traps(prod: World) -> World:
    """A dotfile among the static files, and links among the uploads, as an intruder would make them."""
    web, project = by_service(prod)["web"], prod.project
    links = {"passwd.txt": "/etc/passwd", "nginx.txt": "/srv/nginx/live/nginx.conf", "root": "/"}
    for name, target in links.items():
        execute(web, "ln", "-s", target, f"/app/media/{name}")
    execute(web, "ln", "-s", "/srv", "/app/media/up")
    flags = ("--rm", "--volume", f"{project}_static:/srv/static", "--entrypoint", "sh")
    docker("run", *flags, base_images()["PYTHON_IMAGE"], "-c", "echo planted-dotfile > /srv/static/.hidden")
    return prod


def _get(port: int, path: str) -> bytes:
    request = b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode("latin-1")
    return send(port, request)


@pytest.mark.parametrize("way", UP.values(), ids=UP.keys())
def test_no_way_up_leads_out(traps: World, way: str) -> None:
    """Red with `alias /` for /media/, or an application that decodes a second time."""
    for prefix, target, depth in itertools.product(PREFIXES, TARGETS, (1, 2, 6)):
        path = f"{prefix}{way * depth}{target}"
        answer = _get(traps.port, path)
        assert statuses(answer) in ([400], [403], [404]), (path, answer[:200])
        assert not [text for text in FOREIGN if text in answer], path


@pytest.mark.parametrize("path", SLIPS)
def test_no_slip_of_a_folder_leads_out(traps: World, path: str) -> None:
    """Red with `location /media { alias /srv/media/; }`: /media../nginx would be /srv/nginx."""
    answer = _get(traps.port, path)
    assert statuses(answer) in ([400], [403], [404]), answer[:200]
    assert not [text for text in FOREIGN if text in answer]


@pytest.mark.parametrize(
    "path",
    ["passwd.txt", "nginx.txt", "root/etc/passwd", "up/nginx/live/nginx.conf", "root/srv/static/.hidden"],
)
def test_a_link_among_uploads_leads_nowhere(traps: World, path: str) -> None:
    """Of a file, or of a folder on the way. Red without disable_symlinks in media.conf."""
    answer = _get(traps.port, f"/media/{path}")
    assert statuses(answer) in ([403], [404]), answer[:200]
    assert not [text for text in FOREIGN if text in answer]


def test_the_same_files_can_be_had_without_a_way_up(traps: World) -> None:
    """The control: what the tests above ask for is there, and can be read by nginx."""
    nginx = by_service(traps)["nginx"]
    for path in ("/etc/passwd", "/srv/nginx/live/nginx.conf", "/srv/static/.hidden"):
        said = execute(nginx, "cat", path).encode()
        assert [text for text in FOREIGN if text in said], path
    assert statuses(_get(traps.port, "/static/admin/css/base.css")) == [200]


def test_folders_are_not_listed(traps: World) -> None:
    """Red with `autoindex on`."""
    for path in ("/static/", "/media/", "/static/admin/"):
        assert statuses(_get(traps.port, path)) in ([403], [404]), path
