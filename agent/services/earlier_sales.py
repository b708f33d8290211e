"""Sales of before, found by their day, amount or account's last four: whoever lost the slip knows one of them.

The one rule: the work is bounded however long the journal is, and done in steps that no sale notices. Without a day the
newest entries alone are looked at, and it is said when older ones were not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from agent.core.journal import INT_END, Position
from agent.ports import Ledger, Stretch, WantedSale
from agent.services.journal_walk import Calendar, bounds_of

STEP_ENTRIES: Final = 250
"""Entries looked at between two looks at what else is to do: a few milliseconds."""
LOOKED_AT_MAX: Final = 50_000
"""Entries looked at without a day, the newest: weeks of a busy lane, within half a second."""


@dataclass(frozen=True, slots=True)
class Found:
    """Newest first. ``more``: there are others, or older ones were not looked at."""

    sale_ids: tuple[str, ...]
    more: bool


class EarlierSales:
    """``zone`` is the store's, whose calendar days are meant."""

    def __init__(self, ledger: Ledger, zone: str) -> None:
        self._ledger, self._zone = ledger, ZoneInfo(zone)
        self._calendar = Calendar(ledger)

    async def find(self, day: date | None, amount_minor: int | None, account_tail: str | None, limit: int) -> Found:
        """At most ``limit`` sales; each condition that is None is met by any. Raises ledger faults."""
        from_s, until_s = bounds_of(day, self._zone) if day else (0, INT_END)
        wanted = WantedSale(from_s, until_s, amount_minor, account_tail)
        found: list[str] = []
        left = LOOKED_AT_MAX
        async for within in self._steps(wanted if day else None):
            if len(found) > limit or (day is None and left <= 0):
                return Found(tuple(found[:limit]), True)
            found += self._ledger.sales_begun(within, wanted)
            left -= within.last - within.first + 1
            await asyncio.sleep(0)
        return Found(tuple(found[:limit]), len(found) > limit)

    async def _steps(self, of_day: WantedSale | None) -> AsyncIterator[Stretch]:
        """Where such sales may begin, newest first."""
        if of_day is None:
            blocks = [(Position(end.epoch, 0), end) for end in self._ledger.ends()]
        else:
            blocks = [block async for block in self._calendar.blocks(of_day.from_s, of_day.until_s)]
        for after, through in reversed(blocks):
            for last in range(through.number, after.number, -STEP_ENTRIES):
                yield Stretch(through.epoch, max(after.number, last - STEP_ENTRIES) + 1, last)
