"""The leases that this lane holds: what is left of one, giving it back, and asking for more.

The one rule (lease rule 8): giving back is a journal entry, subtracted like a spend and durable before it is told. The
backend frees the credit when it ingests the entry, and not before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from agent.core import leases
from agent.core.snapshot_layer import SnapshotError
from agent.errors import CounterfoilError
from agent.ports import Backend, Ledger
from agent.services import entries
from agent.services.lenders import Lender, Lenders
from agent.services.stakes import LeaseView, Stakes
from agent.services.timekeeping import LaneClock

LOG: Final = logging.getLogger(__name__)
USED_MAX: Final = 10_000
"""Accounts that are remembered for the holding time; what is forgotten lapses by its own time."""
RECALLED_AT_ONCE: Final = 50
"""Entries in one transaction: a few milliseconds."""


class LeaseDesk:
    """Nothing waits between a look at a lease and the entry that gives it back, so no sale comes between."""

    def __init__(self, lane: str, ledger: Ledger, lenders: Lenders, clock: LaneClock, backend: Backend) -> None:
        self._ledger, self._lenders, self._clock, self._backend = ledger, lenders, clock, backend
        self._stakes = Stakes(lane, ledger)
        self._used: dict[tuple[str, bytes], int] = {}
        self._changed: set[tuple[str, bytes]] = set()
        self._asked: dict[tuple[str, bytes], int] = {}

    def lease(self, lender_id: str, account: bytes) -> LeaseView | None:
        """What this lane may still spend of the account's credit; None if its snapshot has no (sound) record."""
        lender = self._lenders.get(lender_id)
        return self._view(lender, account) if lender else None

    def give_back(self, lender_id: str, account: bytes, amount_minor: int | None = None) -> int:
        """Give back so much of the lease, or all that is left; returns what was given back (0: there was nothing)."""
        view = self.lease(lender_id, account)
        left = self._free_minor(lender_id, view)
        given = left if amount_minor is None else min(amount_minor, left)
        if view is None or given <= 0:
            return 0
        self._ledger.record([entries.lease_return(lender_id, account, view.epoch, given)], self._clock.read(lender_id))
        self._backend.poke()
        return given

    def used(self, lender_id: str, account: bytes) -> None:
        """A sale of the account: its lease is held for the policy's ``lease_holding_s`` from now on.

        A lane knows an account only by the passes that it has seen, and after a restart by none: the leases of all
        others end with their validity.
        """
        self._changed.add((lender_id, account))
        reading = self._clock.read(lender_id)
        if not reading.trusted:
            return
        self._used.pop((lender_id, account), None)
        self._used[lender_id, account] = reading.now_s
        if len(self._used) > USED_MAX:
            del self._used[next(iter(self._used))]

    def ask_for_more(self) -> None:
        """Ask for more of the leases that sales have brought below the policy's ``lease_threshold_percent``, once for
        each layer that granted one.

        Called when entries are about to be sent anyway: a sale waits for none of this, and a lane without a line asks
        nothing. A question that cannot be written is dropped: the entries before it must be sent all the same.
        """
        changed, self._changed = self._changed, set()
        try:
            for lender_id, account in sorted(changed):
                self._ask_for_more(lender_id, account)
        except CounterfoilError as error:
            LOG.warning("more of a lease was not asked for: %s", error.message, extra={"code": error.code})

    def _ask_for_more(self, lender_id: str, account: bytes) -> None:
        lender, view = self._lenders.get(lender_id), self.lease(lender_id, account)
        if lender is None or lender.policy is None or view is None or not self._is_open(lender_id, view):
            return
        is_low = leases.is_low(view.remaining_minor, view.granted_minor, lender.policy.limits.lease_threshold_percent)
        if not is_low or self._asked.get((lender_id, account)) == view.sequence:
            return
        draft = entries.lease_request(lender_id, account, view.remaining_minor)
        self._ledger.record([draft], self._clock.read(lender_id))
        self._asked.pop((lender_id, account), None)
        self._asked[lender_id, account] = view.sequence
        if len(self._asked) > USED_MAX:
            del self._asked[next(iter(self._asked))]

    async def tend(self) -> None:
        """Give back what nobody has used for the holding time: elsewhere it is of use (rule 15)."""
        for (lender_id, account), used_at in list(self._used.items()):
            lender, reading = self._lenders.get(lender_id), self._clock.read(lender_id)
            if lender is None or lender.policy is None or not reading.trusted:
                continue
            if reading.now_s - used_at >= lender.policy.limits.lease_holding_s:
                self.give_back(lender_id, account)
                del self._used[lender_id, account]
                await asyncio.sleep(0)

    async def recalled(self, lender_id: str, accounts: Sequence[bytes], reason: str) -> list[bytes]:
        """The lender wants these leases back: give back what is free, some at a time, so that no sale waits for it.

        Returns the accounts of which a sale under way still holds a part; what that frees is to be asked for again.
        """
        given_minor = 0
        for at in range(0, len(accounts), RECALLED_AT_ONCE):
            given_minor += self._return_all(lender_id, accounts[at : at + RECALLED_AT_ONCE])
            await asyncio.sleep(0)
        LOG.info("leases recalled", extra={"lender": lender_id, "reason": reason, "amount_minor": given_minor})
        return [account for account in accounts if self._ledger.open_debits(lender_id, account)]

    def _return_all(self, lender_id: str, accounts: Sequence[bytes]) -> int:
        views = [(account, self.lease(lender_id, account)) for account in dict.fromkeys(accounts)]
        held = [(account, view) for account, view in views if view and self._free_minor(lender_id, view)]
        if held:
            drafts = [entries.lease_return(lender_id, account, v.epoch, v.remaining_minor) for account, v in held]
            self._ledger.record(drafts, self._clock.read(lender_id))
            self._backend.poke()
        return sum(view.remaining_minor for _, view in held)

    def _free_minor(self, lender_id: str, view: LeaseView | None) -> int:
        """What can be given back. Nothing of a lapsed lease: the backend has it back by this lane's own horizon, and
        would find that more is returned than is outstanding."""
        return view.remaining_minor if view is not None and self._is_open(lender_id, view) else 0

    def _is_open(self, lender_id: str, view: LeaseView) -> bool:
        now_s, horizon_s = self._clock.read(lender_id).now_s, self._ledger.head.horizon_of(lender_id)
        return leases.is_spendable(view.valid_until_s, now_s=now_s, horizon_s=horizon_s)

    def _view(self, lender: Lender, account: bytes) -> LeaseView | None:
        if lender.stack is None:
            return None
        try:
            found = lender.stack.lookup(account)
        except SnapshotError as error:
            lender.damaged(error)
            return None
        return self._stakes.lease_of(lender.lender, account, found) if found else None
