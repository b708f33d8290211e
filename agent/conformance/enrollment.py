"""How the suite makes itself a lane: keys, a certificate request, and the one-time code of the kit.

The one rule: the code's fingerprint is the only thing trusted at the start, as for any lane.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.conformance.exchange import Broken, Exchange
from agent.conformance.lane import Lane, b64url
from agent.conformance.line import Line, pinned, unverified, with_certificate
from agent.core import cbor
from agent.core.cose import SigningKey
from agent.core.journal import Head, Kind

FINGERPRINT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Applicant:
    """The keys of a lane before it is one. ``csr`` is made once: its signature differs each time."""

    tls_key: ec.EllipticCurvePrivateKey
    journal_key: SigningKey
    csr_pem: str

    @classmethod
    def new(cls) -> Applicant:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, SigningKey.from_seed("p256", os.urandom(32)), request_for(key))

    @property
    def key_pem(self) -> str:
        return key_pem(self.tls_key)

    def body(self, code: str, **other: Any) -> dict[str, Any]:
        journal_key = b64url(cbor.encode(self.journal_key.public.to_cose_key()))
        return {"code": code, "csr": self.csr_pem, "journal_key": journal_key} | other


def request_for(key: Any, name: str = "whoever") -> str:
    """A certificate request (PEM) signed by ``key``; the name in it must not count."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*encoding).decode()


def fetch_ca(url: str, code: str) -> str:
    """The CA's certificate (PEM), if its fingerprint is the one in the code. Raises Broken."""
    line = Line(url, unverified())
    try:
        exchange = line.get("/v1/ca")
    finally:
        line.close()
    pem = exchange.ok().get("ca")
    exchange.demand(isinstance(pem, str), "a member ca: the CA's certificate as PEM")
    certificate = read_certificate(exchange, str(pem))
    fingerprint = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()[:FINGERPRINT_BYTES]
    exchange.demand(fingerprint == _fingerprint(code), "the CA whose fingerprint ends the enrollment code")
    return str(pem)


def read_certificate(exchange: Exchange, pem: object) -> x509.Certificate:
    """Raises Broken."""
    try:
        return x509.load_pem_x509_certificate(str(pem).encode())
    except ValueError:
        exchange.broken("a certificate as PEM")


def enrolled(url: str, ca_pem: str, applicant: Applicant, answer: Mapping[str, Any]) -> Lane:
    """The lane that an enrollment's answer makes, with the first entry of its journal written."""
    context = with_certificate(pinned(ca_pem), answer["certificate"], applicant.key_pem)
    lane = Lane(Line(url, context), applicant.journal_key, answer, Head(answer["lane"], answer["epoch"]))
    der = x509.load_pem_x509_certificate(answer["certificate"].encode()).public_bytes(serialization.Encoding.DER)
    previous = answer.get("previous")
    start_epoch(lane, str(answer.get("reason", "enrolled")), hashlib.sha256(der).digest(), previous)
    return lane


def start_epoch(lane: Lane, reason: str, certificate_sha256: bytes, previous: Mapping[str, Any] | None) -> None:
    """The entry with which every epoch begins."""
    told = None if previous is None else {name: previous[name] for name in ("epoch", "number")}
    if told is not None and previous is not None:
        told["hash"] = base64.urlsafe_b64decode(previous["hash"] + "=")
    body = {"certificate": certificate_sha256, "journal_key": cbor.encode(lane.key.public.to_cose_key())}
    lane.write(Kind.EPOCH_START, body | {"reason": reason, "previous": told})


def _fingerprint(code: str) -> bytes:
    text = "".join(code.split()).replace("-", "").upper()
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        raise Broken("a code of the kit in base32") from None
    return data[-FINGERPRINT_BYTES:]
