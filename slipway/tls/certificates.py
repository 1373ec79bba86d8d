"""Reads certificate files, checks them before anything uses them, and describes them.

``cryptography`` does all of it; nothing here parses ASN.1 or the output of another program.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from slipway.core import values
from slipway.core.errors import SlipwayError
from slipway.core.output import counted
from slipway.host import mirrors

__all__ = ["Certificate", "check", "describe", "ends_soon", "fingerprint", "from_files", "names", "uncovered"]

_PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Certificate:
    """A certificate with its intermediates, leaf first, and its key as PEM."""

    chain: tuple[x509.Certificate, ...]
    key: bytes
    source: str
    """Where it came from, for messages."""

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own."""
        return self.chain[0]

    @property
    def bundle(self) -> bytes:
        """Key and chain in one PEM, as ``docker/nginx/publish-certificate`` reads it."""
        pem = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in self.chain]
        return b"\n".join([self.key.strip(), *pem])

    @property
    def has_ocsp(self) -> bool:
        """Whether it names an OCSP server, which reports revocation."""
        try:
            access = self.leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        except x509.ExtensionNotFound:
            return False
        return any(entry.access_method == AuthorityInformationAccessOID.OCSP for entry in access)


def from_files(certificate: Path, key: Path) -> Certificate:
    """Read a PEM file with the chain, leaf first, and one with its key.

    Raises ``SlipwayError``: SLIP-116 when one is missing or holds something else, SLIP-117 for an encrypted
    key, SLIP-118 for a key that other users can read or that belongs to another certificate.
    """
    chain = _chain(certificate)
    if key.is_file() and key.stat().st_mode & 0o007:
        raise SlipwayError(
            "SLIP-118",
            f"everybody on this machine can read or write {key} (mode {key.stat().st_mode & 0o777:o})",
            f"chmod 600 {key}; if others may have read it, get a new key: they could pose as the site",
        )
    pem = _read(key, "TLS_KEY")
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise SlipwayError(
            "SLIP-117",
            f"{key} is encrypted: nginx would ask for its passphrase at every start",
            f"write it unencrypted: openssl pkey -in {key} -out privkey.pem",
        ) from None
    except ValueError:
        raise _unreadable(key, "no private key in PEM") from None
    if _public(private.public_key()) != _public(chain[0].public_key()):
        raise SlipwayError(
            "SLIP-118",
            f"{key} is not the key of the first certificate in {certificate} ({_subject(chain[0])})",
            "put the two files of one certificate there; the site's own comes first in the certificate file",
        )
    return Certificate(chain, pem, str(certificate))


