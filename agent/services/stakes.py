"""What a sale puts at stake at this lane: the lease, the totals of the policy's windows, the snapshot behind them.

The one rule: what a sale may use is net of everything that this ledger knows to be spent, or reserved by another sale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from agent.core import leases
from agent.core.credit_pass import CreditPass
from agent.core.journal import Position
from agent.core.policy import Policy
from agent.core.situation import Situation, Totals
from agent.core.snapshot_reader import Found
from agent.core.trusted_time import ClockReading
from agent.ports import Ledger
from agent.services.lenders import Lender
from agent.services.reading import Case

NOTHING_SOLD: Final = Totals()


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


class Stakes:
    """Figures of one lane's ledger, and the situation that they make of a sale."""

    def __init__(self, lane: str, ledger: Ledger) -> None:
        self._lane, self._ledger = lane, ledger

    def reserve(self, case: Case) -> dict[str, int] | None:
        """Rule 5: what of the lease this online request may use, debited before it leaves."""
        view, reading = self.lease_view(case, reserved_minor=0), case.reading
        if view is None or not reading.trusted:
            return None
        horizon_s = self._ledger.head.horizon_of(case.attempt.lender)
        if not leases.is_spendable(view.valid_until_s, now_s=reading.now_s, horizon_s=horizon_s):
            return None
        debit = leases.debit_for_intent(case.attempt.sale.amount.minor, view.remaining_minor)
        return {"epoch": view.epoch, "debit_minor": debit} if debit else None

    def lease_view(self, case: Case, *, reserved_minor: int) -> LeaseView | None:
        """The lease of the scanned account, net of all spends and of the open debits of other sales."""
        if case.found is None or case.attempt.account is None:
            return None
        return self.lease_of(case.attempt.lender, case.attempt.account, case.found, reserved_minor=reserved_minor)

    def lease_of(self, lender: str, account: bytes, found: Found, *, reserved_minor: int = 0) -> LeaseView | None:
        """The lease of any account, by its record; ``reserved_minor`` of the open debits are the asker's own."""
        record, manifest = found.record, found.manifest
        if record.removed:
            return None
        applied = manifest.applied_through.get(self._lane, (0, 0))
        spent = self._ledger.spent_after(lender, account, Position(*applied))
        debits = self._ledger.open_debits(lender, account) - reserved_minor
        left = leases.remaining(record.allowance_minor, spent, debits)
        if manifest.lease_epoch != self._ledger.head.epoch:
            left = 0  # rules 11 and 12: a lease belongs to the journal of one epoch, and dies with it
        return LeaseView(manifest.lease_epoch, left, record.valid_until_s, reserved_minor)

    def situation(self, case: Case, lease: LeaseView | None, reading: ClockReading) -> Situation:
        """All that the lane's own decision of this case looks at."""
        assert isinstance(case.verified, CreditPass), "anything else is refused at sight"
        sale, credential = case.attempt.sale, case.verified.credential
        at_s = max(reading.now_s, self._ledger.head.horizon_of(case.lender.lender))
        return Situation(
            lender=credential.lender,
            sale_amount_minor=sale.amount.minor,
            sale_currency=sale.amount.currency,
            sale_merchant_category=sale.merchant_category,
            clock_trusted=reading.trusted,
            clock_source=reading.source,
            clock_at_s=at_s,
            pass_tier=credential.tier,
            pass_user_verified=case.verified.proof.user_verified,
            pass_cap_minor=credential.cap_minor,
            lease_minor=lease.remaining_minor if lease else 0,
            lease_reserved_minor=lease.reserved_minor if lease else 0,
            lease_left_s=lease.valid_until_s - at_s if lease else 0,
            **_of_snapshot(case.lender, case.found, self._ledger.head.epoch, at_s),
            **_of_record(case.found, credential.tier),
            **self._sold(case.lender, case.lender.policy, credential.account, reading.now_s),
        )

    def _sold(self, lender: Lender, policy: Policy | None, account: bytes, now_s: int) -> dict[str, Any]:
        """The totals of the policy's windows."""
        windows = {
            "account": ("account", account, policy.limits.account_window_s if policy else None),
            "lane": ("lane", b"", policy.limits.lane_window_s if policy else None),
            "cap": ("cap", account, policy.limits.cap_window_s if policy else None),
        }
        sold: dict[str, int] = {}
        for name, (scope, subject, window_s) in windows.items():
            read = self._ledger.stand_in_totals
            totals = NOTHING_SOLD if window_s is None else read(lender.lender, scope, subject, now_s - window_s)
            sold |= {f"{name}_count": totals.count, f"{name}_cumulative_minor": totals.amount_minor}
        return sold


def _of_snapshot(lender: Lender, found: Found | None, epoch: int, at_s: int) -> dict[str, Any]:
    """No sequence without a snapshot for this epoch: one of another life of this lane says nothing about this one."""
    if lender.stack is None or lender.stack.newest.lease_epoch != epoch:
        ages = dict.fromkeys(("snapshot_age_s", "snapshot_soft_age_s", "snapshot_hard_age_s"), 0)
        return {"snapshot_sequence": None, "snapshot_policy_version_min": 0} | ages
    newest = lender.stack.newest
    layer = found.manifest if found else newest
    return {
        "snapshot_sequence": newest.sequence,
        "snapshot_policy_version_min": newest.policy_version,
        "snapshot_age_s": max(0, at_s - layer.built_at),
        "snapshot_soft_age_s": layer.soft_age_s,
        "snapshot_hard_age_s": layer.hard_age_s,
    }


def _of_record(found: Found | None, pass_tier: int) -> dict[str, Any]:
    record = found.record if found else None
    return {
        "account_known": record is not None,
        "account_removed": record is not None and record.removed,
        "account_blocked": record is not None and record.blocked,
        "account_tier": record.tier if record else pass_tier,
        "account_step_up_always": record is not None and record.step_up,
    }
