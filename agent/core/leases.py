"""Leases: how much of an account's credit a lane may spend alone. The arithmetic of both sides in one place.

The one rule: used + held + outstanding of an account never rises above its limit by an approval or a grant.

What both sides add up is the same list of numbers: the ``delta_minor`` of the lease in authorization, online
outcome, reversal and lease-return entries. A debit that an online intent reserves is not spent yet: the lane
subtracts it as *open*, the backend still counts it as outstanding, until the outcome entry says what was used.
(Counting it at the intent instead lets a snapshot cut between intent and outcome hand out the freed rest twice.)

The rules, by the numbers that the code uses; a test named after a rule shows the interleaving that it answers.

|  # | promise                                                                         | kept in                      |
| -- | ------------------------------------------------------------------------------- | ---------------------------- |
|  1 | a lease lapses by the lane's own word: its lender's horizon in each entry        | core/journal, backend/poster |
|  2 | a lease counts from its signing until a newer layer's installation is told      | `live`, backend/allowances   |
|  3 | a layer says how far the journal is in it, read before any of its figures       | backend/snapshots            |
|  4 | leases that the lanes of a store share                                          | not built yet                |
|  5 | an online sale reserves its part of the lease first, and frees what is unused   | `fund_online`, checkout      |
|  6 | of two outcomes the lane's journaled one wins; a request after it is declined   | backend/postings, checkout   |
|  7 | an attempt's key: (lender, lane, sale_id, attempt); a sale is approved once     | checkout, backend/holds      |
|  8 | only signed layers grant; what is given back is an entry, ingested like a spend | services/lease_desk          |
|    | a recall frees nothing by itself, the entries of the lane that follows it do    | backend/recalls, lease_desk  |
|    | what nobody uses is taken back by the next base                                 | backend/planner, snapshots   |
|    | a lane gives back unasked what nobody used for the holding time of the policy   | lease_desk                   |
|    | a lane asks for more below the policy's threshold, and only a layer grants it   | lease_desk, backend/compose  |
|  9 | a reversal restores the lease of a still open epoch, never available credit     | checkout, backend/holds      |
| 10 | no more is posted than the lease has left; people see the excess                | `post_spend`, backend/holds  |
| 11 | a ledger that may be an old copy stands in for none until people or backend say | core/witness, restoration    |
| 12 | a journal's key is (lane, epoch), and a lease belongs to the journal of one     | store, services/stakes       |
|    | a new epoch on a replacement device, upload alone after a certificate's end     | lane, backend/access         |
| 13 | a backend that forgot entries gets them again: a lane keeps all it ever wrote   | core/forwarding, store       |
|    | such a backend grants nothing until its lanes have reported                     | backend/recovery             |
|    | devices that it forgot are stored at once, and count when somebody vouches      | backend/strangers, reports   |
| 14 | time is trusted from a nonce-bound signed time on, per lender, for a holdover   | core/trusted_time            |
| 15 | a bounded share of an account is leased out; what is tied up is told apart      | backend/planner, allowances  |
| 16 | every figure, sequence, batch and key begins with the lender                    | store, backend/schema        |
| 17 | a slip proves its sale to the backend, should the lane's disk be lost           | core/slip_claim, claims      |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.core.journal import Position


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease as a signed snapshot states it: ``granted_minor`` was left after the entries to ``applied_through``."""

    sequence: int
    granted_minor: int
    applied_through: Position
    valid_until_s: int


def remaining(granted_minor: int, spent_after_minor: int, open_debits_minor: int) -> int:
    """What the lane may still spend: the grant less its own later spends less what open intents reserve."""
    return max(0, granted_minor - spent_after_minor - open_debits_minor)


def is_spendable(valid_until_s: int, *, now_s: int, horizon_s: int) -> bool:
    """Rule 1: a lease at or before the horizon is never spent again, whatever the clock says now."""
    return valid_until_s > max(now_s, horizon_s)


def is_low(remaining_minor: int, granted_minor: int, threshold_percent: int) -> bool:
    """Whether less than the threshold is left of what was granted, so that the lane asks for more. Of nothing granted
    there is nothing to ask more of: that is the plan's word."""
    return remaining_minor * 100 < granted_minor * threshold_percent


def debit_for_intent(amount_minor: int, remaining_minor: int) -> int:
    """Rule 5: an online intent reserves as much of the lease as the sale could need."""
    return min(amount_minor, remaining_minor)


@dataclass(frozen=True, slots=True)
class Counted:
    """A grant as the backend counts it: ``spent_minor`` is the sum of deltas ingested after ``applied_through``."""

    grant: Grant
    spent_minor: int = 0

    @property
    def left_minor(self) -> int:
        return self.grant.granted_minor - self.spent_minor


def live(grants: Iterable[Counted], *, installed_sequence: int, horizon_s: int) -> list[Counted]:
    """The grants of one account at one lane that the lane might still spend from.

    Rule 2: a lane on ``installed_sequence`` uses the newest grant at or below it, or any newer one it may install.
    Rule 1: a grant whose validity the lane's own horizon has passed is over.
    """
    ordered = sorted(grants, key=lambda counted: counted.grant.sequence)
    usable_from = max(
        (c.grant.sequence for c in ordered if c.grant.sequence <= installed_sequence), default=installed_sequence
    )
    return [c for c in ordered if c.grant.sequence >= usable_from and c.grant.valid_until_s > horizon_s]


def outstanding(live_grants: Iterable[Counted], online_use_minor: int) -> int:
    """Rule 2: the most that the lane might still spend, whichever snapshot it uses.

    ``online_use_minor`` is what online approvals already moved from this lease to held (rule 5) and whose
    outcome entries have not been ingested yet.
    """
    return max(0, max((counted.left_minor for counted in live_grants), default=0) - online_use_minor)


@dataclass(frozen=True, slots=True)
class OnlineFunding:
    """How an online approval is paid: ``from_lease_minor`` leaves the lease, the rest leaves available credit."""

    approved: bool
    from_lease_minor: int


def fund_online(amount_minor: int, *, available_minor: int, debit_minor: int, outstanding_minor: int) -> OnlineFunding:
    """Rule 5: an online sale may use available credit plus the debit that its intent reserved at the lane.

    The lease is used first, so that an online approval never makes used + held + outstanding rise by more than needed.
    """
    from_lease = min(amount_minor, debit_minor, outstanding_minor)
    return OnlineFunding(amount_minor - from_lease <= available_minor, from_lease)


@dataclass(frozen=True, slots=True)
class Posting:
    """Rule 10: what an ingested spend takes from the lease, and what people must look at."""

    posted_minor: int
    excess_minor: int


def post_spend(delta_minor: int, left_minor: int) -> Posting:
    posted = min(delta_minor, max(0, left_minor))
    return Posting(posted, delta_minor - posted)


def grantable(limit_minor: int, used_minor: int, held_minor: int, outstanding_elsewhere_minor: int) -> int:
    """The most that a new layer may grant an account at one lane (promise 4). Never negative."""
    return max(0, limit_minor - used_minor - held_minor - outstanding_elsewhere_minor)
