"""What nginx serves from the static and media volumes."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest
from world import LIVE, Nginx, World

HASHED = "admin/css/base.0123456789ab.css"
CSS = b"body { color: rebeccapurple; margin: 0 } /* \xc3\xa4 */\n" * 60
YEAR = "public, max-age=31536000, immutable"
MINUTES = "public, max-age=300"


def put(folder: Path, name: str, content: bytes) -> bytes:
    """Write a file as the project would, readable to all."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return content


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (HASHED, YEAR),
        ("js/app.min.0123456789ab.js", YEAR),
        ("js/app.js.0123456789ab.map", YEAR),
        ("LICENSE.0123456789ab", YEAR),
        ("admin/css/base.css", MINUTES),
        ("staticfiles.json", MINUTES),
        ("js/app.0123456789ax.js", MINUTES),
        ("js/app.0123456789abc.js", MINUTES),
        ("js/0123456789ab.js", MINUTES),
        ("v.0123456789ab.d/app.js", MINUTES),
    ],
)
def test_only_hashed_names_are_kept_for_a_year(shared: World, nginx: Nginx, name: str, expected: str) -> None:
    """Red when cache-control.conf's pattern takes any digits, or no name at all, for a hash."""
    put(shared.folder / "static", name, CSS)
    answer = nginx.request(f"/static/{name}")
    assert (answer.status, answer.body) == (200, CSS)
    assert answer.header("Cache-Control") == expected


def test_an_unchanged_file_is_not_sent_again(shared: World, nginx: Nginx) -> None:
    """Red with `etag off` or `if_modified_since off`."""
    put(shared.folder / "static", "site.css", CSS)
    first = nginx.request("/static/site.css")
    etag = first.header("ETag")
    assert etag
    second = nginx.request("/static/site.css", headers={"If-None-Match": etag})
    assert (second.status, second.body) == (304, b"")
    assert second.header("Cache-Control") == MINUTES


def test_text_is_compressed_for_whoever_takes_it(shared: World, nginx: Nginx) -> None:
    """Red without `gzip on`, without gzip_vary, or with text/css out of gzip_types."""
    put(shared.folder / "static", HASHED, CSS)
    answer = nginx.request(f"/static/{HASHED}", headers={"Accept-Encoding": "gzip"})
    assert answer.header("Content-Encoding") == "gzip"
    assert answer.header("Vary") == "Accept-Encoding"
    assert answer.header("Content-Type") == "text/css; charset=utf-8"
    assert gzip.decompress(answer.body) == CSS
    assert nginx.request(f"/static/{HASHED}").header("Content-Encoding") is None


def test_the_applications_answer_is_compressed_behind_a_proxy_too(nginx: Nginx) -> None:
    """Red without gzip_proxied."""
    answer = nginx.request("/large?bytes=100000", headers={"Accept-Encoding": "gzip", "Via": "1.1 balancer"})
    assert answer.header("Content-Encoding") == "gzip"
    assert len(gzip.decompress(answer.body)) > 99_000


def test_a_ready_compressed_file_is_sent_as_it_is(shared: World, nginx: Nginx) -> None:
    """Red without gzip_static: nginx would then compress the plain file itself."""
    put(shared.folder / "static", "ready.css", CSS)
    ready = put(shared.folder / "static", "ready.css.gz", gzip.compress(b"/* prepared */ " + CSS))
    answer = nginx.request("/static/ready.css", headers={"Accept-Encoding": "gzip"})
    assert answer.header("Content-Encoding") == "gzip"
    assert answer.body == ready
    assert nginx.request("/static/ready.css").body == CSS


