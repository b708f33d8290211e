"""Who this lane is: the directory that enrollment writes, and that `run` and `uplink` read.

The one rule: identity.json is written last, and whole. If it is there, everything else is; if not, the lane is not
enrolled, and whatever else is there is reused by the next attempt. Private keys are readable by their owner only.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.core import cbor, cose, trust
from agent.errors import NotEnrolled
from agent.uplink.answers import Shapeless, decode_base64url, encode_base64url

IDENTITY_FILE: Final = "identity.json"
CERTIFICATE_FILE: Final = "lane.crt"
CA_FILE: Final = "ca.crt"
TLS_KEY_FILE: Final = "tls.key"
JOURNAL_KEY_FILE: Final = "journal.key"
REQUEST_FILE: Final = "lane.csr"


@dataclass(frozen=True, slots=True)
class EnrolledLender:
    """A lender at enrollment: the CBOR of its root's COSE_Key, to be pinned, and its signed key list."""

    lender: str
    name: str
    root: bytes
    keys: bytes


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the backend told this lane about itself. `epoch` is the journal epoch to start with."""

    lane: str
    store: str
    merchant: str
    merchant_name: str
    category: str
    currency: str
    epoch: int
    lenders: tuple[EnrolledLender, ...]
    code_sha256: str  # of the one-time code: the same code may be repeated, another one must not replace the lane


def load_identity(directory: Path) -> Enrolled:
    """The identity of this lane. Raises NotEnrolled."""
    try:
        fields = json.loads((directory / IDENTITY_FILE).read_bytes())
        lenders = tuple(_lender(row) for row in fields.pop("lenders"))
        return Enrolled(**fields, lenders=lenders)
    except FileNotFoundError:
        raise NotEnrolled() from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotEnrolled(f"{directory / IDENTITY_FILE} cannot be used: {type(error).__name__}.") from error


def save_identity(directory: Path, enrolled: Enrolled, *, certificate: bytes, ca: bytes) -> None:
    """Write certificate (PEM), CA (PEM) and identity, the identity last. Raises OSError."""
    write_file(directory / CERTIFICATE_FILE, certificate, mode=0o644)
    write_file(directory / CA_FILE, ca, mode=0o644)
    fields = asdict(enrolled)
    for row in fields["lenders"]:
        row.update(root=encode_base64url(row["root"]), keys=encode_base64url(row["keys"]))
    text = json.dumps(fields, ensure_ascii=False, indent=2) + "\n"
    write_file(directory / IDENTITY_FILE, text.encode(), mode=0o644)


def load_journal_key(directory: Path) -> cose.SigningKey:
    """The key that signs this lane's journal. Raises NotEnrolled."""
    try:
        return cose.SigningKey.from_pem((directory / JOURNAL_KEY_FILE).read_bytes())
    except (OSError, cose.CoseError) as error:
        raise NotEnrolled(f"{directory / JOURNAL_KEY_FILE} cannot be used: {error}") from error


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
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
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
        trust.verify_key_list(lender.keys, cose.PublicKey.from_cose_key(cbor.decode(lender.root)), version_min=0)
    except (Shapeless, cbor.CborError, cose.CoseError, trust.TrustError) as error:
        raise NotEnrolled(f"The keys of {row['lender']} in the lane's identity cannot be used: {error}") from error
    return lender
