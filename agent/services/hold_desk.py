"""What becomes of an approved sale: captured in full, in less or in parts, reversed, voided, refunded, expired.

The one rule: all of this happens only at the lane that made the sale, whose journal knows what is left of it (lease
rule 9); what the table of ``core.authorization`` does not allow is a ``Refused``, with the text that says what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, TypeAlias

from agent.core.authorization import OPEN, Hold, HoldRefused, HoldState
from agent.core.journal import Draft, Kind
from agent.errors import IdempotencyConflict
from agent.ports import Ledger
from agent.services import entries
from agent.services.lenders import Lenders
from agent.services.next_deeds import is_of_today
from agent.services.outcomes import Outcomes
from agent.services.timekeeping import LaneClock

UNKNOWN: Final = "sale_unknown"
PARTS_MAX: Final = "captures_max"
DAY_CLOSED: Final = "void_day_closed"
Turn: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was changed; ``reason`` is a text key."""

    reason: str


class HoldDesk:
    """``turn`` is the lane's: nothing here happens in the middle of a sale. Every call may raise ledger faults."""

    def __init__(self, ledger: Ledger, lenders: Lenders, clock: LaneClock, outcomes: Outcomes, turn: Turn) -> None:
        self._ledger, self._lenders, self._clock = ledger, lenders, clock
        self._outcomes, self._turn = outcomes, turn

    async def capture(
        self, sale_id: str, amount_minor: int | None = None, *, final: bool = True, request: str | None = None
    ) -> Hold | Refused:
        """Turn what is held, or ``amount_minor`` of it, into a debt; a final capture releases the rest.

        One ``request`` captures once; without one, a sale that is captured already stays so. Raises
        IdempotencyConflict.
        """
        async with self._turn():
            hold = self._current(sale_id)
            if hold is None or self._is_repeated(sale_id, Kind.CAPTURE, amount_minor, request, final=final):
                return hold or Refused(UNKNOWN)
            if hold.state is HoldState.CAPTURED and request is None and amount_minor in (None, hold.captured_minor):
                return hold
            final = final or amount_minor == hold.held_minor
            if hold.state in OPEN and not final and hold.captures + 1 >= self._captures_max(hold):
                return Refused(PARTS_MAX)
            frees = self._lease_is_open(hold)
            return self._changed(hold, entries.capture(hold, amount_minor, final=final, request=request, frees=frees))

    async def reverse(self, sale_id: str, reason: str) -> Hold | Refused:
        """Release what is held; what it took of a still open lease is free again (rule 9)."""
        async with self._turn():
            hold = self._current(sale_id)
            return self._reversed(hold, reason) if hold else Refused(UNKNOWN)

    async def void(self, sale_id: str, reason: str) -> Hold | Refused:
        """Undo the sale: what is only held is reversed; what is captured is voided, while its business day lasts."""
        async with self._turn():
            hold = self._current(sale_id)
            if hold is None:
                return Refused(UNKNOWN)
            if hold.state in (HoldState.AUTHORIZED, HoldState.REVERSED):
                return self._reversed(hold, reason)
            if hold.state is HoldState.VOIDED:
                return hold
            if hold.state is HoldState.CAPTURED and not is_of_today(self._ledger, hold):
                return Refused(DAY_CLOSED)
            return self._changed(hold, entries.void(hold, reason))

    async def refund(self, sale_id: str, amount_minor: int | None, *, request: str, reason: str) -> Hold | Refused:
        """Give back what was captured and not given back yet, or ``amount_minor`` of it. Two requests of one amount
        are two refunds, one that is repeated is one. Raises IdempotencyConflict."""
        async with self._turn():
            hold = self._current(sale_id)
            if hold is None or self._is_repeated(sale_id, Kind.REFUND, amount_minor, request):
                return hold or Refused(UNKNOWN)
            wanted_minor = hold.refundable_minor if amount_minor is None else amount_minor
            return self._changed(hold, entries.refund(hold, wanted_minor, reason, request))

    async def expire_due(self) -> int:
        """End what has waited for its capture for too long, by a clock that is trusted; returns how many."""
        ended = 0
        for lender in self._lenders.all():
            reading = self._clock.read(lender.lender)
            async with self._turn():
                for hold in self._ledger.holds_due(lender.lender, reading.now_s) if reading.trusted else ():
                    self._changed(hold, entries.expiry(hold))
                    ended += 1
        return ended

    def _current(self, sale_id: str) -> Hold | None:
        """The sale's last attempt as it stands now: one whose time is over has ended before anything else happens."""
        attempts = self._ledger.attempts(sale_id)
        if not attempts or not self._is_over(attempts[-1]):
            return attempts[-1] if attempts else None
        ended = self._changed(attempts[-1], entries.expiry(attempts[-1]))
        return ended if isinstance(ended, Hold) else attempts[-1]

    def _is_over(self, hold: Hold) -> bool:
        """By the trusted clock, or by what this lane's journal has told (lease rule 1): the backend relies on that."""
        if hold.expires_at is None:
            return False
        reading = self._clock.read(hold.lender)
        return hold.expires_at <= max(
            reading.now_s if reading.trusted else 0, self._ledger.head.horizon_of(hold.lender)
        )

    def _reversed(self, hold: Hold, reason: str) -> Hold | Refused:
        if hold.state is HoldState.REVERSED:
            return hold
        return self._changed(hold, entries.reversal(hold, reason, frees=self._lease_is_open(hold)))

    def _changed(self, hold: Hold, draft: Draft) -> Hold | Refused:
        try:
            return self._outcomes.change(hold, draft, self._clock.read(hold.lender))
        except HoldRefused as refused:
            return Refused(refused.reason)

    def _lease_is_open(self, hold: Hold) -> bool:
        lender = self._lenders.get(hold.lender)
        return bool(lender and lender.stack and lender.stack.newest.lease_epoch == hold.lease_epoch)

    def _captures_max(self, hold: Hold) -> int:
        lender = self._lenders.get(hold.lender)
        return lender.policy.limits.captures_max if lender and lender.policy else 1

    def _is_repeated(
        self, sale_id: str, kind: Kind, amount_minor: int | None, request: str | None, *, final: bool = False
    ) -> bool:
        """Whether this request is in the journal already. Raises IdempotencyConflict for another one of its id.

        A capture of the whole rest was recorded as final whatever was asked, one in part never when ``final`` was.
        """
        if request is None:
            return False
        for entry in (sealed.entry for sealed in self._ledger.sale_entries(sale_id)):
            if entry.body.get("request") == request:
                body = entry.body
                is_same = (entry.kind, body["amount_minor"]) == (kind, amount_minor or body["amount_minor"])
                if not is_same or (final and not body["final"]):
                    raise IdempotencyConflict(f"request {request} of sale {sale_id} was another one before")
                return True
        return False
