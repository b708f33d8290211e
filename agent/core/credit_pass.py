"""The credit pass: a QR code on a customer's phone that can be verified while phone and lane are offline.

A lender-signed credential names the phone's key; a proof by that key is fresh for a minute. Both are COSE_Sign1 with
CWT claims (RFC 9052, RFC 8392), carried in an EMVCo consumer-presented QR code (base64 of BER-TLV).
The one rule: whatever is scanned, the answer is a verified pass or one PassRejected, never another exception.
"""

import base64
import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from agent.core import cose, tlv
from agent.core.cose import CoseError, Signer
from agent.core.pass_claims import (
    BINDING_BYTES,
    Credential,
    PassRejected,
    Proof,
    Reason,
    credential_payload,
    malformed,
    proof_payload,
    read_credential,
    read_proof,
)
from agent.core.trust import AID_DEFAULT, AID_TRAINING, KeyList, Role, TrustError

__all__ = [
    "CODE_CHARS_MAX",
    "FRESHNESS_S",
    "TOLERANCE_S",
    "Credential",
    "CreditPass",
    "ParsedPass",
    "PassRejected",
    "Proof",
    "Reason",
    "assemble",
    "check",
    "issue_credential",
    "issue_proof",
    "parse",
    "verify",
]

CODE_CHARS_MAX = 512  # EMVCo QR Code Specification, consumer-presented mode: a payload has at most 512 characters
FRESHNESS_S = 60
TOLERANCE_S = 30  # how far a phone's clock may be off, either way
CREDENTIAL_LIFE_MAX_S = 7 * 24 * 3600
KID_BYTES = 8
LABEL_DEFAULT = "CREDIT PASS"

_FORMAT = b"CPV01"
_TAG_FORMAT, _TAG_APPLICATION, _TAG_AID, _TAG_LABEL, _TAG_TRANSPARENT = 0x85, 0x61, 0x4F, 0x50, 0x63  # EMVCo CPM
_TAG_CREDENTIAL, _TAG_PROOF = 0xDF01, 0xDF02
_PREAMBLE = tlv.write(_TAG_FORMAT, _FORMAT)

_KEY_REASONS = {
    "key_unknown": Reason.UNKNOWN_KEY,
    "key_wrong_role": Reason.WRONG_ROLE_KEY,
    "key_revoked": Reason.KEY_REVOKED,
    "list_expired": Reason.KEY_LIST_EXPIRED,
    "key_not_yet": Reason.KEY_NOT_YET_VALID,
    "key_expired": Reason.KEY_EXPIRED,
}
_SIGNATURE_REASONS = {"algorithm_unavailable": Reason.ALGORITHM_UNAVAILABLE}
"""Whatever else is wrong with a signature makes it a bad one."""


@dataclass(frozen=True, slots=True)
class CreditPass:
    """A verified pass, and the id of the lender key that signed its credential."""

    credential: Credential
    proof: Proof
    kid: bytes


class ParsedPass(NamedTuple):
    """A pass taken apart. Nothing in it is verified: for verify(), and for explaining a code to an engineer."""

    aid: bytes
    label: str
    credential: Credential
    signed_credential: cose.Signed
    kid: bytes
    proof: Proof
    signed_proof: cose.Signed
    binding: bytes  # of the credential in this code
    proof_binding: bytes  # to the credential that the proof was made for


def issue_credential(credential: Credential, lender_key: Signer) -> bytes:
    """DF01: the credential signed by a lender key of role credential."""
    return cose.sign1(credential_payload(credential), lender_key, kid=lender_key.public.kid)


def issue_proof(credential_bytes: bytes, proof: Proof, phone_key: Signer) -> bytes:
    """DF02: the phone's proof for exactly this DF01."""
    return cose.sign1(proof_payload(proof, _binding(credential_bytes)), phone_key)


