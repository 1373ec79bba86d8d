"""``TLS=local|files|acme``: checks the certificate, publishes it, and makes nginx reload it.

nginx reads it from a volume (``docker/nginx/publish-certificate``). With ``acme`` the service ``acme`` fills
the volume, otherwise the tasks do. Either way nginx's container and its connections stay.
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

if TYPE_CHECKING:  # importing it takes 0.1 s, which TLS=off does not need
    from slipway.tls.certificates import Certificate

__all__ = ["apply", "certificate", "check", "local_folder", "prepare", "publish"]

_LOCAL = "local"


def prepare(session: Session) -> Certificate | None:
    """Call ``check``, then return ``certificate``. Raises as both."""
    check(session)
    return certificate(session)


def check(session: Session) -> None:
    """Check the requirements of TLS before anything runs; warn of a certificate that expires soon.

    Raises ``SlipwayError``: SLIP-115 for settings that do not go with TLS, SLIP-116 to SLIP-122 for files.
    """
    settings = session.settings
    if settings.tls == "off" or not session.stack.prod:
        return
    if settings.https_port == settings.http_port:
        raise SlipwayError(
            "SLIP-115",
            f"HTTPS_PORT and HTTP_PORT are both {settings.http_port}",
            "give each its own port: nginx still answers http, with a redirect",
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
    """Return the certificate if the tasks publish it; ``None`` with ``off`` and ``acme``.

    ``local`` creates CA and certificate where they are missing or due. Raises ``SlipwayError`` SLIP-116 to
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
    """Put ``certificate`` into the volume nginx reads; the running nginx does not use it yet."""
    if certificate is None:
        return
    argv = session.stack.publish_certificate(staple=certificate.has_ocsp)
    with tempfile.NamedTemporaryFile(dir=_folder(session.settings), prefix=".bundle.") as bundle:
        bundle.write(certificate.bundle)
        bundle.flush()
        session.runner.run(argv, stdin=Path(os.path.relpath(bundle.name)))


def apply(session: Session) -> None:
    """Make the running nginx use the published certificate; with ``acme`` first request one if it is due.

    Raises ``SlipwayError`` SLIP-123 when the CA issues nothing and nginx has no certificate either, SLIP-124
    when nginx refuses the certificate.
    """
    if session.settings.tls == "off" or not session.stack.prod:
        return
    if session.settings.tls == "acme":
        _attempt(session)
    front.certificate(session)


def local_folder(settings: Settings) -> Path:
    """Return the folder of TLS=local's CA."""
    return _path(settings) / _LOCAL


def _attempt(session: Session) -> None:
    done = session.runner.run(session.stack.acme("attempt"), check=False)
    if done.returncode == 0:
        return
    if front.has_certificate(session):
        note("warning: certificate request failed; nginx keeps the current one (invoke certs shows it)")
        return
    raise SlipwayError(
        "SLIP-123",
        f"{session.settings.acme_directory} has issued no certificate; the site is served over http only",
        "certbot's reason is above; usually a name of SERVER_NAMES does not lead to this machine, or port "
        "80 of it does not lead to HTTP_PORT. The service keeps trying; invoke certs --renew tries at once",
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
    """Return why no certificate can have the name; empty where one can."""
    plain = name.strip("[]")
    reasons = {
        "a certificate cannot name a regular expression": name.startswith("~"),
        "a certificate can only have a wildcard in front": name.endswith(".*") or name == "_",
        "an ACME CA gives wildcards over DNS only, not over HTTP": acme and name.startswith((".", "*")),
        "no CA can reach localhost": acme and plain.rpartition(".")[2] == "localhost",
        "certbot is used here for host names, not for addresses": acme and values.is_address(plain),
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
        why = "can be read by its owner alone, but the service acme runs as another user"
    raise SlipwayError(
        "SLIP-116",
        f"ACME_CA_FILE names {path}, which {why}",
        f"it is the root of the ACME directory's own certificate, and no secret: chmod 644 {path}",
    )
