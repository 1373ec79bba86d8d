"""``TLS=local|files|acme``: the certificate is checked here, published, and taken up by nginx with a reload.

It reaches nginx through a volume (``docker/nginx/publish-certificate``). With ``acme`` the service of that
name fills it, otherwise the tasks do. Either way nginx's container stays, and its connections too.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.config.settings import Settings
from slipway.core import values
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.orchestrators.session import Session
from slipway.services import front

if TYPE_CHECKING:  # it costs a tenth of a second, which TLS=off must not pay
    from slipway.tls.certificates import Certificate

__all__ = ["certificate", "check", "local_folder", "prepare", "publish", "settle"]

_LOCAL = "local"


def prepare(session: Session) -> Certificate | None:
    """Do what ``check`` does, then what ``certificate`` does. Raises as both."""
    check(session)
    return certificate(session)


def check(session: Session) -> None:
    """Check what TLS needs, before anything runs; warns of a certificate that expires soon.

    Raises ``SlipwayError``: SLIP-115 for settings that do not go with TLS, SLIP-116 to SLIP-122 for files.
    """
    settings = session.settings
    if settings.tls == "off" or not session.stack.prod:
        return
    if settings.https_port == settings.http_port:
        raise SlipwayError(
            "SLIP-115",
            f"HTTPS_PORT and HTTP_PORT are both {settings.http_port}",
            "http goes on to be answered, with a redirect: give each a port of its own",
        )
    _check_names(settings)
    if settings.tls == "acme":
        _check_acme_root(settings)
        return
    from slipway.tls import certificates, localca  # noqa: PLC0415

    if settings.tls == "local":
        localca.check(local_folder(settings))
        return
    found = certificates.from_files(settings.path(settings.tls_certificate), settings.path(settings.tls_key))
    for warning in certificates.check(found, settings.server_names):
        note(f"warning: {warning}")


def certificate(session: Session) -> Certificate | None:
    """The certificate where the tasks hand it to nginx; ``None`` with ``off`` and ``acme``.

    ``local`` makes CA and certificate where they are missing or due. Raises ``SlipwayError`` SLIP-116 to
    SLIP-118 and SLIP-122 for the files.
    """
    settings = session.settings
    if settings.tls in {"off", "acme"} or not session.stack.prod:
        return None
    from slipway.tls import certificates, localca  # noqa: PLC0415

    if settings.tls == "files":
        return certificates.from_files(
            settings.path(settings.tls_certificate), settings.path(settings.tls_key)
        )
    found, made = localca.ensure(_folder(settings) / _LOCAL, settings.server_names, settings.name)
    if made:
        own = ", ".join(certificates.names(found.leaf))
        note(f"made a certificate for {own}; invoke certs says how to trust it")
    return found


def publish(session: Session, certificate: Certificate | None) -> None:
    """Put ``certificate`` into the volume nginx reads; the running nginx does not know yet."""
    if certificate is None:
        return
    argv = session.stack.publish_certificate(staple=certificate.has_ocsp)
    with tempfile.NamedTemporaryFile(dir=_folder(session.settings), prefix=".bundle.") as bundle:
        bundle.write(certificate.bundle)
        bundle.flush()
        session.runner.run(argv, stdin=Path(os.path.relpath(bundle.name)))


def settle(session: Session) -> None:
    """Have the running nginx serve with what is published; with ``acme`` first have it issued, if it is due.

    Raises ``SlipwayError`` SLIP-123 when the CA issues nothing and nginx has no certificate either, SLIP-124
    when nginx refuses the certificate.
    """
    if session.settings.tls == "off" or not session.stack.prod:
        return
    if session.settings.tls == "acme":
        _attempt(session)
    front.certificate(session)


def local_folder(settings: Settings) -> Path:
    """Where the CA of TLS=local lies."""
    return _path(settings) / _LOCAL


def _attempt(session: Session) -> None:
    done = session.runner.run(session.stack.acme("attempt"), check=False)
    if done.returncode == 0:
        return
    if front.has_certificate(session):
        note("warning: the CA was asked in vain; nginx serves on with the certificate it has (invoke certs)")
        return
    raise SlipwayError(
        "SLIP-123",
        f"{session.settings.acme_directory} has issued no certificate; the site is served over http alone",
        "certbot's reason is above; usually a name of SERVER_NAMES does not lead here, or port 80 of this "
        "machine not to HTTP_PORT. The service goes on trying; invoke certs --renew tries at once",
    )


def _path(settings: Settings) -> Path:
    return settings.path(settings.secrets_dir) / "tls"


def _folder(settings: Settings) -> Path:
    folder = _path(settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _check_names(settings: Settings) -> None:
    for name in settings.server_names:
        why = _impossible(name, acme=settings.tls == "acme")
        if why:
            raise SlipwayError(
                "SLIP-115",
                f"SERVER_NAMES ({settings.origins['SERVER_NAMES']}) has {name!r}, and {why}",
                f"with TLS={settings.tls} name only hosts that such a certificate can have; see docs/tls.md",
            )


def _impossible(name: str, *, acme: bool) -> str:
    """Why no certificate can have the name; empty where one can."""
    plain = name.strip("[]")
    reasons = {
        "a regular expression is no name of a certificate": name.startswith("~"),
        "a certificate has its wildcard in front": name.endswith(".*") or name == "_",
        "an ACME CA gives wildcards over DNS only, not over HTTP": acme and name.startswith((".", "*")),
        "no CA can reach localhost": acme and plain.rpartition(".")[2] == "localhost",
        "certbot is asked for host names here, not for addresses": acme and values.is_address(plain),
    }
    return next((why for why, applies in reasons.items() if applies), "")


def _check_acme_root(settings: Settings) -> None:
    if not settings.acme_ca_file:
        return
    from cryptography import x509  # noqa: PLC0415

    path = settings.path(settings.acme_ca_file)
    try:
        x509.load_pem_x509_certificates(path.read_bytes())
        readable = bool(path.stat().st_mode & 0o004)
    except OSError as problem:
        why = f"cannot be read: {problem.strerror}"
    except ValueError:
        why = "holds no certificate in PEM"
    else:
        if readable:
            return
        why = "can be read by its owner alone, and the service acme is somebody else"
    raise SlipwayError(
        "SLIP-116",
        f"ACME_CA_FILE names {path}, which {why}",
        f"it is the root of the ACME directory's own certificate, and no secret: chmod 644 {path}",
    )
