"""What a credit pass says: the lender's credential, the phone's proof, and why either is refused.

The one rule: a Credential or Proof that exists is inside the profile, whether it was read from a scan or made here.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from agent.core import cbor
from agent.core.cbor_claims import read_claims
from agent.core.cose import CoseError, PublicKey
from agent.core.trust import LENDER_CHARS_MAX

NUMBER_LIMIT = 2**53  # exclusive: amounts, times and counters stay exact wherever JSON is read
TIER_MAX = 7
ACCOUNT_BYTES, CTI_BYTES, BINDING_BYTES = 16, 8, 8

_ISS, _SUB, _EXP, _NBF, _IAT, _CTI, _CNF = 1, 2, 4, 5, 6, 7, 8  # CWT claims: RFC 8392 §4, RFC 8747 §3.1
_CNF_COSE_KEY = 1  # RFC 8747 §3.1
_CAP, _TIER, _PURPOSE_BOUND, _CH, _UV, _CTR = "cap", "tier", "pb", "ch", "uv", "ctr"  # this profile's own claims
_OF_CREDENTIAL: frozenset[cbor.Key] = frozenset({_ISS, _SUB, _EXP, _NBF, _CNF, _CAP, _TIER, _PURPOSE_BOUND})
_OF_PROOF: frozenset[cbor.Key] = frozenset({_IAT, _CTI, _CH, _UV, _CTR})

Claims = dict[cbor.Key, cbor.Value]


class Reason(StrEnum):
    """Why a pass is refused, with the ISO 8583 field 39 code that the refusal carries.

    12 (invalid transaction): this is no credit pass. 14 (invalid number): no lender here vouches for it.
    54 (expired): dates or freshness. 59 (suspected fraud): a signature or a binding is wrong.
    91 (issuer inoperative): the lane's own knowledge of the lender is too old.
    """

    response_code: str

    def __new__(cls, reason: str, response_code: str) -> "Reason":
        member = str.__new__(cls, reason)
        member._value_ = reason
        member.response_code = response_code
        return member

    TOO_LONG = "too_long", "12"
    NOT_BASE64 = "not_base64", "12"
    NOT_EMVCO = "not_emvco", "12"
    NOT_OUR_APPLICATION = "not_our_application", "12"
    TRAINING_PASS = "training_pass", "12"
    TRAINING_COUNTER = "training_counter", "12"
    MALFORMED = "malformed", "12"
    UNKNOWN_LENDER = "unknown_lender", "14"
    UNKNOWN_KEY = "unknown_key", "14"
    OTHER_LENDERS_APPLICATION = "other_lenders_application", "59"
    WRONG_ROLE_KEY = "wrong_role_key", "59"
    KEY_REVOKED = "key_revoked", "59"
    KEY_LIST_EXPIRED = "key_list_expired", "91"
    KEY_NOT_YET_VALID = "key_not_yet_valid", "54"
    KEY_EXPIRED = "key_expired", "54"
    BAD_SIGNATURE = "bad_signature", "59"
    ALGORITHM_UNAVAILABLE = "algorithm_unavailable", "91"
    LIFE_TOO_LONG = "life_too_long", "59"
    NOT_YET_VALID = "not_yet_valid", "54"
    EXPIRED = "expired", "54"
    PROOF_BAD_SIGNATURE = "proof_bad_signature", "59"
    PROOF_OTHER_CREDENTIAL = "proof_other_credential", "59"
    PROOF_FROM_FUTURE = "proof_from_future", "54"
    PROOF_STALE = "proof_stale", "54"


class PassRejected(Exception):
    """The pass is refused: `reason` for programs, `response_code` for the decision, `detail` for engineers."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    @property
    def response_code(self) -> str:
        """ISO 8583 field 39."""
        return self.reason.response_code


@dataclass(frozen=True, slots=True)
class Credential:
    """What the lender vouches for: this account on the phone with this key, while nbf_at <= t < exp_at (seconds UTC).

    `account` is the 16-byte token; `cap_minor` the largest stand-in amount without an allowance, in the currency of
    the lender; `tier` 0 to 7 is the customer tier; `purpose_bound` credit is not for categories that the policy names.
    Values outside the profile raise PassRejected("malformed"), so that no such credential can be issued either.
    """

    lender: str
    account: bytes
    nbf_at: int
    exp_at: int
    phone_key: PublicKey
    cap_minor: int = 0
    tier: int = 0
    purpose_bound: bool = False

    def __post_init__(self) -> None:
        _demand(1 <= len(self.lender) <= LENDER_CHARS_MAX, "The lender id is not 1 to 16 characters long.")
        _demand(len(self.account) == ACCOUNT_BYTES, "The account token is not 16 bytes long.")
        _demand(0 <= self.nbf_at < self.exp_at < NUMBER_LIMIT, "The dates of the credential are out of order or range.")
        _demand(0 <= self.cap_minor < NUMBER_LIMIT, "The offline cap is out of range.")
        _demand(0 <= self.tier <= TIER_MAX, "The tier is out of range.")


