"""What an account has just done, at all lanes: the figures that the policy's rules look at online.

The one rule: a sale is noted once, by its attempt, whether it was decided here or told by a lane's journal; what the
rules make of it is `core.recent`.
"""

from __future__ import annotations

from typing import Final

from agent.core.policy import Policy
from agent.core.recent import Move, Recent, recent_of, windows
from backend.database import compiled, fetch, inserting, put
from backend.holds import Attempt
from backend.schema import RecentMove

SALE: Final = "sale"
REFUND: Final = "refund"

_NOTE: Final = inserting(RecentMove, "IGNORE")
_SINCE: Final = compiled(
    RecentMove.select(RecentMove.what, RecentMove.at_s, RecentMove.amount_minor).where(
        RecentMove.account == b"", RecentMove.lender == "", RecentMove.at_s >= 0
    )
)


def note(key: Attempt, account: bytes, what: str, at_s: int, amount_minor: int, *, number: int = 0) -> None:
    """To be called inside the transaction that decides or posts. ``number``: of the entry, for what may come often."""
    row = {"account": account, "lender": key.lender, "lane": key.lane, "sale_id": key.sale_id, "attempt": key.attempt}
    put(RecentMove, _NOTE, row | {"number": number, "what": what, "at_s": at_s, "amount_minor": amount_minor})


def recent(lender: str, account: bytes, policy: Policy, merchant_category: str, now_s: int) -> Recent:
    """The account's sales and refunds in the policy's windows, without the sale that asks."""
    limits = windows(policy, merchant_category, now_s)
    found = fetch(_SINCE, account, lender, limits.since_s)
    return recent_of((Move(what, at_s, minor) for what, at_s, minor in found), limits)
