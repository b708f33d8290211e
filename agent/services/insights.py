"""A day's credit sales for the owner of the shop, computed from the journal whenever somebody asks.

The one rule: nothing is counted beside the journal. Only what the lane cannot know, the sales that others' tenders
paid, is noted as the POS tells it; where it tells nothing, that is said.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from agent.core.insights import DayInsights, basket
from agent.core.journal import Entry
from agent.ports import OTHER_TENDERS, Ledger
from agent.services.journal_walk import Calendar, bounds_of, walked
from agent.services.slips import utc_offset
from agent.texts import Language, text

DAYS_NOTED: Final = 40
"""So many days of other tenders' totals are kept."""


class Insights:
    """``now_s`` reads the lane's clock, UTC seconds; ``zone`` is the store's. Every call may raise ledger faults."""

    def __init__(
        self, ledger: Ledger, now_s: Callable[[], int], zone: str, language: Language, currency: Callable[[], str]
    ) -> None:
        self._ledger, self._now_s, self._zone = ledger, now_s, ZoneInfo(zone)
        self._language, self._currency = language, currency
        self._calendar = Calendar(ledger)

    def today(self) -> date:
        return datetime.fromtimestamp(self._now_s(), self._zone).date()

    async def day(self, day: date | None = None) -> dict[str, Any]:
        """The figures of a calendar day of the store, as JSON values; ``basket.other`` None: the POS has not told."""
        day = day or self.today()
        found = DayInsights(self._hour_of)
        async for entry in self._entries_of(*bounds_of(day, self._zone)):
            found.add(entry)
        facts = {
            "day": day.isoformat(), "timezone": self._zone.key, "utc_offset": self._offset(day, 0),
            "currency": self._currency(), "is_over": day < self.today(), **found.to_wire(),
        }  # fmt: skip
        for row in facts["hours"]:
            row["utc_offset"] = self._offset(day, row["hour"])
        for row in facts["reasons"]:
            row["text"] = text(self._language, row["reason"], "cashier")
        told = self._other_tenders().get(day.isoformat())
        facts["basket"]["other"] = basket(*told) if told else None
        return facts

    def tell_other_tenders(self, day: date | None, count: int, minor: int) -> None:
        """What the day's sales without credit come to so far; a later word replaces an earlier one."""
        told = self._other_tenders() | {(day or self.today()).isoformat(): (count, minor)}
        kept = dict(sorted(told.items())[-DAYS_NOTED:])
        self._ledger.take_note(OTHER_TENDERS, json.dumps(kept))

    def _other_tenders(self) -> dict[str, tuple[int, int]]:
        told: dict[str, tuple[int, int]] = json.loads(self._ledger.note(OTHER_TENDERS) or "{}")
        return told

    def _hour_of(self, at_s: int) -> int:
        return datetime.fromtimestamp(at_s, self._zone).hour

    def _offset(self, day: date, hour: int) -> str:
        return utc_offset(datetime(day.year, day.month, day.day, hour, tzinfo=self._zone))

    async def _entries_of(self, from_s: int, until_s: int) -> AsyncIterator[Entry]:
        async for after, through in self._calendar.blocks(from_s, until_s):
            async for entry in walked(self._ledger, after, through):
                if from_s <= entry.recorded_at < until_s:
                    yield entry