def check(certificate: Certificate, server_names: Iterable[str]) -> list[str]:
    """Check that browsers will accept ``certificate`` for ``server_names``; return warnings.

    Raises ``SlipwayError``: SLIP-119 for a chain that is out of order or ends early, SLIP-120 when it is not
    valid today, SLIP-121 when it lacks a name.
    """
    _check_time(certificate)
    _check_chain(certificate)
    missing = uncovered(certificate.leaf, server_names)
    if missing:
        raise SlipwayError(
            "SLIP-121",
            f"{certificate.source} does not cover {', '.join(missing)} of SERVER_NAMES; it is for "
            f"{', '.join(names(certificate.leaf)) or 'no name at all'}",
            "get a certificate for every name of SERVER_NAMES, or remove the names from SERVER_NAMES",
        )
    if not ends_soon(certificate.leaf):
        return []
    left = certificate.leaf.not_valid_after_utc - _now()
    when = counted(left.days, "day") if left.days > 1 else counted(left // timedelta(hours=1), "hour")
    return [f"SLIP-120: {certificate.source} expires in {when}, and nobody renews it; get a new one"]


def ends_soon(certificate: x509.Certificate) -> bool:
    """Whether less than a third of its lifetime is left: ACME clients renew then, for any lifetime."""
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - _now() < life / 3


def names(certificate: x509.Certificate) -> list[str]:
    """Return the host names and addresses it is for. The common name does not count (RFC 9525)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return [*found.get_values_for_type(x509.DNSName), *addresses]


def uncovered(certificate: x509.Certificate, server_names: Iterable[str]) -> list[str]:
    """Return those of ``server_names`` that the certificate does not cover.

    nginx's ``.example.org`` means the name and everything under it; a ``*`` stands for one label (RFC 9525).
    """
    own = {name.lower() for name in names(certificate)}

    def covered(name: str) -> bool:
        if name.startswith("."):
            return {name[1:], f"*{name}"} <= own
        return name in own or (not values.is_address(name) and f"*.{name.partition('.')[2]}" in own)

    return [name for name in server_names if not covered(_plain(name))]


def describe(certificate: x509.Certificate) -> dict[str, Any]:
    """Return its facts by name, times as ISO 8601 in UTC."""
    return {
        "subject": _subject(certificate),
        "names": names(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "expires": certificate.not_valid_after_utc.isoformat(),
        "days_left": (certificate.not_valid_after_utc - _now()).days,
        "fingerprint": fingerprint(certificate),
    }


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate, in the format that browsers show."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _plain(server_name: str) -> str:
    """Return the name in a certificate's form: lower case, no brackets around an IPv6 address."""
    return server_name.lower().removeprefix("[").removesuffix("]")


def _now() -> datetime:
    return datetime.now(UTC)


def _subject(certificate: x509.Certificate) -> str:
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else certificate.subject.rfc4514_string() or "no subject"


def _public(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _read(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise SlipwayError(
            "SLIP-116",
            f"{variable} names {path}, which cannot be read: {problem.strerror}",
            "put the certificate (with its intermediates) and its key there, both PEM; docs/tls.md says how",
        ) from None


def _chain(path: Path) -> tuple[x509.Certificate, ...]:
    pem = _read(path, "TLS_CERTIFICATE")
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        raise _unreadable(path, "no certificate in PEM") from None


def _unreadable(path: Path, what: str) -> SlipwayError:
    return SlipwayError(
        "SLIP-116",
        f"{path} holds {what}",
        "both files are PEM: text that begins with -----BEGIN. From PKCS #12: openssl pkcs12 -in FILE -nodes",
    )


def _check_time(certificate: Certificate) -> None:
    leaf, now = certificate.leaf, _now()
    if leaf.not_valid_after_utc < now:
        wrong = f"expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        fix = "put a new one there; nginx keeps the one it serves until then"
    elif leaf.not_valid_before_utc > now:
        wrong = f"is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        fix = "wait until then, or check whether this machine's clock is right (timedatectl)"
    else:
        return
    raise SlipwayError("SLIP-120", f"{certificate.source} {wrong}", fix)


def _check_chain(certificate: Certificate) -> None:
    chain = certificate.chain
    for number, (lower, upper) in enumerate(itertools.pairwise(chain), start=1):
        if not _signed(lower, upper):
            raise SlipwayError(
                "SLIP-119",
                f"{certificate.source}: certificate {number} ({_subject(lower)}) is signed by "
                f"{lower.issuer.rfc4514_string()}, and not by the next one ({_subject(upper)})",
                "the site's own certificate comes first, then the one that signed it, and so on",
            )
    last = chain[-1]
    if _signed(last, last) or any(_signed(last, root) for root in _roots(last.issuer)):
        return
    raise SlipwayError(
        "SLIP-119",
        f"{certificate.source} ends with {_subject(last)}, whose issuer, {last.issuer.rfc4514_string()}, is "
        "neither in the file nor a root that browsers or this machine trust: an intermediate is missing",
        "append the CA's intermediates (its fullchain or bundle file); for a private CA also the root",
    )


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _roots(subject: x509.Name) -> Sequence[x509.Certificate]:
    """Return the roots with that name: Mozilla's (certifi), and those of this machine."""
    import certifi  # noqa: PLC0415  (only a chain that ends early needs it)

    found: list[x509.Certificate] = []
    for bundle in {certifi.where(), str(mirrors.ca_bundle() or certifi.where())}:
        for pem in _PEM_BLOCK.findall(Path(bundle).read_bytes()):
            # One by one: some bundles hold old roots that cryptography warns about or refuses.
            with warnings.catch_warnings(), contextlib.suppress(ValueError):
                warnings.simplefilter("ignore")
                root = x509.load_pem_x509_certificate(pem)
                if root.subject == subject:
                    found.append(root)
    return found
