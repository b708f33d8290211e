"""Shifts at the lane: opened with a float, closed with a count of the drawer, both in the journal.

The one rule: what a shift sold on credit is read from the journal between its two entries; nothing is counted beside
it. There is one shift at a time, and a repeated call changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from agent.core.settlement import Totals, tally
from agent.core.shift import Shift, closing, opening, shift_of
from agent.core.trusted_time import ClockReading
from agent.ports import Backend, Ledger
from agent.services.hold_desk import Refused
from agent.services.journal_walk import walked

OPEN_ALREADY: Final = "shift_open"
NONE_OPEN: Final = "shift_none"


class Shifts:
    """``read_clock`` is the lane's. Every call may raise ledger faults."""

    def __init__(self, ledger: Ledger, backend: Backend, read_clock: Callable[[], ClockReading]) -> None:
        self._ledger, self._backend, self._read_clock = ledger, backend, read_clock

    def newest(self) -> Shift | None:
        """The open shift, or the last that was closed; None: there was none yet."""
        sealed = self._ledger.newest_shift_entry()
        return shift_of(sealed.entry) if sealed else None

    def open(self, operator: str, float_minor: int, currency: str) -> Shift | Refused:
        """Begin a shift; the same one again is the one that is open."""
        newest = self.newest()
        if newest is not None and newest.closed is None:
            is_same = (newest.operator, newest.float_minor, newest.currency) == (operator, float_minor, currency)
            return newest if is_same else Refused(OPEN_ALREADY)
        self._ledger.record([opening(newest, operator, float_minor, currency)], self._read_clock())
        return self._recorded()

    def close(self, counted_minor: int, cash_minor: int) -> Shift | Refused:
        """End the open shift with what was counted; the same count again is the shift that it closed."""
        newest = self.newest()
        if newest is None or newest.closed is not None:
            is_same = newest and (newest.counted_minor, newest.cash_minor) == (counted_minor, cash_minor)
            return newest if newest and is_same else Refused(NONE_OPEN)
        self._ledger.record([closing(newest, counted_minor, cash_minor)], self._read_clock())
        return self._recorded()

    def _recorded(self) -> Shift:
        self._backend.poke()
        newest = self.newest()
        assert newest is not None, "it was recorded just now"
        return newest

    async def report(self, shift: Shift) -> dict[str, Any]:
        """A shift as JSON values, with what was sold on credit in it by lender."""
        sold = await self.credit(shift)
        return asdict(shift) | {
            "state": "closed" if shift.closed else "open",
            "expected_minor": shift.expected_minor,
            "difference_minor": shift.difference_minor,
            "lenders": [{"lender": name, "totals": totals.to_wire()} for name, totals in sold.items()],
        }

    async def credit(self, shift: Shift) -> dict[str, Totals]:
        """What was sold on credit in a shift, by lender."""
        by_lender: dict[str, Totals] = {}
        async for entry in walked(self._ledger, shift.opened, shift.closed or self._ledger.head.position):
            if entry.lender is not None and tally(entry.kind, entry.body):
                by_lender.setdefault(entry.lender, Totals()).add(entry.kind, entry.body)
        return dict(sorted(by_lender.items()))
