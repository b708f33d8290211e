"""What was decided about a sale becomes durable, with all that goes with it, and is told.

The one rule: ``record`` comes before ``return``. Whatever leaves this file is already on the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from agent.core.authorization import Hold
from agent.core.journal import Draft
from agent.core.trusted_time import ClockReading
from agent.ports import Backend, Ledger, Slip
from agent.services import entries

SlipMaker: TypeAlias = Callable[[Hold, ClockReading], Slip | None]


class Outcomes:
    """Records outcomes. ``make_slip`` turns an approved hold into what is printed (None: nothing)."""

    def __init__(
        self, ledger: Ledger, backend: Backend, make_slip: SlipMaker, announce: Callable[[Hold], None]
    ) -> None:
        self._ledger, self._backend, self._make_slip, self._announce = ledger, backend, make_slip, announce

    def record(self, before: Hold, draft: Draft, reading: ClockReading) -> Hold:
        """The decision about an attempt, in one transaction with the capture and the slip that go with it."""
        hold, drafts = before.apply(draft.kind, draft.body), [draft]
        if hold.is_approved and hold.capture == "at_once":
            capture = entries.capture(hold)
            drafts.append(capture)
            hold = hold.apply(capture.kind, capture.body)
        slip = self._make_slip(hold, reading) if hold.is_approved else None
        self._ledger.record(drafts, reading, slip=slip)
        return self._told(hold)

    def change(self, hold: Hold, draft: Draft, reading: ClockReading) -> Hold:
        """What becomes of an authorized hold later."""
        changed = hold.apply(draft.kind, draft.body)
        self._ledger.record([draft], reading)
        return self._told(changed)

    def _told(self, hold: Hold) -> Hold:
        self._backend.poke()
        self._announce(hold)
        return hold
