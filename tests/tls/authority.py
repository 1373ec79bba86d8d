"""Certificates of every kind, right and wrong, made for the tests."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

DAY = timedelta(days=1)
_PEM = serialization.Encoding.PEM
# In the order of x509.KeyUsage.
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass
class Issued:
    """A certificate and its key; ``chain`` is what a server sends, the certificate first."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: list[x509.Certificate] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """As `invoke certs` writes it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase)
        return self.key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)

    def write(self, folder: Path) -> None:
        """Put it where TLS=files looks."""
        write(folder, self.chain, self.key_pem())


@dataclass
class Authority(Issued):
    """A CA, or an intermediate of one."""

    def issue(
        self,
        *names: str,
        begins: timedelta = -DAY,
        ends: timedelta = 90 * DAY,
        ocsp: str = "",
    ) -> Issued:
        """A server certificate, valid from now plus ``begins`` to now plus ``ends``."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(names[0], self, key, begins, ends)
        builder = builder.add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
        if ocsp:
            access = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Issued(certificate, key, [certificate, *self.chain])

    def intermediate(self, name: str) -> Authority:
        """A CA below this one; what it issues has it in its chain."""
        return _authority(name, self)


def root(name: str) -> Authority:
    """A CA that no machine trusts; so its own certificate is in the chain too."""
    return _authority(name, None)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(_PEM) for one in certificates)


def write(folder: Path, chain: Sequence[x509.Certificate], key: bytes) -> None:
    """Write the two files of TLS=files as they stand."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "fullchain.pem").write_bytes(pem(*chain))
    (folder / "privkey.pem").write_bytes(key)
    (folder / "privkey.pem").chmod(0o600)


def _authority(name: str, parent: Authority | None) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, parent, key, -DAY, 3650 * DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = x509.KeyUsage(*(name in {"key_cert_sign", "crl_sign"} for name in _USAGES))
    builder = builder.add_extension(usage, critical=True)
    certificate = builder.sign(parent.key if parent else key, hashes.SHA256())
    return Authority(certificate, key, [certificate, *(parent.chain if parent else [])])


def _builder(
    name: str, issuer: Authority | None, key: ec.EllipticCurvePrivateKey, begins: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    issuing = issuer.key if issuer else key
    # Both identifiers, or Python 3.13 and others that go by the letter of RFC 5280 refuse it.
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer.certificate.subject if issuer else _name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found
