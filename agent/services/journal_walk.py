"""A stretch of the journal, read in steps that no sale notices.

The one rule: an entry that cannot be read is a damaged ledger, and said to be one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from agent.core.journal import Entry, JournalError, Position
from agent.errors import LedgerCorrupt
from agent.ports import Ledger

STEP_ENTRIES: Final = 50
"""Entries read between two looks at what else is to do: a few milliseconds."""


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


def number_at(ledger: Ledger, end: Position, at_s: int) -> int:
    """The last number of an epoch that was recorded before ``at_s`` (UTC seconds), found by halves; 0: none was."""
    low, high = 0, end.number
    while low < high:
        middle = (low + high + 1) // 2
        found = read(ledger, end.epoch, middle - 1, 1)
        low, high = (middle, high) if found and found[0].recorded_at < at_s else (low, middle - 1)
    return low


def read(ledger: Ledger, epoch: int, after: int, limit: int) -> list[Entry]:
    try:
        return [sealed.entry for sealed in ledger.entries_after(epoch, after, limit)]
    except JournalError as error:
        raise LedgerCorrupt(str(error)) from error
