"""Enrollment: a one-time code becomes the identity of a lane.

The one rule: the code is the only thing trusted at the start. It carries the fingerprint of the backend's CA, so nobody
in between can answer; and everything that the answer brings is checked against it before anything is kept. The keys
are on disk before the request leaves, so that after a crash the same code gets the same answer.
"""

import hashlib
import hmac
import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from agent.core import cbor, cose, trust
from agent.core.classify import WALLETS
from agent.errors import (
    CounterfoilError,
    NotEnrolled,
    TrainingMixed,
    UntrustedDocument,
    UplinkRefused,
    UplinkUnavailable,
)
from agent.uplink.answers import decode_base64url, encode_base64url
from agent.uplink.client import BackendClient
from agent.uplink.connection import pinned_context
from agent.uplink.enrollment_code import FINGERPRINT_BYTES, Code
from agent.uplink.faults import BackendFault, Refused
from agent.uplink.identity import (
    IDENTITY_FILE,
    Enrolled,
    EnrolledLender,
    EnrolledRail,
    epoch_end,
    load_identity,
    save_identity,
)
from agent.uplink.lane_keys import LaneKeys, fitting, prepare_keys

ENROLL_TIMEOUT_S: Final = 20.0
TOLD_OF_LANE: Final = ("lane", "store", "merchant", "merchant_name", "category", "currency", "epoch")

MakeHttp: TypeAlias = Callable[[ssl.SSLContext], httpx.AsyncClient]


class WrongBackend(CounterfoilError):
    """The server is not the backend that made the code."""

    code = "enrollment_wrong_backend"
    hint = "Check `--backend`; if the address is right, somebody answers in the backend's place: ask the backend team."


class AlreadyEnrolled(UplinkRefused):
    """This computer is a lane already."""

    code = "enrolled_already"
    hint = "To make it a lane anew, stop the agent and add `--replace`: the old ledger and keys are kept aside."


class NotPermitted(NotEnrolled):
    """This user may not write the lane's state directory."""

    code = "enrollment_not_permitted"
    hint = "Run it as root (`sudo counterfoil enroll …`): the files will belong to the owner of the state directory."


async def enroll(
    url: str,
    code: str,
    directory: Path,
    *,
    make_http: MakeHttp | None = None,
    randomness: Callable[[int], bytes] = os.urandom,
    is_training: bool = False,
) -> Enrolled:
    """Make keys, prove the code, check the answer, write `directory`. Repeating it with the same code is harmless.

    `make_http` builds the HTTP client for a TLS context. Raises BadCode, WrongBackend, UplinkUnavailable (try again),
    UplinkRefused (the code is used, unknown or expired), AlreadyEnrolled, UntrustedDocument (the answer does not hold
    together), TrainingMixed (it is not of the kind that is wanted), NotPermitted and NotEnrolled (the directory cannot
    be written).
    """
    parsed = Code.parse(code)
    make_http = make_http or (lambda context: _http(url, context))
    try:
        if before := _enrolled_before(directory, parsed):
            return before
        keys = prepare_keys(directory, randomness)
        ca = await _fetch_ca(make_http, parsed)
        fields = await _ask(make_http, ca, parsed, keys)
        enrolled = _checked(fields, ca, keys, parsed)
        if enrolled.is_training != is_training:
            raise TrainingMixed(f"This is a backend for {'training' if enrolled.is_training else 'real sales'}.")
        save_identity(directory, enrolled, certificate=fields["certificate"].encode(), ca=_pem(ca))
    except PermissionError as error:
        raise NotPermitted(f"{directory} cannot be written: {error.strerror}.") from error
    except OSError as error:
        raise NotEnrolled(f"{directory} cannot be written: {error.strerror}") from error
    except Refused as error:
        raise UplinkRefused(f"The backend refuses this code: {error.message}") from error
    except BackendFault as error:
        raise UplinkUnavailable(f"The backend cannot be asked: {error.message}") from error
    return enrolled


