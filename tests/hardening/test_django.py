"""What the project itself answers with, and what Django's own deployment check says of it.

nginx's headers, once each and on every answer: tests/nginx/test_nginx_answers.py.
"""

from __future__ import annotations

import re
import secrets
import subprocess
from http.cookies import SimpleCookie

import pytest
from inside import by_service

from tests.support.site import Site, png
from tests.support.world import World

# What a production behind TLS adds to app.prod.env.
HTTPS = {"HTTPS": "1"}


def _manage(prod: World, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``manage.py`` in the running production container, with these variables too."""
    flags = [word for item in variables.items() for word in ("--env", "=".join(item))]
    entry = ("python", "/opt/slipway/entrypoint.py", "python", "manage.py")
    argv = ["docker", "exec", *flags, by_service(prod)["web"]["Id"], *entry, *command]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_deployment_check_is_silent_for_a_production_with_https(prod: World) -> None:
    """In the production image, with the production's environment and secrets.

    Red when a setting of the example goes back to Django's default, e.g. CSRF_COOKIE_SECURE.
    """
    done = _manage(prod, "check", "--deploy", "--fail-level", "WARNING", **HTTPS)
    assert done.returncode == 0, done.stderr
    assert "security.W" not in done.stdout + done.stderr


def test_without_https_the_check_says_what_is_missing_and_nothing_else(prod: World) -> None:
    """HSTS, the redirect and both cookies. Red when the example silences one of these checks."""
    done = _manage(prod, "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 1
    assert set(re.findall(r"security\.W\d+", done.stderr)) == {
        "security.W004",
        "security.W008",
        "security.W012",
        "security.W016",
    }


def test_only_what_the_domains_owner_decides_is_silenced(prod: World) -> None:
    """Subdomains in HSTS, and preloading. Red when the example silences more."""
    code = "from django.conf import settings; print(settings.SILENCED_SYSTEM_CHECKS)"
    done = _manage(prod, "shell", "--no-imports", "-c", code)
    assert done.stdout.strip() == "['security.W005', 'security.W021']", done.stderr


def test_pages_cannot_be_framed_sniffed_or_scripted(site: Site) -> None:
    """Red when a middleware goes, or nginx hides what it sends."""
    for path in ("/", "/admin/login/", "/no/such/page", "/api/entries"):
        headers = site.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "DENY", path
        assert headers["Referrer-Policy"] == "same-origin", path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path


def test_no_answer_names_a_version(prod: World, site: Site) -> None:
    """Red without `server_tokens off`, or with gunicorn's own Server header passed on."""
    answers = [site.get(path) for path in ("/", "/static/none", "/media/none", "/api/entries")]
    answers += [site.get("/", Host="evil.example"), site.client.request("TRACE", "/")]
    for answer in answers:
        assert answer.headers["Server"] == "nginx", answer.url
        assert not {"X-Powered-By", "Via"} & set(answer.headers), answer.url
        assert not re.search(r"nginx/\d|gunicorn|Django/|Python/", answer.text), answer.url


def _cookies(site: Site) -> SimpleCookie:
    """The cookies of a visitor who has signed in."""
    jar: SimpleCookie = SimpleCookie()
    for answer in (site.get("/admin/login/"), site.sign_in("cookie", "Tr0ub4dor-and-3")):
        for line in answer.headers.get_list("Set-Cookie"):
            jar.load(line)
    return jar


def test_cookies_are_for_this_site_and_not_for_scripts(prod: World, site: Site) -> None:
    """Over plain HTTP. Red with SESSION_COOKIE_HTTPONLY or a SameSite switched off."""
    prod.invoke("createsuperuser", "--username", "cookie", "--email", "c@example.org",
                env={"DJANGO_SUPERUSER_PASSWORD": "Tr0ub4dor-and-3"})  # fmt: skip
    jar = _cookies(site)
    assert set(jar) == {"csrftoken", "sessionid"}
    assert jar["sessionid"]["httponly"]
    for name, cookie in jar.items():
        assert cookie["samesite"] in {"Lax", "Strict"}, name
        assert cookie["path"] == "/" and not cookie["domain"], name


def test_an_upload_that_is_no_picture_is_refused_by_the_form(site: Site) -> None:
    """Red when the example takes the name or the sent type for the content."""
    script = b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"
    for name, kind in (("x.svg", "image/svg+xml"), ("x.png", "image/png"), ("x.html", "text/html")):
        answer = site.submit(
            "/", {"text": f"no {secrets.token_hex(4)}"}, files={"image": (name, script, kind)}
        )
        assert answer.status_code == 200 and "error" in answer.text, name


@pytest.mark.parametrize(
    "name", ["../../escaped.png", "..\\escaped.png", "/etc/escaped.png", ".htaccess.png"]
)
def test_an_uploads_name_cannot_lead_out_of_the_folder(site: Site, name: str) -> None:
    """Red when the example stores under the name as sent."""
    text = f"named {secrets.token_hex(4)}"
    answer = site.submit("/", {"text": text}, files={"image": (name, png(), "image/png")})
    assert answer.status_code == 302
    entries = site.get("/api/entries?limit=10").json()["entries"]
    image = next(entry for entry in entries if entry["text"] == text)["image"]
    assert re.fullmatch(r"/media/(?:\w[\w.-]*/)*\w[\w.-]*", image), image
    assert site.get(image).status_code == 200
