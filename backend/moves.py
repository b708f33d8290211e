"""What an account has just done, at all lanes, and where: what the policy's rules look at online.

The one rule: a sale is noted once, by its attempt, whether it was decided here or told by a lane's journal; what the
rules make of it is `core.recent`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from agent.core.policy import Policy
from agent.core.recent import REFUND, SALE, Move, Recent, recent_of, windows
from agent.core.travel import Place
from backend.database import compiled, fetch, inserting, put
from backend.holds import Attempt
from backend.schema import RecentMove

_NOTE: Final = inserting(RecentMove, "IGNORE")
_SINCE: Final = compiled(
    RecentMove.select(RecentMove.what, RecentMove.at_s, RecentMove.amount_minor).where(
        RecentMove.account == b"", RecentMove.lender == "", RecentMove.at_s >= 0
    )
)


SEEN_S: Final = 24 * 3600
"""How long it matters where an account was: within a day, people get anywhere. Lanes are told of nothing older."""

_SEEN: Final = compiled(
    RecentMove.select(RecentMove.latitude_udeg, RecentMove.longitude_udeg, RecentMove.at_s)
    .where(
        RecentMove.account == b"",
        RecentMove.lender == "",
        RecentMove.at_s >= 0,
        RecentMove.latitude_udeg.is_null(False),
    )
    .order_by(RecentMove.at_s.desc())
    .limit(1)
)


class Seen(NamedTuple):
    """Where an account was, and when (UTC seconds)."""

    place: Place
    at_s: int


def note_sale(key: Attempt, account: bytes, at_s: int, amount_minor: int, place: Place | None) -> None:
    """To be called inside the transaction that decides or posts. ``place`` is the store's, if it is known."""
    where = place._asdict() if place else {}
    row = {"number": 0, "what": SALE, "at_s": at_s, "amount_minor": amount_minor}
    put(RecentMove, _NOTE, _name(key, account) | row | where)


def note_refund(key: Attempt, account: bytes, at_s: int, amount_minor: int, number: int) -> None:
    """The same; ``number`` is the entry's, because there may be several of one attempt."""
    row = {"number": number, "what": REFUND, "at_s": at_s, "amount_minor": amount_minor}
    put(RecentMove, _NOTE, _name(key, account) | row)


def _name(key: Attempt, account: bytes) -> dict[str, Any]:
    return {"account": account, "lender": key.lender, "lane": key.lane, "sale_id": key.sale_id, "attempt": key.attempt}


def last_seen(lender: str, account: bytes, now_s: int) -> Seen | None:
    """Where the account bought last, of the stores whose place is known; never later than now."""
    found = fetch(_SEEN, account, lender, now_s - SEEN_S, 1)
    if not found:
        return None
    latitude_udeg, longitude_udeg, at_s = found[0]
    return Seen(Place(latitude_udeg, longitude_udeg), min(at_s, now_s))


def recent(lender: str, account: bytes, policy: Policy, merchant_category: str, now_s: int) -> Recent:
    """The account's sales and refunds in the policy's windows, without the sale that asks."""
    limits = windows(policy, merchant_category, now_s)
    found = fetch(_SINCE, account, lender, limits.since_s)
    return recent_of((Move(what, at_s, minor) for what, at_s, minor in found), limits)
