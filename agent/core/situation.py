"""What a stand-in decision looks at, apart from pass and policy: sale, exposure, clock, snapshot. Values only.

The one rule: every figure states what it already includes, so that nothing is counted twice and nothing forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.core.money import Money
    from agent.core.snapshot_layer import Record
    from agent.core.trusted_time import ClockSource


@dataclass(frozen=True, slots=True)
class Sale:
    """What is to be put on credit; `merchant_category` has four digits (ISO 18245)."""

    sale_id: str
    amount: Money
    merchant_category: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Stand-in sales in a policy window, without this one."""

    count: int = 0
    amount_minor: int = 0


@dataclass(frozen=True, slots=True)
class LeaseView:
    """The account's lease at this lane.

    `remaining_minor` is net of all spends and of the open debits of other sales; `reserved_minor` is the part of it
    that this very sale's online intent has debited (0: no intent), and then all that a stand-in may use (lease rule 5).
    """

    epoch: int
    remaining_minor: int
    valid_until_s: int
    reserved_minor: int = 0


@dataclass(frozen=True, slots=True)
class Exposure:
    """What this lane has at stake: the lease, and the totals of account, lane, and account under the pass's cap."""

    lease: LeaseView | None
    account: Totals = Totals()
    lane: Totals = Totals()
    cap: Totals = Totals()


@dataclass(frozen=True, slots=True)
class Clock:
    """UTC seconds, whether they are trusted and why; nothing valid until `horizon_s` or before is used again."""

    now_s: int
    trusted: bool
    source: ClockSource
    horizon_s: int = 0

    @property
    def at_s(self) -> int:
        """The time that judges validity and age: a clock that went back gives nothing back."""
        return max(self.now_s, self.horizon_s)


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """The layer that supplied the record (or the newest, if there is none), and the record."""

    sequence: int
    built_at: int
    soft_age_s: int
    hard_age_s: int
    record: Record | None
    policy_version_min: int = 0

    def age_s(self, at_s: int) -> int:
        """Seconds since it was built; never negative."""
        return max(0, at_s - self.built_at)
