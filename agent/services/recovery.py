"""Closing attempts that were interrupted: an intent is on the disk, and nobody has seen its outcome.

The one rule: what nobody can confirm is declined, and that outcome wins over whatever the backend did (rule 6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from agent.core.authorization import Hold
from agent.errors import UplinkRefused, UplinkUnavailable
from agent.ports import AttemptUnknown, Backend
from agent.services import entries
from agent.services.entries import Attempt, Refusal
from agent.services.outcomes import Outcomes
from agent.services.timekeeping import LaneClock

INTERRUPTED: Final = Refusal("interrupted", "68")
"""An attempt whose outcome nobody knows after a restart (ISO 8583 field 39: response received too late)."""
INQUIRY_BUDGET_S: Final = 3.0
LINK_WAIT_S: Final = 3.0
LINK_LOOK_S: Final = 0.1


class Recovery:
    """Asks the backend what became of an attempt, and closes it."""

    def __init__(self, backend: Backend, clock: LaneClock, outcomes: Outcomes) -> None:
        self._backend, self._clock, self._outcomes = backend, clock, outcomes

    async def resolve(self, hold: Hold) -> Hold:
        """Close an intent that was open at a restart: inquire first, then record the answer or the decline."""
        answer = await self.inquire(hold)
        attempt, reading = Attempt.of(hold), self._clock.read(hold.lender)
        if isinstance(answer, Mapping) and attempt.is_answered_by(answer, hold.open_debit_minor):
            draft = entries.online_outcome(attempt, answer, hold.lease_epoch)
        else:
            draft = entries.decline(attempt, INTERRUPTED, clock_source=reading.source, online_unknown=True)
        return self._outcomes.record(hold, draft, reading)

    async def inquire(self, hold: Hold) -> Mapping[str, Any] | AttemptUnknown | None:
        """What the backend knows of an attempt. After a restart the line needs a moment: it is given one."""
        for _ in range(int(LINK_WAIT_S / LINK_LOOK_S)):
            if self._backend.available:
                break
            await asyncio.sleep(LINK_LOOK_S)
        try:
            return await self._backend.inquire(hold.lender, hold.sale_id, hold.attempt, INQUIRY_BUDGET_S)
        except (UplinkUnavailable, UplinkRefused):
            return None