def assemble(df01: bytes, df02: bytes, aid: bytes = AID_DEFAULT, label: str = LABEL_DEFAULT) -> str:
    """The text of the QR code. Raises PassRejected("too_long") above 512 characters."""
    transparent = tlv.write(_TAG_CREDENTIAL, df01) + tlv.write(_TAG_PROOF, df02)
    application = (
        tlv.write(_TAG_AID, aid) + tlv.write(_TAG_LABEL, label.encode()) + tlv.write(_TAG_TRANSPARENT, transparent)
    )
    code = base64.b64encode(_PREAMBLE + tlv.write(_TAG_APPLICATION, application)).decode()
    if len(code) > CODE_CHARS_MAX:
        raise PassRejected(Reason.TOO_LONG, f"The pass has {len(code)} characters; {CODE_CHARS_MAX} are allowed.")
    return code


def parse(code: str | bytes) -> ParsedPass:
    """Take a scanned code apart, trusting nothing. Raises PassRejected (too_long … malformed)."""
    aid, label, df01, df02 = _application(_bytes_of(code))
    try:
        signed_credential, signed_proof = cose.parse1(df01), cose.parse1(df02)
    except CoseError as error:
        malformed(str(error))
    kid = signed_credential.kid
    if kid is None or len(kid) != KID_BYTES:
        malformed("The credential does not name its key by 8 bytes.")
    credential = read_credential(signed_credential.payload)
    proof, proof_binding = read_proof(signed_proof.payload)
    return ParsedPass(
        aid, label, credential, signed_credential, kid, proof, signed_proof, _binding(df01), proof_binding
    )


def verify(
    code: str | bytes,
    trust: Mapping[str, KeyList],
    *,
    scanned_at: int,
    freshness_s: int = FRESHNESS_S,
    tolerance_s: int = TOLERANCE_S,
) -> CreditPass:
    """The pass in a scanned code, if a lender in `trust` (by lender id) vouches for it at `scanned_at` (trusted, UTC).

    Raises PassRejected and nothing else. Replay (sub, cti), uv and the counter are for the caller to judge.
    """
    return check(parse(code), trust, scanned_at=scanned_at, freshness_s=freshness_s, tolerance_s=tolerance_s)


def check(
    parsed: ParsedPass,
    trust: Mapping[str, KeyList],
    *,
    scanned_at: int,
    freshness_s: int = FRESHNESS_S,
    tolerance_s: int = TOLERANCE_S,
) -> CreditPass:
    """verify() for a code that parse() has already taken apart (to find its lender)."""
    _check_credential(parsed, trust, scanned_at)
    _check_proof(parsed, scanned_at, freshness_s, tolerance_s)
    return CreditPass(parsed.credential, parsed.proof, parsed.kid)


def _check_credential(parsed: ParsedPass, trust: Mapping[str, KeyList], at: int) -> None:
    credential = parsed.credential
    aids = {keys.aid for keys in trust.values()}
    if parsed.aid not in aids:
        raise PassRejected(_why_not(parsed.aid, aids), f"No lender here uses the application {parsed.aid.hex()}.")
    keys = trust.get(credential.lender)
    if keys is None or keys.lender != credential.lender:
        raise PassRejected(Reason.UNKNOWN_LENDER, f"The lender {credential.lender!r} is not known here.")
    if parsed.aid != keys.aid:
        raise PassRejected(Reason.OTHER_LENDERS_APPLICATION, "The application belongs to another lender.")
    try:
        cose.check1(parsed.signed_credential, keys.find(parsed.kid, Role.CREDENTIAL, at), typ=None)
    except TrustError as error:
        raise PassRejected(_KEY_REASONS[error.reason], str(error)) from error
    except CoseError as error:
        raise PassRejected(_SIGNATURE_REASONS.get(error.reason, Reason.BAD_SIGNATURE), str(error)) from error
    if credential.exp_at - credential.nbf_at > CREDENTIAL_LIFE_MAX_S:
        raise PassRejected(Reason.LIFE_TOO_LONG, "The credential lives longer than 7 days.")
    if at < credential.nbf_at:
        raise PassRejected(Reason.NOT_YET_VALID, f"The credential is valid in {credential.nbf_at - at} s.")
    if at >= credential.exp_at:
        raise PassRejected(Reason.EXPIRED, f"The credential expired {at - credential.exp_at} s ago.")


