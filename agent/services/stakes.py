"""What a sale puts at stake at this lane: the lease, the totals of the policy's windows, the snapshot behind them.

The one rule: what a sale may use is net of everything that this ledger knows to be spent, or reserved by another sale.
"""

from __future__ import annotations

from agent.core import leases
from agent.core.credit_pass import CreditPass
from agent.core.decision import Decision, decide
from agent.core.journal import Position
from agent.core.policy import Policy
from agent.core.situation import Clock, Exposure, LeaseView, SnapshotView
from agent.core.snapshot_reader import Found
from agent.core.trusted_time import ClockReading
from agent.ports import Ledger
from agent.services.lenders import Lender
from agent.services.reading import Case


class Stakes:
    """Figures of one lane's ledger, and what the rules say to them."""

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

    def ask_rules(self, case: Case, lease: LeaseView | None, reading: ClockReading) -> Decision:
        """What the lender's policy says to this case, decided alone."""
        assert isinstance(case.verified, CreditPass), "anything else is refused at sight"
        lender, policy, verified = case.lender, case.lender.policy, case.verified
        horizon_s = self._ledger.head.horizon_of(lender.lender)
        clock = Clock(reading.now_s, reading.trusted, reading.source, horizon_s)
        exposure = self._exposure(lender, policy, verified.credential.account, lease, reading.now_s)
        view = _snapshot_view(lender, case.found, self._ledger.head.epoch)
        return decide(case.attempt.sale, verified, view, exposure, policy, clock)

    def _exposure(
        self, lender: Lender, policy: Policy | None, account: bytes, lease: LeaseView | None, now_s: int
    ) -> Exposure:
        if policy is None:
            return Exposure(lease)
        limits, totals = policy.limits, self._ledger.stand_in_totals
        return Exposure(
            lease,
            account=totals(lender.lender, "account", account, now_s - limits.account_window_s),
            lane=totals(lender.lender, "lane", b"", now_s - limits.lane_window_s),
            cap=totals(lender.lender, "cap", account, now_s - limits.cap_window_s),
        )


def _snapshot_view(lender: Lender, found: Found | None, epoch: int) -> SnapshotView | None:
    """None without a snapshot for this epoch: one of another life of this lane says nothing about this one."""
    if lender.stack is None or lender.stack.newest.lease_epoch != epoch:
        return None
    manifest = found.manifest if found else lender.stack.newest
    return SnapshotView(
        sequence=lender.stack.newest.sequence,
        built_at=manifest.built_at,
        soft_age_s=manifest.soft_age_s,
        hard_age_s=manifest.hard_age_s,
        record=found.record if found else None,
        policy_version_min=lender.stack.newest.policy_version,
    )
