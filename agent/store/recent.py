"""What an account has just done at this lane, from one small table that the journal folds into.

The one rule: one pass over the account's own rows answers all windows; nothing here knows a threshold.
"""

from __future__ import annotations

from typing import Final

from agent.core.recent import Recent, Windows
from agent.store.connection import LedgerConnection

_SELECT_RECENT: Final = """
SELECT
  COUNT(*) FILTER (WHERE "what" = 'sale' AND "at_s" >= ?1),
  SUM("amount_minor") FILTER (WHERE "what" = 'sale' AND "at_s" >= ?1),
  COUNT(*) FILTER (WHERE "what" = 'sale' AND "at_s" >= ?2 AND "amount_minor" % ?4 = 0),
  COUNT(*) FILTER (WHERE "what" = 'sale' AND "at_s" >= ?2 AND "amount_minor" >= ?5 AND "amount_minor" < ?6),
  COUNT(*) FILTER (WHERE "what" = 'refund' AND "at_s" >= ?3),
  SUM("amount_minor") FILTER (WHERE "what" = 'refund' AND "at_s" >= ?3),
  MAX("at_s") FILTER (WHERE "what" = 'sale')
FROM "recent_move" WHERE "lender" = ?7 AND "account" = ?8 AND "at_s" >= ?9
"""


class RecentMoves(LedgerConnection):
    """The part of ``ports.Ledger`` about what an account has just done."""

    def recent(self, lender: str, account: bytes, windows: Windows) -> Recent:
        values = (
            windows.velocity_since_s,
            windows.cash_out_since_s,
            windows.refund_since_s,
            windows.round_unit_minor,
            windows.near_from_minor,
            windows.near_below_minor,
            lender,
            account,
            windows.since_s,
        )
        return Recent(*(figure or 0 for figure in self._read(_SELECT_RECENT, values).fetchone()))
