"""What was decided about a sale becomes durable, with all that goes with it, and is told.

The one rule: ``record`` comes before ``return``. Whatever leaves this file is already on the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from agent.core.authorization import Hold, HoldEvent, event_of
from agent.core.journal import Draft
from agent.core.trusted_time import ClockReading
from agent.ports import Backend, Ledger, Slip
from agent.services import entries
from agent.services.lenders import Lenders

SlipMaker: TypeAlias = Callable[[Hold, Draft, ClockReading], Slip | None]


class Outcomes:
    """Records outcomes. ``make_slip`` gives what is printed of a hold after a draft (None: nothing)."""

    def __init__(
        self,
        ledger: Ledger,
        lenders: Lenders,
        backend: Backend,
        make_slip: SlipMaker,
        announce: Callable[[Hold], None],
    ) -> None:
        self._ledger, self._lenders, self._backend = ledger, lenders, backend
        self._make_slip, self._announce = make_slip, announce

    def record(self, before: Hold, draft: Draft, reading: ClockReading) -> Hold:
        """The decision about an attempt, in one transaction with the capture and the slip that go with it."""
        if event_of(draft.kind, draft.body) is HoldEvent.APPROVE:
            draft = self._ending(draft, reading)
        hold, drafts = before.apply(draft.kind, draft.body), [draft]
        if hold.is_approved and hold.capture == "at_once":
            capture = entries.capture(hold)
            drafts.append(capture)
            hold = hold.apply(capture.kind, capture.body)
        slip = self._make_slip(hold, draft, reading) if hold.is_approved else None
        self._ledger.record(drafts, reading, slip=slip)
        return self._told(hold)

    def change(self, hold: Hold, draft: Draft, reading: ClockReading) -> Hold:
        """What becomes of an approved hold later. Raises HoldRefused, and then nothing was recorded."""
        changed = hold.apply(draft.kind, draft.body)
        self._ledger.record([draft], reading, slip=self._make_slip(changed, draft, reading))
        return self._told(changed)

    def _ending(self, draft: Draft, reading: ClockReading) -> Draft:
        """An approval that is captured later ends when its lender's policy says so. A wallet's has been paid."""
        lender = self._lenders.get(draft.lender or "")
        if draft.body["capture"] != "later" or lender is None or lender.policy is None:
            return draft
        from_s = max(reading.now_s, self._ledger.head.horizon_of(draft.lender))
        return entries.ending(draft, from_s + lender.policy.limits.hold_valid_s)

    def _told(self, hold: Hold) -> Hold:
        self._backend.poke()
        self._announce(hold)
        return hold
