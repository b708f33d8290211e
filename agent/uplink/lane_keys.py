"""The private keys of a lane, the request for its certificate, and whether an answer fits it.

The one rule: keys are on disk before anything that names them leaves the machine, and a key that has been certified is
not asked for again; so a request that is repeated after a crash is the same request.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.core import cose
from agent.errors import NotEnrolled, UntrustedDocument
from agent.uplink.identity import (
    JOURNAL_KEY_FILE,
    REQUEST_FILE,
    TLS_KEY_FILE,
    load_certificate,
    write_file,
)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What is on disk before it leaves: key (SubjectPublicKeyInfo, DER) and request (PEM).

    The request is kept because its signature would differ each time it is made.
    """

    public: bytes
    csr: bytes


@dataclass(frozen=True, slots=True, repr=False)
class LaneKeys:
    """What a new lane tells of itself: the request for its TLS certificate, and the journal's public key."""

    tls: CertificateRequest
    journal: cose.PublicKey

    @property
    def csr(self) -> bytes:
        return self.tls.csr


def prepare_keys(directory: Path, randomness: Callable[[int], bytes]) -> LaneKeys:
    """The keys of a lane, made now or by an earlier attempt. Raises NotEnrolled (damaged) and OSError."""
    try:
        request = _request(directory)
        journal = _journal_key(directory / JOURNAL_KEY_FILE, randomness)
    except (ValueError, TypeError, cose.CoseError) as error:
        raise NotEnrolled(f"A key in {directory} is damaged: {error}") from error
    return LaneKeys(request, journal.public)


def prepare_renewal(directory: Path) -> CertificateRequest:
    """A request for another key than the one in force. Raises NotEnrolled (no certificate) and OSError."""
    certified = public_der(load_certificate(directory).public_key())
    with suppress(ValueError, TypeError):  # damaged: nothing depends on it yet
        request = _request(directory)
        if request.public != certified:
            return request
    (directory / REQUEST_FILE).unlink(missing_ok=True)
    (directory / TLS_KEY_FILE).unlink(missing_ok=True)
    return _request(directory)


def fitting(pem: bytes, ca: x509.Certificate, request: CertificateRequest) -> x509.Certificate:
    """The certificate of an answer, if the CA issued it for the key of the request. Raises UntrustedDocument."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise UntrustedDocument("The certificate in the answer is not one of the backend's CA.") from error
    if public_der(certificate.public_key()) != request.public:
        raise UntrustedDocument("The certificate in the answer is not for this lane's key.")
    return certificate


def _request(directory: Path) -> CertificateRequest:
    key = _tls_key(directory / TLS_KEY_FILE)
    return CertificateRequest(public_der(key.public_key()), _csr(directory / REQUEST_FILE, key))


def _tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        made = ec.generate_private_key(ec.SECP256R1())
        encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        write_file(path, made.private_bytes(*encoding), mode=0o600)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the TLS key is not one of P-256")
    return key


def _journal_key(path: Path, randomness: Callable[[int], bytes]) -> cose.SigningKey:
    if not path.exists():
        write_file(path, cose.SigningKey.from_seed("p256", randomness(32)).to_pem(), mode=0o600)
    return cose.SigningKey.from_pem(path.read_bytes())


def _csr(path: Path, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The certificate request; the backend ignores the name in it. One for another key is replaced."""
    if path.exists():
        data = path.read_bytes()
        if public_der(x509.load_pem_x509_csr(data).public_key()) == public_der(key.public_key()):
            return data
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lane")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    data = csr.public_bytes(serialization.Encoding.PEM)
    write_file(path, data, mode=0o644)
    return data


def public_der(key: Any) -> bytes:
    """A public key of the library as SubjectPublicKeyInfo (RFC 5280 section 4.1), DER."""
    data: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return data