def _why_not(aid: bytes, aids: Set[bytes]) -> Reason:
    """Training and real money do not mix: who shows the other kind of pass is told so."""
    if aid == AID_TRAINING:
        return Reason.TRAINING_PASS
    return Reason.TRAINING_COUNTER if AID_TRAINING in aids else Reason.NOT_OUR_APPLICATION


def _check_proof(parsed: ParsedPass, at: int, freshness_s: int, tolerance_s: int) -> None:
    try:
        cose.check1(parsed.signed_proof, parsed.credential.phone_key, typ=None)
    except CoseError as error:
        raise PassRejected(_SIGNATURE_REASONS.get(error.reason, Reason.PROOF_BAD_SIGNATURE), str(error)) from error
    if parsed.proof_binding != parsed.binding:
        raise PassRejected(Reason.PROOF_OTHER_CREDENTIAL, "The proof was made for another credential.")
    age_s = at - parsed.proof.issued_at
    if age_s < -tolerance_s:
        raise PassRejected(Reason.PROOF_FROM_FUTURE, f"The phone's clock is {-age_s} s ahead of the lane's.")
    if age_s > freshness_s + tolerance_s:
        raise PassRejected(Reason.PROOF_STALE, f"The code is {age_s} s old.")


def _binding(credential_bytes: bytes) -> bytes:
    """The claim "ch": the start of SHA-256 over the whole DF01 value."""
    return hashlib.sha256(credential_bytes).digest()[:BINDING_BYTES]


def _bytes_of(code: str | bytes) -> bytes:
    """Undo the base64, accepting only the one text that these bytes have (padded, RFC 4648 §4, §3.5)."""
    if len(code) > CODE_CHARS_MAX:
        raise PassRejected(Reason.TOO_LONG, f"The code has more than {CODE_CHARS_MAX} characters.")
    try:
        text = code.encode("ascii") if isinstance(code, str) else code
        data = base64.b64decode(text)
    except ValueError as error:
        raise PassRejected(Reason.NOT_BASE64, "The code is not base64 text.") from error
    if base64.b64encode(data) != text:
        raise PassRejected(Reason.NOT_BASE64, "The code is not base64 in its only valid form.")
    return data


def _application(data: bytes) -> tuple[bytes, str, bytes, bytes]:
    """AID, label, DF01 and DF02 of the first application template; whatever else the code carries is ignored."""
    if not data.startswith(_PREAMBLE):
        raise PassRejected(Reason.NOT_EMVCO, "The code is not an EMVCo consumer-presented code.")
    try:
        template = next((element.value for element in tlv.read(data) if element.tag == _TAG_APPLICATION), b"")
        application = _unique(template)
        inside = _unique(application.get(_TAG_TRANSPARENT, b""))
    except tlv.TlvError as error:
        malformed(f"The code is not strict BER-TLV: {error}.")
    if _TAG_CREDENTIAL not in inside and _TAG_PROOF not in inside:
        raise PassRejected(Reason.NOT_OUR_APPLICATION, "The code carries no credit pass in its first application.")
    for tags, tag in ((application, _TAG_AID), (inside, _TAG_CREDENTIAL), (inside, _TAG_PROOF)):
        if tag not in tags:
            malformed(f"The element {tag:X} is missing.")
    label = application.get(_TAG_LABEL, b"").decode("ascii", "replace")
    return application[_TAG_AID], label, inside[_TAG_CREDENTIAL], inside[_TAG_PROOF]


def _unique(template: bytes) -> dict[int, bytes]:
    elements = tlv.read(template)
    values = {element.tag: element.value for element in elements}
    if len(values) != len(elements):
        malformed("An element appears twice in its template.")
    return values
