"""The claim that a slip carries: a stand-in approval, signed by the lane, that survives the loss of the lane's disk.

The one rule (lease rule 17): a claim says no more than the journal entry of its sale, and the same key signs both; so
whoever holds the slip can tell the backend of the sale once, and nobody can tell it of another.

The text is ``CFC1:`` and base64url without padding (RFC 4648 section 5) of a COSE_Sign1 (RFC 9052), type
counterfoil-claim, over the CBOR map ``_FIELDS`` with integer keys: 220 to 280 characters, which a QR code of 58 mm
paper holds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from agent.core import cbor, cose
from agent.core.cose import CoseError, PublicKey, Signer
from agent.core.money import MINOR_MAX
from agent.core.receipt import read_slip_code

PREFIX: Final = "CFC1:"
CLAIM_TYP: Final = "counterfoil-claim"
TEXT_CHARS_MAX: Final = 1024
_INT_END: Final = 2**53


class ClaimError(Exception):
    """A text that is no claim of the lane; ``reason`` is malformed or bad_signature, the message a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SlipClaim:
    """A stand-in approval. ``epoch`` is the journal's, ``approved_at`` UTC seconds, ``account`` the 16-byte token.

    ``lease_epoch`` and ``delta_minor`` are what the sale took of the lane's lease: None and 0 if nothing.
    """

    lane: str
    epoch: int
    lender: str
    sale_id: str
    attempt: int
    account: bytes
    amount_minor: int
    currency: str
    approved_at: int
    lease_epoch: int | None
    delta_minor: int


class SlipName(NamedTuple):
    """Which sale a slip is of; ``lender`` None: the code does not say. For looking it up, and proof of nothing."""

    lane: str
    sale_id: str
    lender: str | None = None


def make_claim(claim: SlipClaim, key: Signer) -> str:
    """The text for the slip's QR code, signed by the lane's journal key (one signature; no kid: the lane names it)."""
    payload: dict[cbor.Key, cbor.Value] = {number: getattr(claim, name) for number, (name, _) in _FIELDS.items()}
    data = cose.sign1(cbor.encode(payload), key, typ=CLAIM_TYP)
    return PREFIX + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_claim(text: str) -> SlipClaim:
    """What a claim says, *not yet true*: for finding the lane whose key it must verify with. Raises ClaimError."""
    return _read(_parse(text))


def read_slip(text: str) -> SlipName | None:
    """Of which sale a slip's code is, whether it is a claim or the short reference; None: it is no code of a slip."""
    text = text.strip()
    if not text.startswith(PREFIX):
        named = read_slip_code(text)
        return SlipName(*named) if named else None
    try:
        claim = read_claim(text)
    except ClaimError:
        return None
    return SlipName(claim.lane, claim.sale_id, claim.lender)


def verify_claim(text: str, key: PublicKey) -> SlipClaim:
    """The claim, if ``key`` signed it. Raises ClaimError: malformed, bad_signature."""
    signed = _parse(text)
    try:
        cose.check1(signed, key, typ=CLAIM_TYP)
    except CoseError as error:
        raise ClaimError("bad_signature", str(error)) from error
    return _read(signed)


def _parse(text: str) -> cose.Signed:
    body = text.strip().removeprefix(PREFIX)
    if len(body) == len(text.strip()) or len(body) > TEXT_CHARS_MAX:
        raise ClaimError("malformed", f"A claim begins with {PREFIX} and has at most {TEXT_CHARS_MAX} characters.")
    try:
        return cose.parse1(base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, CoseError) as error:
        raise ClaimError("malformed", f"The claim is not readable: {error}") from error


def _read(signed: cose.Signed) -> SlipClaim:
    try:
        fields = cbor.decode(signed.payload, deterministic=False)
    except cbor.CborError as error:
        raise ClaimError("malformed", f"The claim is not readable CBOR: {error}.") from error
    if not isinstance(fields, dict):
        raise ClaimError("malformed", "The claim is not a CBOR map.")
    wrong = [name for number, (name, is_valid) in _FIELDS.items() if not is_valid(fields.get(number))]
    if wrong:
        raise ClaimError("malformed", f"The claim's {', '.join(wrong)} is missing or out of range.")
    claim: dict[str, Any] = {name: fields.get(number) for number, (name, _) in _FIELDS.items()}
    if claim["delta_minor"] > claim["amount_minor"] or (claim["lease_epoch"] is None) != (claim["delta_minor"] == 0):
        raise ClaimError("malformed", "The claim contradicts itself about its lease.")
    return SlipClaim(**claim)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and "\0" not in value


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _INT_END


def _is_positive(value: object) -> bool:
    return type(value) is int and 0 < value < _INT_END


def _is_amount(value: object) -> bool:
    return type(value) is int and 0 < value <= MINOR_MAX


_FIELDS: Final[dict[int, tuple[str, Callable[[object], bool]]]] = {
    1: ("lane", _is_text),
    2: ("epoch", _is_positive),
    3: ("lender", _is_text),
    4: ("sale_id", _is_text),
    5: ("attempt", _is_positive),
    6: ("account", lambda value: isinstance(value, bytes) and len(value) == 16),
    7: ("amount_minor", _is_amount),
    8: ("currency", lambda value: isinstance(value, str) and len(value) == 3),
    9: ("approved_at", _is_count),
    10: ("lease_epoch", lambda value: value is None or _is_positive(value)),
    11: ("delta_minor", _is_count),
}
"""Key of the map, name, and what a value must be."""
