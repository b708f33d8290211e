"""Who is who on the line: the backend's own CA, its server certificate, enrollment codes and lane certificates.

The one rule: a lane's private keys never leave it. It proves itself once with a code; from then on by a certificate
whose subject says lane (CN), merchant (O) and store (OU).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SECRET_BYTES: Final = 16  # 128 random bits; the protocol demands at least 80
FINGERPRINT_BYTES: Final = 16
CA_LIFE: Final = timedelta(days=3650)
CERTIFICATE_LIFE: Final = timedelta(days=365)
SKEW: Final = timedelta(days=1)  # lanes' clocks may be behind when they first connect


class IdentityError(ValueError):
    """A code, a request or a certificate that cannot be read; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class LaneName:
    """What a lane certificate says; ``serial`` in hex and ``expires_at`` in UTC seconds, where one was shown."""

    lane: str
    merchant: str
    store: str
    serial: str | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """The backend's certificate authority."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, now_s: int) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Counterfoil backend CA")])
        builder = (
            _builder(name, name, key.public_key(), now_s, CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def from_pem(cls, key_pem: bytes, certificate_pem: bytes) -> Authority:
        """Raises IdentityError."""
        try:
            key = serialization.load_pem_private_key(key_pem, password=None)
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise IdentityError("the files of the CA cannot be read") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise IdentityError("the key of the CA is not an elliptic-curve key")
        return cls(key, certificate)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return private_pem(self.key)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate (DER), of which an enrollment code carries the first 16 bytes."""
        return hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).digest()

    def issue_lane(self, csr_pem: bytes, name: LaneName, now_s: int, *, life: timedelta = CERTIFICATE_LIFE) -> bytes:
        """A client certificate (PEM) for the key of a request; the request's own names count for nothing.

        Raises IdentityError for a request that is not a signed P-256 one.
        """
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, name.lane),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, name.merchant),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, name.store),
            ]
        )
        builder = self._leaf(subject, _key_of(csr_pem), now_s, ExtendedKeyUsageOID.CLIENT_AUTH, life)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue_server(self, names: Iterable[str], now_s: int) -> tuple[bytes, bytes]:
        """A server key and certificate (PEM) for host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Counterfoil backend")])
        builder = self._leaf(subject, key.public_key(), now_s, ExtendedKeyUsageOID.SERVER_AUTH, CERTIFICATE_LIFE)
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return private_pem(key), certificate.public_bytes(serialization.Encoding.PEM)

    def _leaf(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        now_s: int,
        purpose: x509.ObjectIdentifier,
        life: timedelta,
    ) -> x509.CertificateBuilder:
        return (
            _builder(subject, self.certificate.subject, key, now_s, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Unencrypted PKCS #8; the caller protects the file."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def code_text(secret: bytes, fingerprint: bytes) -> str:
    """An enrollment code as a person types it: base32 of secret and CA fingerprint, in groups of four."""
    text = base64.b32encode(secret + fingerprint[:FINGERPRINT_BYTES]).decode().rstrip("=")
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def secret_hash(code: str) -> bytes:
    """SHA-256 of the secret in a typed code, by which the code is found. Raises IdentityError."""
    text = "".join(code.split()).replace("-", "").upper()
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise IdentityError("this is no enrollment code") from error
    if len(data) != SECRET_BYTES + FINGERPRINT_BYTES:
        raise IdentityError("this is no enrollment code")
    return hashlib.sha256(data[:SECRET_BYTES]).digest()


def lane_name(peer: Any) -> LaneName | None:
    """The lane in a verified peer certificate (in the form of ``ssl.SSLSocket.getpeercert()``), or None.

    Its time is not verified: ``backend.access`` judges that.
    """
    fields = {name: value for part in (peer or {}).get("subject", ()) for name, value in part}
    try:
        return LaneName(
            fields["commonName"],
            fields["organizationName"],
            fields["organizationalUnitName"],
            f"{int(peer['serialNumber'], 16):x}",
            int(ssl.cert_time_to_seconds(peer["notAfter"])),
        )
    except KeyError:
        return None


def _key_of(csr_pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, TypeError) as error:
        raise IdentityError("the certificate request cannot be read") from error
    if not signed or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError("the certificate request is not one of a P-256 key, signed by that key")
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now_s: int, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_s, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + life)
    )


def _usage(**uses: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: uses.get(name, False) for name in names})


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
