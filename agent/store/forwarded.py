"""The queue to the backend: the journal past a cursor, and the entries that were not simply accepted.

The one rule: nothing of the journal is copied or deleted here; a cursor moves, and exceptions stay visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agent.core.forwarding import Cursor
from agent.core.journal import Position, Sealed, open_entry
from agent.ports import QueueException
from agent.store import fold
from agent.store.connection import LedgerConnection
from agent.store.schema import JournalEntry, QueueCursor
from agent.store.schema import QueueException as ExceptionRow

_SELECT_ENTRIES: Final = fold.sql(
    JournalEntry.select(JournalEntry.data)
    .where(JournalEntry.epoch == 0, JournalEntry.number > 0)
    .order_by(JournalEntry.number)
    .limit(1)
)
_SELECT_CURSOR: Final = fold.sql(
    QueueCursor.select(QueueCursor.sent_through, QueueCursor.acknowledged_through).where(QueueCursor.epoch == 0)
)


class Forwarded(LedgerConnection):
    """The part of ``ports.Ledger`` about the queue."""

    def entries_after(self, epoch: int, number: int, limit: int) -> list[Sealed]:
        return [open_entry(data) for data in self.entry_bytes_after(epoch, number, limit)]

    def entry_bytes_after(self, epoch: int, number: int, limit: int) -> list[bytes]:
        return [bytes(data) for (data,) in self._read(_SELECT_ENTRIES, (epoch, number, limit)).fetchall()]

    def cursor(self, epoch: int) -> Cursor:
        row = self._read(_SELECT_CURSOR, (epoch,)).fetchone()
        return Cursor(*row) if row else Cursor()

    def move_cursor(self, epoch: int, cursor: Cursor, exceptions: Sequence[QueueException] = ()) -> None:
        with self._transaction():
            self._db.execute(
                QueueCursor.insert(
                    epoch=epoch,
                    sent_through=cursor.sent_through,
                    acknowledged_through=cursor.acknowledged_through,
                ).on_conflict_replace()
            )
            for item in exceptions:
                epoch_, number = item.position
                row = {"epoch": epoch_, "number": number, "state": item.state, "reason": item.reason}
                self._db.execute(ExceptionRow.insert(row).on_conflict_replace())

    def queue_exceptions(self) -> tuple[QueueException, ...]:
        columns = (ExceptionRow.epoch, ExceptionRow.number, ExceptionRow.state, ExceptionRow.reason)
        query = ExceptionRow.select(*columns).order_by(ExceptionRow.epoch, ExceptionRow.number)
        return tuple(QueueException(Position(e, n), state, reason) for e, n, state, reason in self._query(query))
