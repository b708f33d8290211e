"""The leases that this lane holds: what is left of one, and giving it back.

The one rule (lease rule 8): giving back is a journal entry, subtracted like a spend and durable before it is told. The
backend frees the credit when it ingests the entry, and not before.
"""

from __future__ import annotations

from agent.core.situation import LeaseView
from agent.core.snapshot_layer import SnapshotError
from agent.ports import Backend, Ledger
from agent.services import entries
from agent.services.lenders import Lender, Lenders
from agent.services.stakes import Stakes
from agent.services.timekeeping import LaneClock


class LeaseDesk:
    """No method waits for anything, so none comes between the reading and the writing of a sale."""

    def __init__(self, lane: str, ledger: Ledger, lenders: Lenders, clock: LaneClock, backend: Backend) -> None:
        self._ledger, self._lenders, self._clock, self._backend = ledger, lenders, clock, backend
        self._stakes = Stakes(lane, ledger)

    def lease(self, lender_id: str, account: bytes) -> LeaseView | None:
        """What this lane may still spend of the account's credit; None if its snapshot has no (sound) record."""
        lender = self._lenders.get(lender_id)
        return self._view(lender, account) if lender else None

    def give_back(self, lender_id: str, account: bytes, amount_minor: int | None = None) -> int:
        """Give back so much of the lease, or all that is left; returns what was given back (0: there was nothing)."""
        view = self.lease(lender_id, account)
        left = view.remaining_minor if view else 0
        given = left if amount_minor is None else min(amount_minor, left)
        if view is None or given <= 0:
            return 0
        self._ledger.record([entries.lease_return(lender_id, account, view.epoch, given)], self._clock.read(lender_id))
        self._backend.poke()
        return given

    def _view(self, lender: Lender, account: bytes) -> LeaseView | None:
        if lender.stack is None:
            return None
        try:
            found = lender.stack.lookup(account)
        except SnapshotError as error:
            lender.damaged(error)
            return None
        return self._stakes.lease_of(lender.lender, account, found) if found else None
