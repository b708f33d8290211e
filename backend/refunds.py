"""Refunds that a lane asks for of another lane's sale: set aside when they are asked for, booked when its journal says.

The one rule: the asking lane's journaled outcome moves the money (lease rule 6). Until it comes, the amount is set
aside by compare and set on the account, so that two lanes that refund one slip never exceed what was captured.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from agent.core.decision import RESPONSE_CODES
from agent.core.journal import Entry
from agent.core.money import MINOR_MAX
from backend import accounts, holds, inquiries
from backend.database import inserting, load, put, selecting
from backend.holds import Attempt
from backend.lenders import Lender
from backend.problems import Problem
from backend.schema import Hold, SlipRefund
from backend.wire import RefundRequest, write

RESERVED, BOOKED, DECLINED = "reserved", "booked", "declined"
APPROVED: Final = ("00", "refunded")
EXCEEDS: Final = ("61", "refund_above_captured")
TOMBSTONED: Final = ("94", "refund_interrupted")
GIVEN_UP: Final = ("91", "refund_unanswered")
OTHER_CURRENCY: Final = (RESPONSE_CODES["currency_mismatch"], "currency_mismatch")
"""Response code (ISO 8583 field 39: 13 invalid amount, 61 exceeds the amount limit, 91 inoperative, 94 duplicate) and
text key."""

_FIND: Final = selecting(SlipRefund, SlipRefund.lane == "", SlipRefund.lender == "", SlipRefund.request == "")
_SAVE: Final = inserting(SlipRefund, "REPLACE")


class Contradicted(Exception):
    """An outcome after which nothing can be booked; ``reason`` is a text key. It never leaves the backend."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Said:
    """The body of a lane's outcome of such a refund, every field checked."""

    request: str
    lane: str
    sale_id: str
    attempt: int | None
    amount_minor: int
    approved: bool


def ask(request: RefundRequest, raw: bytes, asking: str, lender: Lender) -> bytes:
    """The answer's bytes, the same for the same request. To be called inside a transaction.

    Raises Problem: lane_unknown, lane_mismatch, sale_unknown, idempotency_conflict.
    """
    said = hashlib.sha256(raw).digest()
    known = _find(asking, lender.lender, request.request_id)
    if known is not None:
        if bytes(known.request_hash) not in (holds.TOMBSTONE, said):
            raise Problem("idempotency_conflict", f"refund {request.request_id}")
        return _answer(known, lender)
    inquiries.check_merchant(asking, request.lane)
    row = SlipRefund(lane=asking, lender=lender.lender, request=request.request_id, request_hash=said)
    row.epoch = request.epoch
    row.sale_lane, row.sale_id, row.amount_minor = request.lane, request.sale_id, request.amount.minor
    hold = inquiries.sold(request.lane, request.sale_id, lender.lender)
    row.attempt = hold.attempt
    row.response_code, row.reason = _verdict(hold, request, lender)
    row.state = RESERVED if (row.response_code, row.reason) == APPROVED else DECLINED
    if row.state == RESERVED:
        _reserve(hold, row.amount_minor)
    put(SlipRefund, _SAVE, row.__data__)
    return _answer(row, lender)


def _verdict(hold: Hold, request: RefundRequest, lender: Lender) -> tuple[str, str]:
    if request.amount.currency != lender.currency:
        return OTHER_CURRENCY
    if not holds.captured(hold):
        return "12", f"sale_{hold.state}"
    return APPROVED if request.amount.minor <= holds.refundable(hold) else EXCEEDS


def _reserve(hold: Hold, minor: int) -> None:
    """Set aside, or with a negative amount set free; two who do it at once cannot both have read the same."""
    account = accounts.find(hold.lender, bytes(hold.account)) if hold.account else None
    if account is not None and minor > 0:
        accounts.guard(account)
    hold.reserved_minor += minor
    holds.save(hold)


def settle(entry: Entry, said: Said) -> Hold | None:
    """What the lane made of the answer: the reservation ends, where it was made and whatever the outcome names, and a
    late request gets a tombstone. The sale, if its refund is to be booked now; None: nothing is. Raises Contradicted.
    """
    lender = entry.lender or ""
    row = _find(entry.lane, lender, said.request)
    if row is not None and row.state == BOOKED:
        raise Contradicted("refund_booked_before")
    if row is not None and row.state == RESERVED and row.attempt is not None:
        _reserve(holds.find(Attempt(row.sale_lane, lender, row.sale_id, row.attempt)), -row.amount_minor)
    hold = holds.find(Attempt(said.lane, lender, said.sale_id, said.attempt or (row.attempt if row else 0) or 0))
    if row is None:
        row = SlipRefund(lane=entry.lane, lender=lender, request=said.request, request_hash=holds.TOMBSTONE)
        row.sale_lane, row.sale_id, row.attempt, row.amount_minor = said.lane, said.sale_id, None, said.amount_minor
        row.epoch = entry.epoch
    row.state = BOOKED if said.approved else DECLINED
    row.response_code, row.reason = APPROVED if said.approved else TOMBSTONED
    put(SlipRefund, _SAVE, row.__data__)
    return hold if said.approved else None


def give_up(lane: str, epoch: int) -> int:
    """Set free what a journal that is written off had set aside: nobody waits for its outcome. Should it surface after
    all, it is posted as far as there is something left. To be called inside a transaction; returns how many there were.
    """
    mine = (SlipRefund.lane == lane) & (SlipRefund.epoch == epoch) & (SlipRefund.state == RESERVED)
    given_up = list(SlipRefund.select().where(mine))
    for row in given_up:
        hold = holds.find(Attempt(row.sale_lane, row.lender, row.sale_id, row.attempt or 0))
        _reserve(hold, -row.amount_minor)
        row.state, (row.response_code, row.reason) = DECLINED, GIVEN_UP
        put(SlipRefund, _SAVE, row.__data__)
    return len(given_up)


def said_by(entry: Entry) -> Said | None:
    """The outcome in an entry; None if it is malformed."""
    body: Any = entry.body
    request, lane, sale_id = (body.get(name) for name in ("request", "lane", "sale_id"))
    amount, attempt, approved = body.get("amount_minor"), body.get("attempt"), body.get("approved")
    if not all(isinstance(text, str) and 0 < len(text) <= 64 and "\0" not in text for text in (request, lane, sale_id)):
        return None
    if type(amount) is not int or not 0 < amount <= MINOR_MAX or type(approved) is not bool:
        return None
    if attempt is not None and (type(attempt) is not int or not 0 < attempt < 2**31):
        return None
    return Said(request, lane, sale_id, attempt, amount, approved)


def _find(asking: str, lender: str, request: str) -> SlipRefund | None:
    return load(SlipRefund, _FIND, asking, lender, request)


def _answer(row: SlipRefund, lender: Lender) -> bytes:
    return write(
        {
            "approved": row.state in (RESERVED, BOOKED),
            "response_code": row.response_code,
            "reason": row.reason,
            "attempt": row.attempt,
            "amount": {"minor": row.amount_minor, "currency": lender.currency},
        }
    )