# Of each extension: the type without its parameters, its charset, whether it is compressed.
TYPES = {
    "avif": ("image/avif", False, False),
    "bmp": ("image/x-ms-bmp", False, True),
    "cjs": ("text/javascript", True, True),
    "csv": ("text/csv", True, True),
    "flac": ("audio/flac", False, False),
    "geojson": ("application/geo+json", False, True),
    "glb": ("model/gltf-binary", False, True),
    "gltf": ("model/gltf+json", False, True),
    "gpx": ("application/gpx+xml", False, True),
    "heic": ("image/heic", False, False),
    "ics": ("text/calendar", True, True),
    "jsonld": ("application/ld+json", False, True),
    "jxl": ("image/jxl", False, False),
    "kml": ("application/vnd.google-earth.kml+xml", False, True),
    "m3u8": ("application/vnd.apple.mpegurl", False, True),
    "map": ("application/json", False, True),
    "md": ("text/markdown", True, True),
    "mjs": ("text/javascript", True, True),
    "ndjson": ("application/x-ndjson", False, True),
    "opus": ("audio/ogg", False, False),
    "otf": ("font/otf", False, True),
    "parquet": ("application/vnd.apache.parquet", False, False),
    "toml": ("application/toml", False, True),
    "tsv": ("text/tab-separated-values", True, True),
    "ttf": ("font/ttf", False, True),
    "unknown-to-all": ("application/octet-stream", False, False),
    "vcf": ("text/vcard", True, True),
    "vtt": ("text/vtt", True, True),
    "wasm": ("application/wasm", False, True),
    "weba": ("audio/webm", False, False),
    "webmanifest": ("application/manifest+json", False, True),
    "woff2": ("font/woff2", False, False),
    "xml": ("text/xml", True, True),
    "yaml": ("application/yaml", False, True),
    "yml": ("application/yaml", False, True),
    "zst": ("application/zstd", False, False),
}


@pytest.mark.parametrize("extension", TYPES)
def test_a_static_file_has_the_type_of_its_extension(shared: World, nginx: Nginx, extension: str) -> None:
    """Red without mime.types (browsers refuse a module as octet-stream), gzip_types or charset_types."""
    name = f"types/file.0123456789ab.{extension.upper() if extension == 'csv' else extension}"
    put(shared.folder / "static", name, CSS)
    answer = nginx.request(f"/static/{name}", headers={"Accept-Encoding": "gzip"})
    kind, charset, compressed = TYPES[extension]
    assert answer.header("Content-Type") == f"{kind}; charset=utf-8" if charset else kind
    assert (answer.header("Content-Encoding") == "gzip") is compressed
    assert answer.header("Cache-Control") == YEAR


def all_types(nginx: Nginx) -> dict[str, str]:
    """The type of every extension that this nginx knows."""
    text = nginx.exec("cat", "/etc/nginx/mime.types", f"{LIVE}/conf.d/mime-types.conf")
    entries = re.sub(r"#.*|types\s*\{", "", text).replace("}", "").split(";")
    found = {name: kind for kind, *names in map(str.split, filter(str.strip, entries)) for name in names}
    assert {"html", "js", "webmanifest"} <= set(found)
    return found


def test_no_upload_of_any_type_runs_in_the_sites_origin(shared: World, nginx: Nginx) -> None:
    """Red when a type of script gets an extension that media.conf does not take it from, or one that is
    displayed and may hold script gets onto media-safety.conf's list.

    Scripts as the WHATWG's MIME Sniffing Standard counts them, styles, and what is compiled.
    """
    runs = re.compile(r"(text|application)/((x-)?(java|ecma|j|live)script.*|css|wasm)|application/wasm")
    shown = re.compile(r"(image/(?!svg)|audio/|video/)[^;]+|application/pdf|text/plain")
    put(shared.folder / "media", "every.txt", b"<script>alert(1)</script>")
    for extension, kind in all_types(nginx).items():
        put(shared.folder / "media", f"every.{extension}", b"<script>alert(1)</script>")
        answer = nginx.request(f"/media/every.{extension}")
        sent = (answer.header("Content-Type") or "").partition(";")[0]
        assert answer.status == 200
        assert sent == ("application/octet-stream" if runs.fullmatch(kind) else kind), extension
        assert answer.header("X-Content-Type-Options") == "nosniff"
        if not shown.fullmatch(sent):
            assert answer.header("Content-Disposition") == "attachment", (extension, sent)
            assert "sandbox" in (answer.header("Content-Security-Policy") or ""), (extension, sent)


@pytest.mark.parametrize("path", ["/static/nothing.0123456789ab.css", "/media/nothing.png"])
def test_a_missing_file_is_answered_without_the_application(nginx: Nginx, path: str) -> None:
    """Red when the location falls back to the application (try_files ... @web)."""
    answer = nginx.request(path)
    assert answer.status == 404
    assert b"There is nothing at this address" in answer.body
    assert answer.header("Cache-Control") == "no-store"
    assert nginx.logged(lambda line: line["uri"] == path)["upstream_addr"] == ""


def test_a_folder_redirects_without_naming_the_container_port(shared: World, nginx: Nginx) -> None:
    """Red without `absolute_redirect off`: Location would name port 8080."""
    put(shared.folder / "static", "folder/file.css", CSS)
    answer = nginx.request("/static/folder")
    assert (answer.status, answer.header("Location")) == (301, "/static/folder/")