@dataclass(frozen=True, slots=True)
class Proof:
    """What the phone vouches for: it made this code once (`cti`, 8 random bytes), at issued_at by its clock (UTC).

    `user_verified`: it checked its user for this code. `counter` grows with each proof of this key; None is unknown.
    Values outside the profile raise PassRejected("malformed").
    """

    issued_at: int
    cti: bytes
    user_verified: bool = False
    counter: int | None = None

    def __post_init__(self) -> None:
        _demand(0 <= self.issued_at < NUMBER_LIMIT, "The time of the proof is out of range.")
        _demand(len(self.cti) == CTI_BYTES, "The cti of the proof is not 8 bytes long.")
        _demand(self.counter is None or 0 <= self.counter < NUMBER_LIMIT, "The counter of the proof is out of range.")


def credential_payload(credential: Credential) -> bytes:
    """The CWT claims of a credential, deterministic CBOR; defaults are left out."""
    claims: Claims = {
        _ISS: credential.lender,
        _SUB: credential.account,
        _NBF: credential.nbf_at,
        _EXP: credential.exp_at,
        # Compressed: 33 bytes are two versions of the QR code on a small screen.
        _CNF: {_CNF_COSE_KEY: credential.phone_key.to_cose_key(compressed=True)},
    }
    if credential.cap_minor:
        claims[_CAP] = credential.cap_minor
    if credential.tier:
        claims[_TIER] = credential.tier
    if credential.purpose_bound:
        claims[_PURPOSE_BOUND] = True
    return cbor.encode(claims)


def proof_payload(proof: Proof, binding: bytes) -> bytes:
    """The CWT claims of a proof, bound to a credential by `binding` (8 bytes); defaults are left out."""
    claims: Claims = {_IAT: proof.issued_at, _CTI: proof.cti, _CH: binding}
    if proof.user_verified:
        claims[_UV] = True
    if proof.counter is not None:
        claims[_CTR] = proof.counter
    return cbor.encode(claims)


def read_credential(payload: bytes) -> Credential:
    """The credential in a payload; unknown claims are ignored, whatever they hold. Raises PassRejected("malformed")."""
    claims = _claims(payload, _OF_CREDENTIAL)
    confirmation = claims.get(_CNF)
    if not isinstance(confirmation, dict):
        malformed("The credential names no key of a phone.")
    try:
        phone_key = PublicKey.from_cose_key(confirmation.get(_CNF_COSE_KEY))
    except CoseError as error:
        malformed(f"The phone's key is not usable: {error}")
    return Credential(
        lender=_text(claims, _ISS),
        account=_bytes(claims, _SUB),
        nbf_at=_integer(claims, _NBF),
        exp_at=_integer(claims, _EXP),
        phone_key=phone_key,
        cap_minor=_integer(claims, _CAP) if _CAP in claims else 0,
        tier=_integer(claims, _TIER) if _TIER in claims else 0,
        purpose_bound=_flag(claims, _PURPOSE_BOUND),
    )


def read_proof(payload: bytes) -> tuple[Proof, bytes]:
    """The proof in a payload and its binding to a credential (8 bytes); unknown claims are ignored, whatever they hold.

    Raises PassRejected("malformed").
    """
    claims = _claims(payload, _OF_PROOF)
    binding = _bytes(claims, _CH)
    _demand(len(binding) == BINDING_BYTES, "The binding of the proof is not 8 bytes long.")
    proof = Proof(
        issued_at=_integer(claims, _IAT),
        cti=_bytes(claims, _CTI),
        user_verified=_flag(claims, _UV),
        counter=_integer(claims, _CTR) if _CTR in claims else None,
    )
    return proof, binding


def _claims(payload: bytes, names: frozenset[cbor.Key]) -> Claims:
    try:
        return read_claims(payload, names)
    except cbor.CborError as error:
        malformed(f"The claims are not readable CBOR: {error}.")


def _integer(claims: Claims, name: cbor.Key) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        malformed(f"The claim {name} is missing or no integer.")
    return value


def _flag(claims: Claims, name: cbor.Key) -> bool:
    value = claims.get(name, False)
    if not isinstance(value, bool):
        malformed(f"The claim {name} is not a boolean.")
    return value


def _bytes(claims: Claims, name: cbor.Key) -> bytes:
    value = claims.get(name)
    if not isinstance(value, bytes):
        malformed(f"The claim {name} is missing or no byte string.")
    return value


def _text(claims: Claims, name: cbor.Key) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        malformed(f"The claim {name} is missing or no text.")
    return value


def _demand(fulfilled: bool, otherwise: str) -> None:
    if not fulfilled:
        malformed(otherwise)


def malformed(detail: str) -> NoReturn:
    """Refuse with the reason malformed."""
    raise PassRejected(Reason.MALFORMED, detail)
