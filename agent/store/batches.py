"""The settlement batches of the ledger: the open one, the closed ones, and what the backend said of them.

The one rule: totals are read as the fold of the journal has them; nothing is counted again here.
"""

from __future__ import annotations

from peewee import JOIN, Expression, fn

from agent.core.settlement import NAMES
from agent.ports import ClosedBatch, OpenBatch
from agent.store.connection import LedgerConnection
from agent.store.schema import Batch, BatchMatch, BatchTotal, JournalEntry


class Batches(LedgerConnection):
    """The part of ``ports.Ledger`` about batches."""

    def open_batch(self, lender: str) -> OpenBatch:
        query = Batch.select(Batch.batch, Batch.first_number).where(Batch.lender == lender, Batch.last_number.is_null())
        rows = self._query(query)
        batch, first = rows[0] if rows else (1, 1)
        return OpenBatch(batch, first, self._totals(lender, batch))

    def unmatched_batches(self) -> tuple[ClosedBatch, ...]:
        """Closed batches of which the backend has said nothing yet, oldest first."""
        return self._closed(BatchMatch.state.is_null())

    def closed_batch(self, lender: str, batch: int) -> ClosedBatch | None:
        """A batch of that number, if it was closed."""
        return next(iter(self._closed((Batch.lender == lender) & (Batch.batch == batch))), None)

    def _closed(self, which: Expression) -> tuple[ClosedBatch, ...]:
        end = (JournalEntry.epoch == Batch.epoch) & (JournalEntry.number == Batch.last_number)
        said = (BatchMatch.lender == Batch.lender) & (BatchMatch.batch == Batch.batch)
        query = (
            Batch.select(
                Batch.lender, Batch.batch, Batch.epoch, Batch.first_number, Batch.last_number, JournalEntry.hash
            )
            .join(JournalEntry, on=end)
            .join(BatchMatch, JOIN.LEFT_OUTER, on=said)
            .where(which)
            .order_by(Batch.epoch, Batch.last_number)
        )
        return tuple(
            ClosedBatch(lender, batch, epoch, first, last, bytes(head), self._totals(lender, batch))
            for lender, batch, epoch, first, last, head in self._query(query)
        )

    def differing_batches(self) -> int:
        """Of the open epoch: what an epoch that was left behind comes to is settled by people at the backend."""
        mine = (BatchMatch.lender == Batch.lender) & (BatchMatch.batch == Batch.batch)
        today = JournalEntry.select(fn.MAX(JournalEntry.epoch))
        differing = (Batch.epoch == today) & (BatchMatch.state != "matched")
        return len(self._query(Batch.select(Batch.batch).join(BatchMatch, on=mine).where(differing)))

    def match_of(self, lender: str, batch: int) -> str | None:
        """What came of the comparison with the backend's half; None: nothing yet."""
        said = (BatchMatch.lender == lender) & (BatchMatch.batch == batch)
        rows = self._query(BatchMatch.select(BatchMatch.state).where(said))
        return rows[0][0] if rows else None

    def record_match(self, lender: str, batch: int, state: str) -> None:
        with self._transaction():
            self._db.execute(BatchMatch.insert(lender=lender, batch=batch, state=state).on_conflict_replace())

    def _totals(self, lender: str, batch: int) -> dict[str, dict[str, int]]:
        totals = {name: {"count": 0, "minor": 0} for name in NAMES}
        query = BatchTotal.select(BatchTotal.name, BatchTotal.count, BatchTotal.amount_minor).where(
            BatchTotal.lender == lender, BatchTotal.batch == batch
        )
        for name, count, minor in self._query(query):
            totals[name] = {"count": count, "minor": minor}
        return totals