def test_an_upload_comes_back_byte_for_byte(shared: World, nginx: Nginx) -> None:
    """Red when media is served from elsewhere, rewritten, or shown as a download."""
    picture = put(shared.folder / "media", "2026/11/kitten.png", b"\x89PNG\r\n\x1a\n" + os.urandom(300_000))
    answer = nginx.request("/media/2026/11/kitten.png", headers={"Accept-Encoding": "gzip"})
    assert (answer.status, answer.header("Content-Type")) == (200, "image/png")
    assert answer.body == picture
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Cache-Control") == MINUTES
    assert answer.header("Content-Disposition") is None
    part = nginx.request("/media/2026/11/kitten.png", headers={"Range": "bytes=8-107"})
    assert (part.status, part.body) == (206, picture[8:108])


def test_media_is_never_kept_for_a_year(shared: World, nginx: Nginx) -> None:
    """Red when the pattern for hashed names covers media as well: an upload may be replaced."""
    put(shared.folder / "media", "photo.0123456789ab.png", b"png")
    assert nginx.request("/media/photo.0123456789ab.png").header("Cache-Control") == MINUTES


@pytest.mark.parametrize(
    "name", ["page.html", "drawing.svg", "feed.xml", "page.xhtml", "code.js", "noextension", "x.php"]
)
def test_a_dangerous_upload_is_a_download_and_sandboxed(shared: World, nginx: Nginx, name: str) -> None:
    """Red when the type is on media-safety.conf's list of types shown in place."""
    content = put(shared.folder / "media", name, b"<script>alert(document.cookie)</script>")
    answer = nginx.request(f"/media/{name}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.header("Content-Disposition") == "attachment"
    assert "sandbox" in (answer.header("Content-Security-Policy") or "")
    assert answer.header("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize(
    "name",
    ["doc.pdf", "photo.JPG", "clip.mp4", "song.mp3", "notes.txt", "i.avif", "i.heic", "a.opus", "v.mkv"],
)
def test_a_harmless_upload_is_shown_in_place(shared: World, nginx: Nginx, name: str) -> None:
    """Red when media-safety.conf treats every type as dangerous."""
    put(shared.folder / "media", name, b"content")
    answer = nginx.request(f"/media/{name}")
    assert answer.header("Content-Disposition") is None
    assert answer.header("Content-Security-Policy") is None


def test_a_link_in_media_leads_nowhere(shared: World, nginx: Nginx) -> None:
    """Red without disable_symlinks: /etc/passwd would be served."""
    (shared.folder / "media" / "link.txt").symlink_to("/etc/passwd")
    answer = nginx.request("/media/link.txt")
    assert answer.status == 403
    assert b"root:" not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_files_are_only_read(shared: World, nginx: Nginx, method: str) -> None:
    """Red when another method on /media/ reaches the application or the file (dav_methods)."""
    put(shared.folder / "media", "kept.txt", b"kept")
    assert nginx.request("/media/kept.txt", method, body=b"x").status == 405
    assert nginx.request("/media/kept.txt").body == b"kept"


@pytest.mark.parametrize(
    "path",
    [
        "/static/.env",
        "/static/.git/config",
        "/static/a/.git/x/config",
        "/static/%2eenv",
        "/static//.env",
        "/tags/../static/.env",
        "/media/.htpasswd",
        "/media/2026/.x.js",
    ],
)
def test_dotfiles_are_refused(shared: World, nginx: Nginx, path: str) -> None:
    """Red without dotfiles.conf in the locations of static files and uploads."""
    put(shared.folder / "static", ".env", b"SECRET=1")
    put(shared.folder / "media", ".htpasswd", b"admin:1")
    answer = nginx.request(path)
    assert answer.status == 404
    assert b"There is nothing at this address" in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/security.txt",
        "/tags/.net/",
        "/tags/a/.github/x/",
        "/.net",
        "/files/.env?raw",
        "/a/%2egit/config",
        "/tags/.static/",
        "/statics/.x",
    ],
)
def test_dots_in_the_applications_addresses_are_its_own(nginx: Nginx, path: str) -> None:
    """Red with dotfiles.conf in the server: nginx's 404, and Django never sees the request."""
    answer = nginx.request(path)
    assert answer.status == 200
    assert answer.json["path"] == path
