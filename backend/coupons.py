"""Interest-free coupons in the books: which sale uses one up.

The one rule: a coupon pays for one sale, and is good again only when no sale that stands was made with it; a sale that
people are to look at stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.core.authorization import APPROVED, HoldState
from agent.core.coupons import Coupon, CouponRefused, check_use, read_coupon
from agent.core.disclosure import read_statement
from backend import holds
from backend.database import inserting, load, off_page, put, selecting
from backend.holds import Attempt
from backend.lenders import Lender
from backend.schema import CouponUse, PlanSale

_FIND: Final = selecting(CouponUse, CouponUse.account == b"", CouponUse.lender == "", CouponUse.coupon == b"")
_SAVE: Final = inserting(CouponUse, "REPLACE")

_STANDS: Final = APPROVED | {HoldState.REFUNDED}
"""What was given back was bought all the same; a void is as if the sale had never been."""

_NOBODY: Final = ("", "")


class PlanRefused(Exception):
    """A plan or coupon that cannot be; ``reason`` is a text key. It never leaves the backend."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Use(NamedTuple):
    """What a coupon is to be used for."""

    account: bytes
    plan_id: str
    amount_minor: int


def good(text: str, lender: Lender, use: Use, at: int) -> Coupon:
    """The coupon in a text, if its lender signed it for this use at this time (UTC seconds). Raises PlanRefused."""
    try:
        coupon = read_coupon(text, lender.key_list, at=at)
        check_use(coupon, account=use.account, plan_id=use.plan_id, amount_minor=use.amount_minor, at=at)
    except CouponRefused as refused:
        raise PlanRefused(refused.reason) from None
    return coupon


def is_free(coupon: Coupon, account: bytes, key: Attempt) -> bool:
    """Whether no other sale uses it."""
    row = load(CouponUse, _FIND, account, coupon.lender, coupon.coupon_id)
    return row is None or (row.lane, row.sale_id) in (_NOBODY, (key.lane, key.sale_id))


def take(coupon: Coupon, account: bytes, key: Attempt) -> None:
    """The sale uses it up. To be called inside a transaction."""
    found = load(CouponUse, _FIND, account, coupon.lender, coupon.coupon_id)
    _save(found or CouponUse(account=account, lender=coupon.lender, coupon=coupon.coupon_id), (key.lane, key.sale_id))


def free(row: PlanSale, coupon_id: bytes) -> None:
    """The sale uses it no more: another one that was made with it, or nobody. A later attempt of the same sale, whose
    answer came before this attempt's end did, keeps it. To be called inside a transaction."""
    use = load(CouponUse, _FIND, bytes(row.account), row.lender, coupon_id)
    if use is None or (use.lane, use.sale_id) != (row.lane, row.sale_id):
        return
    if holds.is_open_otherwise(Attempt(row.lane, row.lender, row.sale_id, row.attempt)):
        return
    with off_page():
        _save(use, next(_others(row, coupon_id), _NOBODY))


def _others(row: PlanSale, coupon_id: bytes) -> Iterator[tuple[str, str]]:
    """The sales (lane, sale id) that stand and were made with the same coupon, to people's surprise."""
    mine = (PlanSale.account == row.account) & (PlanSale.lender == row.lender) & PlanSale.coupon.is_null(False)
    itself = (PlanSale.lane == row.lane) & (PlanSale.sale_id == row.sale_id)
    for other in PlanSale.select().where(mine, ~itself).order_by(PlanSale.lane, PlanSale.sale_id, PlanSale.attempt):
        is_same = read_statement(bytes(other.statement)).coupon_id == coupon_id
        if is_same and holds.find(Attempt(other.lane, other.lender, other.sale_id, other.attempt)).state in _STANDS:
            yield other.lane, other.sale_id


def _save(row: CouponUse, sale: tuple[str, str]) -> None:
    row.lane, row.sale_id = sale
    put(CouponUse, _SAVE, row.__data__)
