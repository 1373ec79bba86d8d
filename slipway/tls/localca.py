"""TLS=local: the checkout's own CA, and the certificate it signs for the site."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from slipway.core.errors import SlipwayError
from slipway.tls import certificates
from slipway.tls.certificates import Certificate

__all__ = ["CA_FILE", "check", "ensure"]

CA_FILE = "ca.pem"
_CA_KEY, _CHAIN, _KEY = "ca.key", "fullchain.pem", "privkey.pem"
_CA_LIFE = timedelta(days=3650)
# Browsers on Apple's systems refuse more than 825 days, even from a private CA.
_LIFE = timedelta(days=397)


def ensure(folder: Path, server_names: Sequence[str], project: str) -> tuple[Certificate, bool]:
    """Return the certificate for ``server_names``, localhost and the loopback addresses, and if it is new.

    Creates CA and certificate when there are none. Recreates the certificate when it lacks a name or ends
    soon (``certificates.ends_soon``), the CA when it would end before a certificate issued today. Raises
    ``SlipwayError`` SLIP-122 when the CA in ``folder`` cannot be used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    wanted = [*server_names, *(n for n in ("localhost", "127.0.0.1", "[::1]") if n not in server_names)]
    ca, ca_key = _authority(folder, project)
    if (current := _current(folder, ca)) and not certificates.uncovered(current.leaf, wanted):
        return current, False
    return _issue(folder, ca, ca_key, wanted), True


def check(folder: Path) -> None:
    """Check that the CA in ``folder`` can be used, or does not exist yet. Raises as ``ensure``."""
    _present(folder)


def _authority(folder: Path, project: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    present = _present(folder)
    if present is None or present[0].not_valid_after_utc < datetime.now(UTC) + _LIFE:
        return _make_authority(folder, project)
    return present


def _present(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    if not (folder / CA_FILE).exists() and not (folder / _CA_KEY).exists():
        return None
    try:
        ca = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
        key = serialization.load_pem_private_key((folder / _CA_KEY).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as problem:
        raise _damaged(folder, str(problem)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != ca.public_key():
        raise _damaged(folder, f"{_CA_KEY} is not the key of {CA_FILE}")
    return ca, key


def _make_authority(folder: Path, project: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    # With the machine's name: the user may find it in a browser's list years later.
    name = _name(f"{project} on {socket.gethostname()} local CA"[:64])
    builder = _builder(name, name, key.public_key(), _CA_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    ca = builder.sign(key, hashes.SHA256())
    _write(folder / _CA_KEY, _pem(key))
    _write(folder / CA_FILE, ca.public_bytes(serialization.Encoding.PEM))
    return ca, key


def _current(folder: Path, ca: x509.Certificate) -> Certificate | None:
    """Return the certificate there if this CA signed it and it does not end soon; None has it recreated."""
    try:
        found = certificates.from_files(folder / _CHAIN, folder / _KEY)
        found.leaf.verify_directly_issued_by(ca)
    except Exception:
        return None
    return None if certificates.ends_soon(found.leaf) else found


def _issue(
    folder: Path, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, wanted: Sequence[str]
) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(wanted[0].strip(".[]")[:64]), ca.subject, key.public_key(), _LIFE)
    alternatives = [general for name in wanted for general in _general_names(name)]
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = builder.add_extension(authority, critical=False)
    leaf = builder.sign(ca_key, hashes.SHA256())
    _write(folder / _KEY, _pem(key))
    _write(folder / _CHAIN, leaf.public_bytes(serialization.Encoding.PEM))
    return certificates.from_files(folder / _CHAIN, folder / _KEY)


def _general_names(server_name: str) -> list[x509.GeneralName]:
    plain = server_name.lower().strip("[]")
    try:
        return [x509.IPAddress(ipaddress.ip_address(plain))]
    except ValueError:
        pass
    # nginx's ".example.org": the name and everything under it.
    return [x509.DNSName(name) for name in ([plain[1:], f"*{plain}"] if plain.startswith(".") else [plain])]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A visitor whose clock is a little behind must not refuse it.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(content)
    draft.replace(path)


def _damaged(folder: Path, why: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-122",
        f"the local CA in {folder} cannot be used: {why}",
        f"put {CA_FILE} and {_CA_KEY} back; or move the folder away, rerun, and trust the new CA",
    )
