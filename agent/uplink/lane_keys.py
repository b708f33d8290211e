"""The two private keys of a lane and the request for its certificate, made once.

The one rule: what exists is used again. Keys are on disk before anything that names them leaves the machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.core import cose
from agent.errors import NotEnrolled
from agent.uplink.identity import JOURNAL_KEY_FILE, REQUEST_FILE, TLS_KEY_FILE, write_file


@dataclass(frozen=True, slots=True, repr=False)
class LaneKeys:
    """What is on disk before the request leaves. The request too: its signature differs each time it is made."""

    tls_public: bytes  # SubjectPublicKeyInfo, DER
    csr: bytes  # PEM
    journal: cose.PublicKey


def prepare_keys(directory: Path, randomness: Callable[[int], bytes]) -> LaneKeys:
    """The keys of this lane, made now or by an earlier attempt. Raises NotEnrolled (damaged) and OSError."""
    try:
        tls = _tls_key(directory / TLS_KEY_FILE)
        journal = _journal_key(directory / JOURNAL_KEY_FILE, randomness)
        csr = _request(directory / REQUEST_FILE, tls)
    except (ValueError, TypeError, cose.CoseError) as error:
        raise NotEnrolled(f"A key in {directory} is damaged: {error}") from error
    return LaneKeys(public_der(tls.public_key()), csr, journal.public)


def _tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
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


def _request(path: Path, key: ec.EllipticCurvePrivateKey) -> bytes:
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
