"""A stretch of the journal, read in steps that no sale notices.

The one rule: an entry that cannot be read is a damaged ledger, and said to be one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from agent.core.journal import Entry, JournalError, Position
from agent.errors import LedgerCorrupt
from agent.ports import Ledger

STEP_ENTRIES: Final = 50
"""Entries read between two looks at what else is to do: a few milliseconds."""
BLOCK_ENTRIES: Final = 1_000
"""Entries of which only the first and the last time are asked for: a millisecond."""


def bounds_of(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """When a calendar day of this zone begins, and the one after it (UTC seconds)."""
    days = (day, day + timedelta(days=1))
    begin_s, end_s = (int(datetime(each.year, each.month, each.day, tzinfo=zone).timestamp()) for each in days)
    return begin_s, end_s


async def walked(ledger: Ledger, after: Position, through: Position) -> AsyncIterator[Entry]:
    """The entries of one or several epochs after a place, up to and with another. Raises ledger faults."""
    for end in ledger.ends():
        number = after.number if end.epoch == after.epoch else 0
        last = min(end.number, through.number) if end.epoch == through.epoch else end.number
        while after.epoch <= end.epoch <= through.epoch and number < last:
            step = read(ledger, end.epoch, number, min(STEP_ENTRIES, last - number))
            for entry in step:
                yield entry
            number = step[-1].number if step else last
            await asyncio.sleep(0)


class Calendar:
    """Where in the journal a stretch of time may lie, whatever corrections of the clock have done to its order.

    Blocks that are full are asked for their times once: what is appended never changes them. A first look at 200,000
    entries takes some tenths of a second, in steps; each one after it, nothing.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._full: dict[Position, tuple[int, int]] = {}

    async def blocks(self, from_s: int, until_s: int) -> AsyncIterator[tuple[Position, Position]]:
        """After which place and through which one each block lies that was recorded, in part at least, from ``from_s``
        until before ``until_s`` (UTC seconds)."""
        for end in self._ledger.ends():
            for first in range(1, end.number + 1, BLOCK_ENTRIES):
                last = min(first + BLOCK_ENTRIES - 1, end.number)
                if Position(end.epoch, first) not in self._full:
                    await asyncio.sleep(0)
                earliest_s, latest_s = self._times_of(end.epoch, first, last)
                if earliest_s < until_s and latest_s >= from_s:
                    yield Position(end.epoch, first - 1), Position(end.epoch, last)

    def _times_of(self, epoch: int, first: int, last: int) -> tuple[int, int]:
        known = self._full.get(Position(epoch, first))
        if known is None:
            known = self._ledger.recorded_between(epoch, first, last)
            if last - first + 1 == BLOCK_ENTRIES:
                self._full[Position(epoch, first)] = known
        return known


def read(ledger: Ledger, epoch: int, after: int, limit: int) -> list[Entry]:
    try:
        return [sealed.entry for sealed in ledger.entries_after(epoch, after, limit)]
    except JournalError as error:
        raise LedgerCorrupt(str(error)) from error
