"""What an account has just done: the figures behind velocity, split purchases, cash-out patterns and travel.

The one rule: the windows are the policy's, the books are those of whoever decides: the lane's own, or the lender's over
all lanes. Sales decided online and alone count alike; the sale that is being decided is not among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from agent.core.policy import Policy

SALE: Final = "sale"
REFUND: Final = "refund"
AMOUNT_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Windows:
    """Since when (UTC seconds) what counts. A sale is near the limit from ``near_from_minor`` to below the limit."""

    velocity_since_s: int
    cash_out_since_s: int
    refund_since_s: int
    round_unit_minor: int
    near_from_minor: int
    near_below_minor: int

    @property
    def since_s(self) -> int:
        """The earliest moment of all."""
        return min(self.velocity_since_s, self.cash_out_since_s, self.refund_since_s)


@dataclass(frozen=True, slots=True)
class Recent:
    """Counts and sums in these windows; ``last_at_s`` is the account's last sale there (0: none)."""

    velocity_count: int = 0
    velocity_minor: int = 0
    round_count: int = 0
    near_limit_count: int = 0
    refund_count: int = 0
    refund_minor: int = 0
    last_at_s: int = 0


def amount_subject(minor: int) -> bytes:
    """The name under which a lane counts its sales of this very amount."""
    return minor.to_bytes(AMOUNT_BYTES, "big")


class Move(NamedTuple):
    """``SALE`` or ``REFUND``, when (UTC seconds), of how much."""

    what: str
    at_s: int
    amount_minor: int


def recent_of(moves: Iterable[Move], of: Windows) -> Recent:
    """The figures of an account's moves; a move at the beginning of a window is in it."""
    found = list(moves)
    sales = [move for move in found if move.what == SALE and move.at_s >= of.since_s]
    just_now = [move.amount_minor for move in sales if move.at_s >= of.velocity_since_s]
    that_day = [move.amount_minor for move in sales if move.at_s >= of.cash_out_since_s]
    refunds = [move.amount_minor for move in found if move.what == REFUND and move.at_s >= of.refund_since_s]
    return Recent(
        velocity_count=len(just_now),
        velocity_minor=sum(just_now),
        round_count=sum(minor % of.round_unit_minor == 0 for minor in that_day),
        near_limit_count=sum(of.near_from_minor <= minor < of.near_below_minor for minor in that_day),
        refund_count=len(refunds),
        refund_minor=sum(refunds),
        last_at_s=max((move.at_s for move in sales), default=0),
    )


def windows(policy: Policy, merchant_category: str, now_s: int) -> Windows:
    """The windows that the policy sets for a sale of this category, now."""
    limits, floor_minor = policy.limits, policy.floor_limit_minor(merchant_category)
    return Windows(
        velocity_since_s=now_s - limits.velocity_window_s,
        cash_out_since_s=now_s - limits.cash_out_window_s,
        refund_since_s=now_s - limits.refund_window_s,
        round_unit_minor=limits.round_unit_minor,
        near_from_minor=-(-floor_minor * limits.near_limit_percent // 100),
        near_below_minor=floor_minor,
    )
