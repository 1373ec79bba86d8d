"""The example site as a browser sees it: pages, the CSRF form, the admin."""

from __future__ import annotations

import re
import ssl
import time

import httpx


class Site:
    """A visitor with cookies. ``url`` is the site's root, without the slash at the end.

    ``timeout`` is in seconds; ``verify`` says which CA is trusted, as httpx takes it.
    """

    def __init__(
        self, url: str, timeout: float = 30, *, verify: ssl.SSLContext | bool = True, http2: bool = False
    ) -> None:
        # `trust_env` would send these requests through a proxy of the host.
        self.client = httpx.Client(base_url=url, timeout=timeout, trust_env=False, verify=verify, http2=http2)
        self.url = url

    def get(self, path: str = "/", **headers: str) -> httpx.Response:
        """A plain GET; header names are written with underscores."""
        return self.client.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def submit(
        self,
        path: str,
        data: dict[str, str],
        files: dict[str, tuple[str, bytes, str]] | None = None,
        pause: float = 0,
        page: httpx.Response | None = None,
    ) -> httpx.Response:
        """Fetch the form at ``path`` and send it, as a browser would: token, cookie and Origin.

        ``pause`` is the seconds a person takes to fill it in; ``page`` the form, if it was fetched already.
        """
        page = page or self.get(path)
        time.sleep(pause)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, f"no form at {path}: {page.status_code}"
        headers = {"Origin": self.url, "Referer": f"{self.url}{path}"}
        form = {**data, "csrfmiddlewaretoken": token[1]}
        return self.client.post(path, data=form, files=files, headers=headers)

    def sign_in(self, username: str, password: str) -> httpx.Response:
        """Log in to the admin; a redirect to /admin/ means it worked."""
        return self.submit("/admin/login/?next=/admin/", {"username": username, "password": password})

    def release(self, page: httpx.Response | None = None) -> str:
        """The release the page says it is; ``page`` is fetched unless given."""
        page = page or self.get("/")
        found = re.search(r'<html[^>]*data-release="([^"]*)"', page.text)
        assert found, f"the page names no release: {page.status_code}"
        return found[1]


def png(color: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """A real one-pixel PNG, made by hand so that tests need no imaging library."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" + bytes(color))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
