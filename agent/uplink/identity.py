"""Who this lane is: the directory that enrollment writes, and that `run` and `uplink` read.

The one rule: identity.json is written last, and whole. If it is there, everything else is; if not, the lane is not
enrolled, and whatever else is there is reused by the next attempt. Private keys are readable by their owner only.
What the uplink must be able to renew has a folder of its own, ``tls``; the rest it may only read, or not even that.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.core import cbor, cose, trust
from agent.errors import NotEnrolled
from agent.uplink.answers import Shapeless, decode_base64url, encode_base64url

IDENTITY_FILE: Final = "identity.json"
CA_FILE: Final = "ca.crt"
JOURNAL_KEY_FILE: Final = "journal.key"
CERTIFICATE_FILE: Final = "tls/lane.pem"
"""TLS key and certificate in one file: two files would not fit each other after a power cut between them."""
TLS_KEY_FILE: Final = "tls/next.key"
REQUEST_FILE: Final = "tls/next.csr"
"""The key for which a certificate was asked last, and the request; they leave the machine only when on the disk."""


@dataclass(frozen=True, slots=True)
class EnrolledLender:
    """A lender at enrollment: the CBOR of its root's COSE_Key, to be pinned, and its signed key list."""

    lender: str
    name: str
    root: bytes
    keys: bytes


@dataclass(frozen=True, slots=True)
class EnrolledRail:
    """A wallet's rail that the backend serves, and the wallet's name."""

    rail: str
    name: str


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """Where the backend has the end of the journal before this one: 32 bytes of hash, zero for an empty journal."""

    epoch: int
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the backend told this lane about itself. `epoch` is the journal epoch to start with, `reason` why."""

    lane: str
    store: str
    merchant: str
    merchant_name: str
    category: str
    currency: str
    epoch: int
    lenders: tuple[EnrolledLender, ...]
    code_sha256: str  # of the one-time code: the same code may be repeated, another one must not replace the lane
    reason: str = "enrolled"
    previous: EpochEnd | None = None
    rails: tuple[EnrolledRail, ...] = ()

    @property
    def is_training(self) -> bool:
        """Whether a lender of it lends play money; its lane must be started as a training counter then."""
        return any(_keys(lender).is_training for lender in self.lenders)


def load_identity(directory: Path) -> Enrolled:
    """The identity of this lane. Raises NotEnrolled."""
    try:
        fields = json.loads((directory / IDENTITY_FILE).read_bytes())
        lenders = tuple(_lender(row) for row in fields.pop("lenders"))
        end = fields.pop("previous", None)
        rails = tuple(EnrolledRail(**row) for row in fields.pop("rails", ()))
        return Enrolled(**fields, lenders=lenders, previous=epoch_end(end) if end else None, rails=rails)
    except FileNotFoundError:
        raise NotEnrolled() from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotEnrolled(f"{directory / IDENTITY_FILE} cannot be used: {type(error).__name__}.") from error


def epoch_end(fields: Mapping[str, Any]) -> EpochEnd:
    """The end of a journal as the wire tells it. Raises KeyError, TypeError and Shapeless."""
    return EpochEnd(fields["epoch"], fields["number"], decode_base64url(fields["hash"]))


def save_identity(directory: Path, enrolled: Enrolled, *, certificate: bytes, ca: bytes) -> None:
    """Write certificate (PEM) with its key, CA (PEM) and identity, the identity last. Raises OSError."""
    save_certificate(directory, certificate)
    write_file(directory / CA_FILE, ca, mode=0o644)
    fields = asdict(enrolled)
    for row in fields["lenders"]:
        row.update(root=encode_base64url(row["root"]), keys=encode_base64url(row["keys"]))
    if enrolled.previous:
        fields["previous"].update(hash=encode_base64url(enrolled.previous.hash))
    text = json.dumps(fields, ensure_ascii=False, indent=2) + "\n"
    write_file(directory / IDENTITY_FILE, text.encode(), mode=0o644)


def save_certificate(directory: Path, certificate: bytes) -> None:
    """Put a certificate (PEM) in force, with the key for which it was asked. Raises OSError."""
    key = (directory / TLS_KEY_FILE).read_bytes()
    write_file(directory / CERTIFICATE_FILE, key + certificate, mode=0o600)


def load_certificate(directory: Path) -> x509.Certificate:
    """The certificate in force. Raises NotEnrolled."""
    try:
        return x509.load_pem_x509_certificate((directory / CERTIFICATE_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise NotEnrolled(f"{directory / CERTIFICATE_FILE} cannot be used: {type(error).__name__}.") from error


def certificate_sha256(directory: Path) -> bytes:
    """SHA-256 over the certificate in force (DER). Raises NotEnrolled."""
    return load_certificate(directory).fingerprint(hashes.SHA256())


def certificate_life(directory: Path) -> tuple[int, int]:
    """From when and until when (seconds UTC) the certificate in force is valid. Raises NotEnrolled."""
    certificate = load_certificate(directory)
    return int(certificate.not_valid_before_utc.timestamp()), int(certificate.not_valid_after_utc.timestamp())


def load_journal_key(directory: Path) -> cose.SigningKey:
    """The key that signs this lane's journal. Raises NotEnrolled."""
    try:
        return cose.SigningKey.from_pem((directory / JOURNAL_KEY_FILE).read_bytes())
    except (OSError, cose.CoseError) as error:
        raise NotEnrolled(f"{directory / JOURNAL_KEY_FILE} cannot be used: {error}") from error


def load_authority_key(directory: Path) -> cose.PublicKey:
    """The key of the backend's CA, which the enrollment code has pinned. Raises NotEnrolled."""
    try:
        key = x509.load_pem_x509_certificate((directory / CA_FILE).read_bytes()).public_key()
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return cose.PublicKey("p256", point)
    except (OSError, ValueError, cose.CoseError) as error:
        raise NotEnrolled(f"{directory / CA_FILE} cannot be used: {type(error).__name__}.") from error


def write_file(path: Path, data: bytes, *, mode: int) -> None:
    """Replace a file so that a power cut leaves the old one or the new one. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make what was renamed in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lender(row: Mapping[str, Any]) -> EnrolledLender:
    """A lender whose key list its root has signed: damage by the disk is found here. Raises NotEnrolled."""
    try:
        lender = EnrolledLender(
            row["lender"], row["name"], decode_base64url(row["root"]), decode_base64url(row["keys"])
        )
        _keys(lender)
    except (Shapeless, cbor.CborError, cose.CoseError, trust.TrustError) as error:
        raise NotEnrolled(f"The keys of {row['lender']} in the lane's identity cannot be used: {error}") from error
    return lender


def _keys(lender: EnrolledLender) -> trust.KeyList:
    """Its key list, checked. Raises CborError, CoseError, TrustError."""
    return trust.verify_key_list(lender.keys, cose.PublicKey.from_cose_key(cbor.decode(lender.root)), version_min=0)
