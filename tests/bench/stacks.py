"""The two stacks that are put under load: production as the kit ships it, and the usual compose file.

Both run the same project, a copy of the example with two more pages, over the same entries, without TLS as it
is by default. Both are up all the time; whoever measures asks one of them at a time.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench.setups import compose_file
from tests.bench.workshop import Workshop
from tests.support import polling
from tests.support.world import World, base_images, docker, free_port

__all__ = [
    "DATABASE_PAGE", "GUESTBOOK", "TRIVIAL_PAGE", "Stack", "add_pages", "check_alike", "check_headers",
    "fill", "ours", "usual",
]  # fmt: skip

DATABASE_PAGE = "/bench/entries"
"""The newest ten entries through a template: one query."""
TRIVIAL_PAGE = "/bench/hello"
GUESTBOOK = "/"
"""The example's own page: two queries, a form with its CSRF token, pagination."""

_PAGES = """
from django.http import HttpResponse
from django.shortcuts import render
from guestbook.models import Entry


def bench_entries(request):
    return render(request, "guestbook/bench.html", {"entries": Entry.objects.all()[:10]})


def bench_hello(request):
    return HttpResponse("hello")


urlpatterns.insert(0, path("bench/entries", bench_entries))
urlpatterns.insert(0, path("bench/hello", bench_hello))
"""
_TEMPLATE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Entries</title></head>
<body>
<ul>
{% for entry in entries %}
<li id="entry-{{ entry.pk }}">{{ entry.text }} <time>{{ entry.created|date:"c" }}</time></li>
{% endfor %}
</ul>
</body>
</html>
"""
_USUAL = Path(__file__).with_name("usual")
_ENTRIES = 300
_FILL = f"""
INSERT INTO guestbook_entry (text, image, created)
SELECT 'Entry ' || n || ': ' || repeat('the quick brown fox jumps over the lazy dog. ', 1 + n % 4), '',
       timestamptz '2026-01-01 00:00:00+00' + n * interval '1 hour'
FROM generate_series(1, {_ENTRIES}) AS n
"""
# A server that loses what it has confirmed would be faster than it may be.
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
_SECURITY_HEADERS = (
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
)
# Its name is the same in both, by its content.
_STYLESHEET = re.compile(r'href="(/static/admin/css/base[^"]*\.css)"')


@dataclass(frozen=True)
class Stack:
    """One of the two, running."""

    project: str
    """Compose's name of it."""
    url: str
    network: str
    """The network on which nginx listens."""
    nginx_port: int

    @property
    def nginx(self) -> str:
        """Where nginx listens, for who is on its network."""
        return f"{self.project}-nginx-1:{self.nginx_port}"

    def containers(self) -> list[str]:
        """The names of what runs, without the one-shots, which have ended."""
        label = f"label=com.docker.compose.project={self.project}"
        return sorted(docker("ps", "--filter", label, "--format", "{{.Names}}").split())

    def service(self, name: str) -> list[str]:
        """The names of the containers of the service ``name``."""
        return [found for found in self.containers() if re.fullmatch(f"{self.project}-{name}-\\d+", found)]

    def sql(self, query: str) -> str:
        """The database's answer to ``query``, unaligned."""
        psql = ["psql", "--username=app", "--dbname=app", "--tuples-only", "--no-align"]
        return docker("exec", f"{self.project}-db-1", *psql, "--set=ON_ERROR_STOP=1", "-c", query).strip()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """One answer, which must be a 200."""
        answer = httpx.get(f"{self.url}{path}", headers=dict(headers or {}), timeout=30, trust_env=False)
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code} {answer.text[:300]}"
        return answer

    def stylesheet(self) -> str:
        """The path of the admin's stylesheet, some 20 KB, under the name it was collected as."""
        found = _STYLESHEET.search(self.get("/admin/login/").text)
        assert found, "the admin names no stylesheet"
        return found[1]


def add_pages(own: World) -> None:
    """Give the copy's project the two pages, before it is built."""
    project = own.root / "example"
    urls = project / "config" / "urls.py"
    urls.write_text(urls.read_text() + _PAGES)
    (project / "guestbook" / "templates" / "guestbook" / "bench.html").write_text(_TEMPLATE)


def ours(own: World) -> Stack:
    """Build and start production in ``own``."""
    own.invoke("up")
    return Stack(own.project, own.url, f"{own.project}_edge", 8080)


def usual(place: Workshop, own: World) -> Stack:
    """Build the project of ``own`` in two stages with pip and start the usual compose file with it.

    Both are gone at the end of ``place``.
    """
    port, project = free_port(), f"usual{secrets.token_hex(4)}"
    dockerfile = str(_USUAL / "two-stage-pip" / "Dockerfile")
    built = place.folder / "usual-build.json"
    image = f"{project}-web"
    section = compose_file(place, image, own.root / "example", dockerfile, docker)
    built.write_text(json.dumps(section), encoding="utf-8")
    files = [f"--file={file}" for file in (_USUAL / "compose" / "compose.yaml", built)]
    variables = {**base_images(), "PORT": str(port)}

    def compose(*arguments: str) -> None:
        argv = ["docker", "compose", "--progress=quiet", f"--project-name={project}", *files, *arguments]
        done = subprocess.run(
            argv, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout[-2000:]}"

    place.at_end(lambda: docker("image", "rm", "--force", image, check=False))
    place.at_end(lambda: compose("down", "--volumes", "--timeout=1"))
    compose("up", "--build", "--detach")
    found = Stack(project, f"http://localhost:{port}", f"{project}_default", 80)
    polling.eventually(lambda: found.get(TRIVIAL_PAGE), "the usual stack answers", timeout=120)
    return found


def fill(stack: Stack) -> None:
    """Put the entries into its database, which has to be one that keeps what it has confirmed."""
    for name in _DURABLE:
        assert stack.sql(f"SHOW {name}") == "on", f"{stack.project}: {name} is off"
    stack.sql(_FILL)
    # Not at some moment of its own while the load is on.
    stack.sql("VACUUM ANALYZE guestbook_entry")


def check_alike(one: Stack, other: Stack) -> None:
    """Return when both answer with the same bytes; what is measured of each is then the same page."""
    assert one.stylesheet() == other.stylesheet()
    for path in (DATABASE_PAGE, TRIVIAL_PAGE, one.stylesheet()):
        assert one.get(path).content == other.get(path).content, path
    assert one.get(DATABASE_PAGE).text.count("<li ") == 10
    assert len(one.get(one.stylesheet()).content) > 15_000


def check_headers(stack: Stack) -> None:
    """Return when the page has the security headers that are promised."""
    answer = stack.get(DATABASE_PAGE)
    missing = [name for name in _SECURITY_HEADERS if name not in answer.headers]
    assert not missing, f"{stack.url} answers without {', '.join(missing)}"
