"""The queue to the backend: the journal past a cursor, and the entries that were not simply accepted.

The one rule: nothing of the journal is copied or deleted here; a cursor moves, and exceptions stay visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from peewee import fn

from agent.core.forwarding import Cursor
from agent.core.journal import Position, Sealed, open_entry
from agent.errors import LedgerCorrupt
from agent.ports import EXCEPTIONS_CURSOR, QueueException
from agent.store import fold
from agent.store.documents import Documents
from agent.store.schema import JournalEntry, QueueCursor
from agent.store.schema import QueueException as ExceptionRow

_SELECT_ENTRIES: Final = fold.sql(
    JournalEntry.select(JournalEntry.data)
    .where(JournalEntry.epoch == 0, JournalEntry.number > 0)
    .order_by(JournalEntry.number)
    .limit(1)
)
_SELECT_TIMES: Final = fold.sql(
    JournalEntry.select(fn.MIN(JournalEntry.recorded_at), fn.MAX(JournalEntry.recorded_at)).where(
        JournalEntry.epoch == 0, JournalEntry.number.between(0, 0)
    )
)
_SELECT_CURSOR: Final = fold.sql(
    QueueCursor.select(QueueCursor.sent_through, QueueCursor.acknowledged_through).where(QueueCursor.epoch == 0)
)


class Forwarded(Documents):
    """The part of ``ports.Ledger`` about the queue."""

    def entries_after(self, epoch: int, number: int, limit: int) -> list[Sealed]:
        return [open_entry(data) for data in self.entry_bytes_after(epoch, number, limit)]

    def entry_bytes_after(self, epoch: int, number: int, limit: int) -> list[bytes]:
        return [bytes(data) for (data,) in self._read(_SELECT_ENTRIES, (epoch, number, limit)).fetchall()]

    def recorded_between(self, epoch: int, first: int, last: int) -> tuple[int, int]:
        earliest_s, latest_s = self._read(_SELECT_TIMES, (epoch, first, last)).fetchone()
        if earliest_s is None:
            raise LedgerCorrupt(f"entries {epoch}-{first} to {epoch}-{last} are missing")
        return earliest_s, latest_s

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
            self._put_exceptions(exceptions)

    def record_exceptions(self, exceptions: Sequence[QueueException], cursor: str) -> None:
        with self._transaction():
            self._put_exceptions(exceptions)
            self._put_note(EXCEPTIONS_CURSOR, cursor)

    def _put_exceptions(self, exceptions: Sequence[QueueException]) -> None:
        for item in exceptions:
            epoch, number = item.position
            row = {"epoch": epoch, "number": number, "state": item.state, "reason": item.reason, "bearer": item.bearer}
            self._db.execute(ExceptionRow.insert(row).on_conflict_replace())

    def queue_exceptions(self) -> tuple[QueueException, ...]:
        row = ExceptionRow
        query = row.select(row.epoch, row.number, row.state, row.reason, row.bearer).order_by(row.epoch, row.number)
        return tuple(QueueException(Position(epoch, number), *said) for epoch, number, *said in self._query(query))