def _enrolled_before(directory: Path, code: Code) -> Enrolled | None:
    """A lane that is enrolled stays who it is: another code would orphan its journal. Raises AlreadyEnrolled."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (directory / IDENTITY_FILE).exists():
        return None
    enrolled = load_identity(directory)
    if enrolled.code_sha256 != code.sha256:
        who = f"lane {enrolled.lane} of store {enrolled.store} ({enrolled.merchant_name})"
        raise AlreadyEnrolled(f"This computer is {who} already, with another code; nothing was changed.")
    return enrolled


async def _fetch_ca(make_http: MakeHttp, code: Code) -> x509.Certificate:
    """The CA's certificate from a server that nobody vouches for: only the code's fingerprint makes it true."""
    async with make_http(_unverified()) as http:
        fields = await BackendClient(http, transfer_timeout_s=ENROLL_TIMEOUT_S).ca()
    try:
        ca = x509.load_pem_x509_certificate(fields.encode())
    except ValueError as error:
        raise WrongBackend("The server does not give a CA certificate.") from error
    fingerprint = hashlib.sha256(ca.public_bytes(serialization.Encoding.DER)).digest()[:FINGERPRINT_BYTES]
    if not hmac.compare_digest(fingerprint, code.ca_fingerprint):
        raise WrongBackend()
    return ca


async def _ask(make_http: MakeHttp, ca: x509.Certificate, code: Code, keys: LaneKeys) -> dict[str, Any]:
    journal_key = encode_base64url(cbor.encode(keys.journal.to_cose_key()))
    body = {"code": str(code), "csr": keys.csr.decode(), "journal_key": journal_key}
    async with make_http(pinned_context(_pem(ca).decode())) as http:
        return await BackendClient(http, transfer_timeout_s=ENROLL_TIMEOUT_S).enroll(body)


def _checked(fields: Mapping[str, Any], ca: x509.Certificate, keys: LaneKeys, code: Code) -> Enrolled:
    """The answer, if all of it holds together. Raises UntrustedDocument."""
    if _pem(ca) != _repeated(fields["ca"]):
        raise UntrustedDocument("The answer names another CA than the code.")
    certificate = fitting(fields["certificate"].encode(), ca, keys.tls)
    lenders = tuple(_lender(row) for row in fields["lenders"])
    if _subject(certificate) != (fields["lane"], fields["merchant"], fields["store"]):
        raise UntrustedDocument("The certificate names another lane than the answer.")
    told = {name: fields[name] for name in TOLD_OF_LANE}
    previous = epoch_end(fields["previous"]) if fields["previous"] else None
    reason = fields["reason"] or "enrolled"
    rails = tuple(EnrolledRail(row["rail"], row["name"]) for row in fields["rails"] or () if row["rail"] in WALLETS)
    return Enrolled(**told, lenders=lenders, code_sha256=code.sha256, reason=reason, previous=previous, rails=rails)


def _lender(row: Mapping[str, Any]) -> EnrolledLender:
    """A lender whose key list its own root has signed."""
    lender = EnrolledLender(row["lender"], row["name"], decode_base64url(row["root"]), decode_base64url(row["keys"]))
    try:
        root = cose.PublicKey.from_cose_key(cbor.decode(lender.root))
        keys = trust.verify_key_list(lender.keys, root, version_min=0)
    except (cbor.CborError, cose.CoseError, trust.TrustError) as error:
        raise UntrustedDocument(f"The keys of the lender {lender.lender} do not verify: {error}") from error
    if keys.lender != lender.lender:
        raise UntrustedDocument(f"The key list of the lender {lender.lender} is one of {keys.lender}.")
    return lender


def _subject(certificate: x509.Certificate) -> tuple[str | bytes, ...]:
    """Lane, merchant and store, as the certificate states them (CN, O, OU)."""
    oids = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME)
    found = [certificate.subject.get_attributes_for_oid(oid) for oid in oids]
    return tuple(values[0].value if len(values) == 1 else "" for values in found)


def _repeated(pem: str) -> bytes:
    """A certificate in the one form of this library, to compare it; nothing for what is none."""
    try:
        return _pem(x509.load_pem_x509_certificate(pem.encode()))
    except ValueError:
        return b""


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _http(url: str, context: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, verify=context, timeout=ENROLL_TIMEOUT_S, trust_env=False)
