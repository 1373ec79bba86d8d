"""OCSP: what the CA says about its certificate is sent along with it, where it says anything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from authority import Authority, Issued
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from tlskit import docker_network, files_folder

from tests.support.polling import eventually
from tests.support.world import World, docker

_NAMES = ("localhost", "127.0.0.1", "site.test", "more.test")
_RESPONDER = """
import http.server

class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        body = open("/ocsp/response.der", "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", "application/ocsp-response")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""


@pytest.fixture(scope="module")
def stapling(prod: World, company: Authority, tools: str) -> Iterator[World]:
    """The stack with a certificate whose CA answers about it, on the stack's own network."""
    issued = company.issue(*_NAMES, ocsp="http://ocsp.test:8080/")
    folder = prod.root / "ocsp"
    folder.mkdir()
    (folder / "response.der").write_bytes(_response(company, issued))
    (folder / "responder.py").write_text(_RESPONDER)
    name = f"{prod.project}-ocsp"
    with contextlib.ExitStack() as left:
        docker(
            "run", "--detach", "--name", name,
            "--network", docker_network(prod), "--network-alias", "ocsp.test",
            "--volume", f"{folder}:/ocsp:ro", "--entrypoint", "python3", tools, "/ocsp/responder.py",
        )  # fmt: skip
        left.callback(docker, "rm", "--force", name)
        left.callback(prod.invoke, "certs", "--reload")
        left.callback(prod.write_env, TLS="local")
        issued.write(files_folder(prod))
        prod.write_env(TLS="files")
        prod.invoke("certs", "--reload")
        yield prod


def test_the_cas_word_is_stapled(stapling: World, tools: str) -> None:
    """Red without --staple, or when nginx cannot verify the answer."""

    def stapled() -> bool:
        said = docker(
            "run", "--rm", "--network", docker_network(stapling), "--entrypoint", "sh", tools, "-c",
            "openssl s_client -connect nginx:8443 -servername localhost -status </dev/null",
        )  # fmt: skip
        return "OCSP Response Status: successful" in said and "Cert Status: good" in said

    # The first visitor makes nginx ask.
    eventually(stapled, "an answer with the handshake", timeout=60)


def test_nginx_is_not_told_to_staple_what_nobody_says(stapling: World) -> None:
    """Red when the directive is always there: nginx would warn at every reload."""
    nginx = f"{stapling.project}-nginx-1"
    assert "ssl_stapling on;" in docker("exec", nginx, "cat", "/srv/tls/live/certificate.conf")
    stapling.write_env(TLS="local")
    stapling.invoke("certs", "--reload")
    assert "ssl_stapling" not in docker("exec", nginx, "cat", "/srv/tls/live/certificate.conf")


def _response(company: Authority, issued: Issued) -> bytes:
    now = datetime.now(UTC)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=issued.certificate,
        issuer=company.certificate,
        algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now - timedelta(hours=1),
        next_update=now + timedelta(days=7),
        revocation_time=None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, company.certificate)
    return builder.sign(company.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
