"""Wallet payments as rows: what a rail said about an attempt, and what it has still to do.

The one rule: what the lane's journal decides is final here at once, and stays a duty until the rail has done it
(lease rule 6, for money that is no credit).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final, NamedTuple

from backend.database import change, compiled, inserting, load, put, rows, selecting
from backend.holds import Attempt
from backend.schema import RailDuty, WalletPayment
from backend.wire import rfc3339, write

ASKED, PAID, DECLINED = "asked", "paid", "declined"
CANCEL, REFUND = "cancel", "refund"

PENDING: Final = ("09", "wallet_pending")
APPROVED: Final = ("00", "approved")
REFUSED: Final = "wallet_declined"
UNREACHABLE: Final = ("91", "wallet_unreachable")
TOMBSTONED: Final = ("94", "tombstoned")
"""Response code (ISO 8583 field 39: 09 request in progress, 91 issuer inoperative, 94 duplicate) and text key."""

_KEY: Final = (
    WalletPayment.lane == "", WalletPayment.lender == "", WalletPayment.sale_id == "", WalletPayment.attempt == 0,
)  # fmt: skip
_FIND: Final = selecting(WalletPayment, *_KEY)
_SAVE: Final = inserting(WalletPayment, "REPLACE")
_BURY: Final = inserting(WalletPayment, "IGNORE")
_OWE: Final = inserting(RailDuty, "REPLACE")
_DONE: Final = compiled(
    RailDuty.delete().where(
        RailDuty.lane == "",
        RailDuty.lender == "",
        RailDuty.sale_id == "",
        RailDuty.attempt == 0,
        RailDuty.duty == "",
        RailDuty.part == "",
    )
)


def find(key: Attempt) -> WalletPayment | None:
    return load(WalletPayment, _FIND, key.lane, key.lender, key.sale_id, key.attempt)


def begin(key: Attempt, request_hash: bytes, amount_minor: int, now_s: int) -> None:
    """The attempt is on the disk before the rail hears of it."""
    put(WalletPayment, _BURY, _row(key, request_hash, amount_minor, ASKED, now_s) | _why(PENDING))


def decide(payment: WalletPayment, state: str, why: tuple[str, str], now_s: int, code: str | None = None) -> None:
    """What became of a payment that was asked for; ``why`` is response code and reason."""
    payment.state, payment.decided_at, payment.authorization_code = state, now_s, code
    payment.response_code, payment.reason = why
    put(WalletPayment, _SAVE, payment.__data__)


def bury(key: Attempt, now_s: int) -> None:
    """Leave a tombstone, unless the attempt has been asked for."""
    put(WalletPayment, _BURY, _row(key, b"", 0, DECLINED, now_s) | _why(TOMBSTONED))


def undo(key: Attempt, duty: str, now_s: int) -> None:
    """The lane has decided against it: the rail gives back what it took, or takes nothing any more."""
    payment = find(key)
    if payment is None or payment.state == DECLINED:
        return
    owe(key, duty, payment.amount_minor)
    decide(payment, DECLINED, TOMBSTONED, now_s)


def owe(key: Attempt, duty: str, amount_minor: int, part: str = "") -> None:
    """Have the rail cancel the payment, or give back ``part`` of it ("": all), once."""
    put(RailDuty, _OWE, asdict(key) | {"duty": duty, "part": part, "amount_minor": amount_minor})


class Duty(NamedTuple):
    """What a rail has still to do, and for how many minor units."""

    key: Attempt
    duty: str
    part: str
    amount_minor: int


def owed() -> list[Duty]:
    """Every duty that a rail has still to do."""
    columns = (RailDuty.lane, RailDuty.lender, RailDuty.sale_id, RailDuty.attempt)
    found = rows(RailDuty.select(*columns, RailDuty.duty, RailDuty.part, RailDuty.amount_minor))
    return [Duty(Attempt(*row[:4]), row[4], row[5], int(row[6])) for row in found]


def done(duty: Duty) -> None:
    key = duty.key
    change(_DONE, key.lane, key.lender, key.sale_id, key.attempt, duty.duty, duty.part)


def answer(payment: WalletPayment, currency: str) -> bytes:
    """The payment as an authorization's answer; the same bytes as long as it stands the same."""
    is_paid = payment.state == PAID
    members: dict[str, Any] = {
        "approved": is_paid,
        "response_code": payment.response_code,
        "reason": payment.reason,
        "rules": [],
        "policy_version": 0,
        "authorization_code": payment.authorization_code,
        "amount": {"minor": payment.amount_minor, "currency": currency} if is_paid else None,
        "lease_used_minor": 0,
        "decided_at": rfc3339(payment.decided_at),
        "pending": payment.state == ASKED,
    }
    return write(members)


def _row(key: Attempt, request_hash: bytes, amount_minor: int, state: str, now_s: int) -> dict[str, Any]:
    said = {"request_hash": request_hash, "amount_minor": amount_minor, "state": state, "decided_at": now_s}
    return asdict(key) | said


def _why(why: tuple[str, str]) -> dict[str, str]:
    return {"response_code": why[0], "reason": why[1]}
