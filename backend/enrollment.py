"""Enrollment: how a lane becomes known here.

The one rule: a code works once. The same request gets the same answer again, because the first may have been lost;
another request under the code is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from agent.core import cbor
from agent.core.cose import CoseError, PublicKey
from backend import lanes
from backend.identity import SECRET_BYTES, Authority, IdentityError, LaneName, code_text, secret_hash
from backend.lenders import Lender, Randomness
from backend.problems import Problem
from backend.schema import EnrollmentCode, Lane
from backend.wire import Enrollment, b64url, from_b64url, write

CODE_LIFE_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class NewLane:
    """A lane as the operator names it; ``category`` is the merchant category (ISO 18245), for slips and rules."""

    lane: str
    store: str
    merchant: str
    merchant_name: str
    category: str
    currency: str


def create_code(lane: NewLane, authority: Authority, *, now_s: int, randomness: Randomness) -> str:
    """A code for ``lane``, good for a day. Raises Problem("lane_mismatch") if the lane is enrolled already."""
    if Lane.get_or_none(Lane.lane == lane.lane) is not None:
        raise Problem("lane_mismatch", f"the lane {lane.lane} is enrolled already")
    secret = randomness(SECRET_BYTES)
    EnrollmentCode.create(secret_hash=hashlib.sha256(secret).digest(), expires_at=now_s + CODE_LIFE_S, **asdict(lane))
    return code_text(secret, authority.fingerprint)


def enroll(request: Enrollment, authority: Authority, lenders: Mapping[str, Lender], *, now_s: int) -> bytes:
    """The answer's bytes. To be called inside a transaction. Raises Problem: code_refused, code_used, malformed."""
    row = _code(request.code)
    said = hashlib.sha256(json.dumps([request.csr, request.journal_key]).encode()).digest()
    if row.answer is not None:
        if row.request_hash != said:
            raise Problem("code_used")
        return bytes(row.answer)
    if now_s >= row.expires_at or Lane.get_or_none(Lane.lane == row.lane) is not None:
        raise Problem("code_refused")
    journal_key = _journal_key(request.journal_key)
    answer = _answer(row, request, authority, lenders, now_s)
    register(LaneName(row.lane, row.merchant, row.store), journal_key)
    EnrollmentCode.update(request_hash=said, answer=answer).where(
        EnrollmentCode.secret_hash == row.secret_hash
    ).execute()
    return answer


def register(name: LaneName, journal_key: PublicKey) -> None:
    """Make the lane known, with an empty journal of epoch 1 that is signed by ``journal_key``."""
    Lane.create(lane=name.lane, store=name.store, merchant=name.merchant)
    lanes.open_journal(name.lane, 1, journal_key)


def _code(text: str) -> EnrollmentCode:
    try:
        row = EnrollmentCode.get_or_none(EnrollmentCode.secret_hash == secret_hash(text))
    except IdentityError as error:
        raise Problem("code_refused", str(error)) from None
    if row is None:
        raise Problem("code_refused")
    return row


def _journal_key(text: str) -> PublicKey:
    try:
        return PublicKey.from_cose_key(cbor.decode(from_b64url(text), deterministic=False))
    except (CoseError, cbor.CborError) as error:
        raise Problem("malformed", f"journal_key: {error}") from None


def _answer(
    row: EnrollmentCode, request: Enrollment, authority: Authority, lenders: Mapping[str, Lender], now_s: int
) -> bytes:
    try:
        certificate = authority.issue_lane(
            request.csr.encode("utf-8", "replace"), LaneName(row.lane, row.merchant, row.store), now_s
        )
    except IdentityError as error:
        raise Problem("malformed", f"csr: {error}") from None
    return write(
        {
            "lane": row.lane,
            "store": row.store,
            "merchant": row.merchant,
            "merchant_name": row.merchant_name,
            "category": row.category,
            "currency": row.currency,
            "epoch": 1,
            "certificate": certificate.decode(),
            "ca": authority.certificate_pem.decode(),
            "lenders": [_introduced(lender) for lender in lenders.values()],
        }
    )


def _introduced(lender: Lender) -> dict[str, str]:
    return {
        "lender": lender.lender,
        "name": lender.name,
        "root": b64url(cbor.encode(lender.root.to_cose_key())),
        "keys": b64url(lender.key_list_bytes),
    }
