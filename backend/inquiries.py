"""What a lane may ask about the past: its entries that people must look at, and what is left to refund of a sale.

The one rule: nothing changes here, and a lane learns only of its own entries and of its own merchant's sales.
"""

from __future__ import annotations

import re
from typing import Any, Final

from agent.core.authorization import UNDECIDED, HoldState
from backend import holds, lanes
from backend.database import rows
from backend.lenders import Lender
from backend.problems import Problem
from backend.schema import Dispute, Hold
from backend.wire import COUNT_MAX

PAGE_MAX: Final = 500
_UNSOLD: Final = UNDECIDED | {HoldState.DECLINED}
_SALE_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,36}")


def exceptions(lane: str, after: str, currencies: dict[str, str]) -> dict[str, Any]:
    """The lane's exceptions behind the cursor, in the order in which they were found, at most a page of them.

    ``currencies`` by lender. Raises Problem("malformed") for a cursor that was never given out.
    """
    columns = (Dispute.sequence, Dispute.epoch, Dispute.number, Dispute.result, Dispute.reason, Dispute.bearer)
    query = Dispute.select(*columns, Dispute.lender, Dispute.sale_id, Dispute.amount_minor)
    mine = query.where(Dispute.lane == lane, Dispute.sequence > _sequence(after))
    found = rows(mine.order_by(Dispute.sequence).limit(PAGE_MAX))
    told = [
        {
            "epoch": epoch,
            "number": number,
            "result": result,
            "reason": reason,
            "bearer": bearer,
            "lender": lender if lender in currencies else None,
            "sale_id": sale_id if sale_id and _SALE_ID.fullmatch(sale_id) else None,
            "amount": _amount(minor, currencies.get(lender)),
        }
        for _, epoch, number, result, reason, bearer, lender, sale_id, minor in found
    ]
    return {"exceptions": told, "cursor": str(found[-1][0]) if found else after or "0"}


def refundable(asking: str, lane: str, sale_id: str, lender: Lender) -> dict[str, Any]:
    """What was captured of a sale, given back, and is left.

    Raises Problem: lane_unknown, lane_mismatch, sale_unknown.
    """
    check_merchant(asking, lane)
    sale = sold(lane, sale_id, lender.lender)
    amounts = {
        "captured": holds.captured(sale),
        "refunded": holds.given_back(sale),
        "refundable": holds.refundable(sale),
    }
    told = {name: _amount(minor, lender.currency) for name, minor in amounts.items()}
    return {"lender": lender.lender, "lane": lane, "sale_id": sale_id, "attempt": sale.attempt} | told


def check_merchant(asking: str, lane: str) -> None:
    """Raises Problem: lane_unknown, lane_mismatch."""
    lanes.find(asking)
    if not lanes.same_merchant(asking, lane):
        raise Problem("lane_mismatch", "only sales of the same merchant")


def sold(lane: str, sale_id: str, lender: str) -> Hold:
    """The attempt by which a sale was sold, or its last one. Raises Problem("sale_unknown")."""
    mine = (Hold.lane == lane) & (Hold.lender == lender) & (Hold.sale_id == sale_id)
    attempts = list(Hold.select().where(mine).order_by(Hold.attempt)) if _SALE_ID.fullmatch(sale_id) else []
    if not attempts:
        raise Problem("sale_unknown")
    sale: Hold = next((each for each in attempts if each.state not in _UNSOLD), attempts[-1])
    return sale


def _sequence(after: str) -> int:
    if after == "":
        return 0
    if not (after.isascii() and after.isdecimal() and len(after) <= len(str(COUNT_MAX))):
        raise Problem("malformed", "after: no cursor of these exceptions")
    return min(int(after), COUNT_MAX)


def _amount(minor: int, currency: str | None) -> dict[str, Any] | None:
    return {"minor": minor, "currency": currency} if minor > 0 and currency else None
