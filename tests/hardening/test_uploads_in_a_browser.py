"""Uploads that are scripts, in a real browser: none of them runs in the site's origin.

Each upload, if it runs, asks the site for an address with its name: that is what is looked for in the
application's log. A relay that takes the protecting headers away is the control: without
them the same files do run.
"""

from __future__ import annotations

import base64
import http.client
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from inside import by_service
from rawhttp import watched

from slipway.host.mirrors import write_build_secrets
from tests.support.world import ROOT, World, base_images, docker

pytestmark = pytest.mark.long

_DOCKERFILE = """
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
RUN --mount=type=bind,from=docker,source=install-packages,target=/kit/install-packages \
    --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    /kit/install-packages chromium-headless-shell
"""

_BEACON = "new Image().src = '/seen/TOKEN/{name}'"
_HTML = f"<!doctype html><script>{_BEACON}</script>"
_SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><script>{_BEACON}</script></svg>'
_XHTML = f'<html xmlns="http://www.w3.org/1999/xhtml"><head><script>{_BEACON}</script></head></html>'
UPLOADS = {
    "page.html": _HTML,
    "page.htm": _HTML,
    "page.xhtml": _XHTML,
    "feed.xml": _XHTML,
    "drawing.svg": _SVG,
    "picture.html.png": _HTML,
    "picture.png.html": _HTML,
    "noextension": _HTML,
    "unknown.type": _HTML,
    "notes.txt": _HTML,
    # A GIF by its first bytes, a script as a whole.
    "polyglot.gif": f"GIF89a/*\\0\\0*/=1;{_BEACON}/*<script>{_BEACON}</script>*/",
    "code.js": _BEACON,
    "code.mjs": _BEACON,
}
# Those that a browser runs when it is shown them as a document without the headers that keep it from it.
RUNS_AS_DOCUMENT = {"page.html", "page.htm", "page.xhtml", "feed.xml", "drawing.svg", "picture.png.html"}
RUNS_AS_SCRIPT = {"code.js", "code.mjs", "polyglot.gif"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with Debian's Chromium, gone afterwards."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    write_build_secrets(folder / "secrets")
    image = "slipway-test-browser"
    docker(
        "build", "--quiet", "--tag", image, "--build-arg", f"PYTHON_IMAGE={base_images()['PYTHON_IMAGE']}",
        "--build-context", f"docker={ROOT / 'docker'}",
        "--secret", f"id=apt,src={folder / 'secrets' / 'apt-mirror'}", str(folder),
    )  # fmt: skip
    yield image
    docker("image", "rm", "--force", image)
    shutil.rmtree(folder)


def _visit(browser: str, url: str) -> str:
    """Open ``url`` in a fresh profile, let everything on the page finish; what the page then is."""
    chromium = ("chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--dump-dom", "--timeout=4000")
    argv = ["docker", "run", "--rm", "--network", "host", "--init", browser, *chromium, url]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


@contextmanager
def _uploaded(prod: World, token: str) -> Iterator[None]:
    """The uploads in the media volume, as a project that checks nothing would have stored them."""
    web = by_service(prod)["web"]["Id"]
    for name, content in UPLOADS.items():
        text = content.format(name=name).replace("TOKEN", token)
        encoded = base64.b64encode(text.encode()).decode()
        script = f"mkdir -p /app/media/evil && echo {encoded} | base64 -d > /app/media/evil/{name}"
        docker("exec", web, "sh", "-c", script)
    yield
    docker("exec", web, "rm", "-r", "/app/media/evil")


class Relay:
    """The site under another port, without some of its headers, and with one page more, ``/attack``."""

    def __init__(self, prod: World, page: str, *without: str) -> None:
        relay = self
        self.page, self.without = page.encode(), {name.lower() for name in without}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/attack":
                    self._answer(200, [("Content-Type", "text/html")], relay.page)
                    return
                connection = http.client.HTTPConnection("127.0.0.1", prod.port, timeout=10)
                connection.request("GET", self.path, headers={"Host": "localhost"})
                answer = connection.getresponse()
                dropped = relay.without | {"transfer-encoding", "content-length", "connection"}
                kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in dropped]
                self._answer(answer.status, kept, answer.read())
                connection.close()

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in [*headers, ("Content-Length", str(len(body)))]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Relay:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _ran(seen: list[str]) -> set[str]:
    return {line.removeprefix("GET ") for line in seen}


_EMBEDDED = "".join(
    f'<iframe src="/media/evil/{name}"></iframe><object data="/media/evil/{name}"></object>'
    f'<embed src="/media/evil/{name}"><img src="/media/evil/{name}">'
    for name in UPLOADS
)
# What an injected tag can do on a page whose policy allows scripts of the site itself. As a module too.
_AS_SCRIPT = "".join(
    f'<script src="/media/evil/{name}"></script><script type="module" src="/media/evil/{name}"></script>'
    f'<link rel="stylesheet" href="/media/evil/{name}">'
    for name in UPLOADS
)


def test_a_link_to_an_upload_runs_nothing(prod: World, browser: str) -> None:
    """Straight from the site. Red without media-safety.conf's two headers."""
    with watched(prod) as watch, _uploaded(prod, watch.token):
        for name in UPLOADS:
            _visit(browser, f"http://localhost:{prod.port}/media/evil/{name}")
        # The control: a page of the same browser does ask for such an address.
        _visit(browser, f"http://localhost:{prod.port}{watch.path('shown')}")
    assert _ran(watch.seen()) == {"shown"}


def test_an_upload_within_a_page_runs_nothing(prod: World, browser: str) -> None:
    """In a frame, as an object, an embedded one, a picture. Red without media-safety.conf's two headers."""
    with watched(prod) as watch, _uploaded(prod, watch.token), Relay(prod, _EMBEDDED) as relay:
        assert "iframe" in _visit(browser, f"{relay.url}/attack")
    assert watch.seen() == []


def test_the_policy_alone_would_do(prod: World, browser: str) -> None:
    """For browsers and programs that show a download all the same. Red without media_csp."""
    without = ("Content-Disposition", "X-Frame-Options")
    with watched(prod) as watch, _uploaded(prod, watch.token), Relay(prod, _EMBEDDED, *without) as relay:
        _visit(browser, f"{relay.url}/attack")
        for name in UPLOADS:
            _visit(browser, f"{relay.url}/media/evil/{name}")
    assert watch.seen() == []


def test_an_upload_is_no_script_of_the_sites_own(prod: World, browser: str) -> None:
    """Red without the location for scripts in media.conf, or without nosniff."""
    with watched(prod) as watch, _uploaded(prod, watch.token), Relay(prod, _AS_SCRIPT) as relay:
        assert "module" in _visit(browser, f"{relay.url}/attack")
    assert watch.seen() == []


def test_without_its_headers_every_one_of_them_runs(prod: World, browser: str) -> None:
    """The control: the scripts work, the browser runs them, and the log would show it."""
    dropped = ("Content-Disposition", "Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options")
    with watched(prod) as watch, _uploaded(prod, watch.token), Relay(prod, "", *dropped) as relay:
        for name in UPLOADS:
            _visit(browser, f"{relay.url}/media/evil/{name}")
    assert _ran(watch.seen()) >= RUNS_AS_DOCUMENT
    dropped = (*dropped, "Content-Type")
    with watched(prod) as watch, _uploaded(prod, watch.token), Relay(prod, _AS_SCRIPT, *dropped) as relay:
        _visit(browser, f"{relay.url}/attack")
    assert _ran(watch.seen()) >= RUNS_AS_SCRIPT - {"code.mjs"}
