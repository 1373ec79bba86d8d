"""`invoke certs`: shows the served certificate, its expiry and how to trust it; reloads or renews it."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any

from cryptography import x509

from slipway.core.errors import SlipwayError
from slipway.core.output import rows
from slipway.engine import engine
from slipway.orchestrators.session import Session
from slipway.services import front
from slipway.state import deploylock
from slipway.tls import certificates, localca, tls

__all__ = ["certs"]

_HANDSHAKE_SECONDS = 5.0


def certs(session: Session, *, reload: bool, renew: bool, as_json: bool) -> None:
    """Print the certificate that is served, and the state of its renewal.

    ``reload`` first makes nginx use the certificate files, ``renew`` (TLS=acme) gets a new one from the CA.
    Raises ``SlipwayError``: SLIP-115 for an option that the mode lacks, SLIP-123 when the CA refuses, and
    what ``tls.prepare`` and ``front.certificate`` raise.
    """
    if reload or renew:
        _check_mode(session.settings.tls, renew=renew)
    if session.runner.dry:
        _change(session, None, renew=renew)
        return
    certificate = tls.prepare(session)
    if reload or renew:
        with deploylock.held(session.settings.root, "certs"):
            _change(session, certificate, renew=renew)
    facts = _facts(session, certificate)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    lines = [{"": name.replace("_", " "), " ": value} for name, value in facts.items()]
    rows(lines, ("", " "), as_json=False)
    if session.settings.tls == "local":
        print(_TRUST.format(ca=tls.local_folder(session.settings) / localca.CA_FILE))


def _check_mode(mode: str, *, renew: bool) -> None:
    if mode == "off":
        raise SlipwayError(
            "SLIP-115",
            "TLS is off, so there is no certificate",
            "set TLS=local, files or acme; see docs/tls.md",
        )
    if renew and mode != "acme":
        raise SlipwayError(
            "SLIP-115",
            f"with TLS={mode} the kit requests no certificate from a CA, so it has none to renew",
            "invoke certs --reload serves the certificate in the files; a local one is renewed automatically",
        )


def _change(session: Session, certificate: certificates.Certificate | None, *, renew: bool) -> None:
    if renew and session.runner.run(session.stack.acme("renew"), check=False).returncode != 0:
        raise SlipwayError(
            "SLIP-123",
            f"{session.settings.acme_directory} has issued no certificate; nginx keeps the current one",
            "certbot's reason is above; docs/tls.md has the usual ones",
        )
    tls.publish(session, certificate)
    front.certificate(session)


def _facts(session: Session, certificate: certificates.Certificate | None) -> dict[str, Any]:
    settings = session.settings
    if settings.tls == "off":
        return {"tls": "off", "state": "the site is served over http"}
    served = _served(session)
    shown = served or (certificate.leaf if certificate else None)
    facts: dict[str, Any] = {"tls": settings.tls, "state": _state(session, served, certificate)}
    if certificate:
        facts["file"] = certificate.source
    facts |= certificates.describe(shown) if shown else {}
    if settings.tls == "acme":
        facts |= _renewal(session)
    return facts


def _state(session: Session, served: x509.Certificate | None, wanted: certificates.Certificate | None) -> str:
    if not engine.running(session.stack.project, "nginx"):
        return "nothing is served: nginx does not run"
    if served is None:
        return "no certificate is served yet, the site is on http alone"
    if wanted and wanted.leaf != served:
        return "another certificate than the one in the file is served; invoke certs --reload serves this one"
    return "served"


def _served(session: Session) -> x509.Certificate | None:
    """Return the certificate that nginx shows to a visitor of the first name; None without an answer."""
    settings = session.settings
    # Every certificate is shown: whether to trust it is up to the visitor.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = settings.http_addresses[0]
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
    name = settings.server_names[0].strip("*.[]")
    try:
        with (
            socket.create_connection((address, settings.https_port), _HANDSHAKE_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=name) as conversation,
        ):
            shown = conversation.getpeercert(binary_form=True)
    except OSError:
        return None
    return x509.load_der_x509_certificate(shown) if shown else None


def _renewal(session: Session) -> dict[str, Any]:
    answer = session.runner.capture(session.stack.acme("status"))
    if answer.returncode != 0:
        return {"renewal": "the service acme does not run"}
    status = json.loads(answer.stdout)
    problem = status.get("problem")
    return {
        "directory": session.settings.acme_directory,
        "renewal": "the last attempt failed" if problem else "in order" if status else "no attempt yet",
        "problem": problem or None,
        "last_attempt": status.get("attempted"),
        "last_success": status.get("succeeded"),
    }


_TRUST = """
To trust it, let this machine and its browsers trust the CA: {ca}
  Debian, Ubuntu  cp {ca} /usr/local/share/ca-certificates/slipway-local.crt && update-ca-certificates
  macOS           security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {ca}
  Firefox         Settings, Certificates, View Certificates, Authorities, Import
  curl, once      curl --cacert {ca} https://..."""
