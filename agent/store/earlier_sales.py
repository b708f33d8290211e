"""Sales of before: the newest ones, and those of an amount or account that begin in a stretch of the journal.

The one rule: a sale stands where its first entry does, whatever became of it later; nothing is read beyond the stretch
that was asked for, and no index is kept that every sale would have to write.
"""

from __future__ import annotations

from typing import Final

from agent.ports import Stretch, WantedSale
from agent.store.connection import LedgerConnection

# The plus keeps SQLite from the index of sale ids: it shall walk the journal backwards, and stop.
_NEWEST: Final = """
SELECT e."sale_id" FROM "journal_entry" AS e
WHERE +e."sale_id" IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM "journal_entry" AS o
  WHERE o."sale_id" = e."sale_id" AND (o."epoch", o."number") < (e."epoch", e."number"))
ORDER BY e."epoch" DESC, e."number" DESC LIMIT ?1
"""
_WANTED: Final = """
SELECT e."sale_id" FROM "journal_entry" AS e
WHERE +e."sale_id" IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM "journal_entry" AS o
  WHERE o."sale_id" = e."sale_id" AND (o."epoch", o."number") < (e."epoch", e."number"))
AND e."epoch" = ?1 AND e."number" BETWEEN ?2 AND ?3 AND e."recorded_at" BETWEEN ?4 AND ?5
AND EXISTS (
  SELECT 1 FROM "hold" AS h WHERE h."sale_id" = e."sale_id"
  AND (?6 IS NULL OR h."amount_minor" = ?6) AND (?7 IS NULL OR lower(hex(substr(h."account", -2))) = ?7))
ORDER BY e."number" DESC
"""


class EarlierSales(LedgerConnection):
    """The part of ``ports.Ledger`` that finds sales."""

    def newest_sales(self, limit: int) -> tuple[str, ...]:
        """Their ids, the newest first."""
        return tuple(sale_id for (sale_id,) in self._read(_NEWEST, (limit,)).fetchall())

    def sales_begun(self, within: Stretch, wanted: WantedSale) -> tuple[str, ...]:
        values = (
            within.epoch,
            within.first,
            within.last,
            wanted.from_s,
            wanted.until_s - 1,
            wanted.amount_minor,
            wanted.account_tail,
        )
        return tuple(sale_id for (sale_id,) in self._read(_WANTED, values).fetchall())
