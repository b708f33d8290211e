"""What a sale puts at stake at this lane: the account's lease.

The one rule: what a sale may use is net of everything that this ledger knows to be spent, or reserved by another sale.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.core import leases
from agent.core.journal import Position
from agent.core.snapshot_reader import Found
from agent.ports import Ledger
from agent.services.reading import Case


@dataclass(frozen=True, slots=True)
class LeaseView:
    """The account's lease at this lane.

    `remaining_minor` is net of all spends and of the open debits of other sales; `reserved_minor` is the part of it
    that this very sale's online intent has debited (0: no intent), and then all that a stand-in may use (lease rule 5).
    `granted_minor` is what layer `sequence` grants.
    """

    epoch: int
    remaining_minor: int
    valid_until_s: int
    reserved_minor: int = 0
    granted_minor: int = 0
    sequence: int = 0


class Stakes:
    """Leases, net, by one lane's ledger."""

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
        return LeaseView(
            manifest.lease_epoch, left, record.valid_until_s, reserved_minor, record.allowance_minor, manifest.sequence
        )
