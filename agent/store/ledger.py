"""The lane's ledger: journal, caches, queue and spool in one SQLite file with one writer.

The one rule: ``record`` returns only after its entries are on the disk. An error at COMMIT means *unknown*, not
failed: the ledger then refuses everything until it is opened again and the sale is looked up by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Final

import apsw
from peewee import JOIN, DatabaseError, Query, fn
from playhouse.apsw_ext import APSWDatabase

from agent.core.authorization import Hold
from agent.core.forwarding import Cursor
from agent.core.journal import Draft, Head, Position, Sealed, advance, open_entry, seal
from agent.core.print_job import UNPRINTED, PrintJobState
from agent.core.settlement import NAMES
from agent.core.situation import Totals
from agent.core.trusted_time import ClockReading
from agent.errors import LedgerCorrupt, LedgerError, LedgerUnavailable, LedgerUnknownOutcome
from agent.ports import ClosedBatch, OpenBatch, PrintJob, PrintMark, QueueException, Slip
from agent.store import database as files
from agent.store import fold
from agent.store.schema import (
    TABLES,
    VERSION,
    Batch,
    BatchMatch,
    BatchTotal,
    ChainHead,
    ConsumedProof,
    HoldRow,
    JournalEntry,
    QueueCursor,
    SignedDocument,
    TimeFloor,
)
from agent.store.schema import PrintJob as JobRow
from agent.store.schema import QueueException as ExceptionRow
from drivers.document import from_json, to_json

PROOFS_KEPT_S: Final = 7 * 86400
"""A pass lives at most 7 days (credit-pass profile); a proof older than that can never be fresh again."""

_HOLDS: Final = HoldRow.select(*(getattr(HoldRow, name) for name in fold.HOLD_FIELDS))
_SELECT_ENTRIES: Final = fold.sql(
    JournalEntry.select(JournalEntry.data)
    .where(JournalEntry.epoch == 0, JournalEntry.number > 0)
    .order_by(JournalEntry.number)
    .limit(1)
)
_SELECT_ATTEMPTS: Final = fold.sql(_HOLDS.where(HoldRow.sale_id == ""))
_SELECT_SALE_ENTRIES: Final = fold.sql(
    JournalEntry.select(JournalEntry.data)
    .where(JournalEntry.sale_id == "")
    .order_by(JournalEntry.epoch, JournalEntry.number)
)
_SELECT_SALE_END: Final = fold.sql(
    JournalEntry.select(JournalEntry.epoch, JournalEntry.number)
    .where(JournalEntry.sale_id == "")
    .order_by(JournalEntry.epoch.desc(), JournalEntry.number.desc())
    .limit(1)
)
_SELECT_CURSOR: Final = fold.sql(
    QueueCursor.select(QueueCursor.sent_through, QueueCursor.acknowledged_through).where(QueueCursor.epoch == 0)
)
_SELECT_MARKS: Final = fold.sql(
    JobRow.select(JobRow.id, JobRow.state, JobRow.rung, JobRow.reason).where(JobRow.sale_id == "").order_by(JobRow.id)
)
_SELECT_TIME_FLOOR: Final = fold.sql(
    TimeFloor.select(TimeFloor.floor_s, TimeFloor.last_signed_s).where(TimeFloor.lender == "")
)
_INSERT_JOB: Final = fold.sql(
    JobRow.insert({name: 0 for name in JobRow._meta.sorted_field_names if name not in ("id", "rung", "reason")})
)


class SqliteLedger:
    """Implements ``ports.Ledger``."""

    def __init__(self, database: APSWDatabase) -> None:
        self._db = database
        self._run: fold.Run = database.connection().execute
        self._failed: str | None = None
        self._head = self._load_head()

    @classmethod
    def open(
        cls,
        path: str,
        *,
        vfs: str | None = None,
        sync_dir: Callable[[str], None] = files.sync_directory,
        synchronous: str = "FULL",
        wal_pages: int = files.WAL_PAGES,
    ) -> SqliteLedger:
        """Open or create. Raises LedgerInUse, LedgerCorrupt, LedgerUnavailable."""
        database = files.open_database(path, TABLES, VERSION, vfs=vfs, sync_dir=sync_dir, synchronous=synchronous)
        try:
            if wal_pages:
                files.presize_wal(database, wal_pages)
            return cls(database)
        except (DatabaseError, apsw.Error) as error:
            files.close_quietly(database)
            raise LedgerUnavailable(str(error)) from error

    def close(self) -> None:
        files.close_quietly(self._db)

    @property
    def head(self) -> Head:
        return self._head

    @property
    def failed(self) -> str | None:
        """Why this ledger refuses everything until it is opened again; the process should end then."""
        return self._failed

    # -- the sale's path ---------------------------------------------------------------------------------------

    def record(
        self,
        drafts: Sequence[Draft],
        reading: ClockReading,
        *,
        slip: Slip | None = None,
        printed: PrintMark | None = None,
    ) -> list[Sealed]:
        chain = _seal_all(drafts, self._head, reading)
        with self._transaction():
            for sealed in chain:
                fold.append(self._run, sealed)
            if slip is not None:
                self._run(_INSERT_JOB, _job_values(slip, reading.now_s))
            if printed is not None:
                self._mark(printed)
        for sealed in chain:
            self._head = advance(self._head, sealed)
        return chain

    def start_epoch(self, lane: str, epoch: int, draft: Draft, reading: ClockReading) -> None:
        """Begin a chain with its first entry. Called once after enrollment or recovery."""
        assert epoch > self._head.epoch, "an epoch never starts twice"
        head = Head(lane, epoch, lease_horizon=self._head.lease_horizon)
        (sealed,) = _seal_all([draft], head, reading)
        with self._transaction():
            self._db.execute(ChainHead.delete())
            self._db.execute(ChainHead.insert(id=1, lane=lane, epoch=epoch, number=0, hash=head.hash, lease_horizon=0))
            fold.append(self._run, sealed)
        self._head = advance(head, sealed)

    def attempts(self, sale_id: str) -> tuple[Hold, ...]:
        holds = map(fold.hold_from_row, self._read(_SELECT_ATTEMPTS, (sale_id,)).fetchall())
        return tuple(sorted(holds, key=attrgetter("attempt")))  # SQLite would make a temporary table to sort one row

    def spent_after(self, lender: str, account: bytes, position: Position) -> int:
        values = (lender, account, position.epoch, position.epoch, position.number)
        return fold.summed(self._read(fold.SUM_SPENT, values))

    def open_debits(self, lender: str, account: bytes) -> int:
        return fold.summed(self._read(fold.SUM_OPEN_DEBITS, (lender, account)))

    def stand_in_totals(self, lender: str, scope: str, subject: bytes, since_s: int) -> Totals:
        values = (lender, scope, subject, since_s // fold.HOUR_S)
        count, amount_minor = self._read(fold.SUM_STAND_IN, values).fetchone()
        return Totals(count or 0, amount_minor or 0)

    def proof_is_consumed(self, account: bytes, cti: bytes) -> bool:
        return self._read(fold.SELECT_PROOF, (account, cti)).fetchone() is not None

    # -- sales and batches -------------------------------------------------------------------------------------

    def open_intents(self) -> tuple[Hold, ...]:
        query = _HOLDS.where(fold.IS_INTENDED).order_by(HoldRow.sale_id)
        return tuple(fold.hold_from_row(row) for row in self._query(query))

    def recent_sales(self, limit: int) -> tuple[Hold, ...]:
        """The newest sales first, each with its last attempt."""
        newest = (
            JournalEntry.select(JournalEntry.sale_id)
            .where(JournalEntry.sale_id.is_null(False))
            .group_by(JournalEntry.sale_id)
            .order_by(fn.MIN(JournalEntry.epoch).desc(), fn.MIN(JournalEntry.number).desc())
            .limit(limit)
        )
        return tuple(self.attempts(sale_id)[-1] for (sale_id,) in self._query(newest))

    def sale_entries(self, sale_id: str) -> list[Sealed]:
        rows = self._read(_SELECT_SALE_ENTRIES, (sale_id,)).fetchall()
        return [open_entry(bytes(data)) for (data,) in rows]

    def sale_end(self, sale_id: str) -> Position | None:
        row = self._read(_SELECT_SALE_END, (sale_id, 1)).fetchone()
        return Position(*row) if row else None

    def open_batch(self, lender: str) -> OpenBatch:
        query = Batch.select(Batch.batch, Batch.first_number).where(Batch.lender == lender, Batch.last_number.is_null())
        rows = self._query(query)
        batch, first = rows[0] if rows else (1, 1)
        return OpenBatch(batch, first, self._totals(lender, batch))

    def unmatched_batches(self) -> tuple[ClosedBatch, ...]:
        """Closed batches of which the backend has said nothing yet, oldest first."""
        end = (JournalEntry.epoch == Batch.epoch) & (JournalEntry.number == Batch.last_number)
        said = (BatchMatch.lender == Batch.lender) & (BatchMatch.batch == Batch.batch)
        query = (
            Batch.select(
                Batch.lender, Batch.batch, Batch.epoch, Batch.first_number, Batch.last_number, JournalEntry.hash
            )
            .join(JournalEntry, on=end)
            .join(BatchMatch, JOIN.LEFT_OUTER, on=said)
            .where(BatchMatch.state.is_null())
            .order_by(Batch.epoch, Batch.last_number)
        )
        return tuple(
            ClosedBatch(lender, batch, epoch, first, last, bytes(head), self._totals(lender, batch))
            for lender, batch, epoch, first, last, head in self._query(query)
        )

    def differing_batches(self) -> int:
        return len(self._query(BatchMatch.select(BatchMatch.batch).where(BatchMatch.state != "matched")))

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

    # -- the queue to the backend ------------------------------------------------------------------------------

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

    # -- the spool ---------------------------------------------------------------------------------------------

    def spool(self, slip: Slip, now_s: int) -> int:
        with self._transaction():
            self._run(_INSERT_JOB, _job_values(slip, now_s))
            job_id: int = self._run("SELECT last_insert_rowid()", ()).fetchone()[0]
        return job_id

    def next_print_job(self) -> PrintJob | None:
        jobs = self._jobs(JobRow.select().where(JobRow.state.in_(UNPRINTED)).order_by(JobRow.id).limit(1))
        return jobs[0] if jobs else None

    def print_jobs(self, sale_id: str | None = None) -> tuple[PrintJob, ...]:
        """Every job of a sale, or all that are not printed yet."""
        chosen = JobRow.state.in_(UNPRINTED) if sale_id is None else (JobRow.sale_id == sale_id)
        return self._jobs(JobRow.select().where(chosen).order_by(JobRow.id))

    def print_marks(self, sale_id: str) -> tuple[PrintMark, ...]:
        rows = self._read(_SELECT_MARKS, (sale_id,)).fetchall()
        return tuple(PrintMark(job_id, PrintJobState(state), *how) for job_id, state, *how in rows)

    def mark_print_job(self, mark: PrintMark) -> None:
        with self._transaction():
            self._mark(mark)

    def _mark(self, mark: PrintMark) -> None:
        change = JobRow.update(state=mark.state, rung=mark.rung, reason=mark.reason)
        self._db.execute(change.where(JobRow.id == mark.job_id))

    def _jobs(self, query: Query) -> tuple[PrintJob, ...]:
        return tuple(_job(row) for row in self._query(query))

    # -- documents and time ------------------------------------------------------------------------------------

    def document(self, lender: str, kind: str) -> tuple[int, bytes] | None:
        query = SignedDocument.select(SignedDocument.version, SignedDocument.data).where(
            SignedDocument.lender == lender, SignedDocument.kind == kind
        )
        rows = self._query(query)
        return (rows[0][0], bytes(rows[0][1])) if rows else None

    def store_document(self, lender: str, kind: str, version: int, data: bytes) -> None:
        with self._transaction():
            self._db.execute(
                SignedDocument.insert(lender=lender, kind=kind, version=version, data=data).on_conflict_replace()
            )

    def time_floor(self, lender: str) -> tuple[int, int | None]:
        row = self._read(_SELECT_TIME_FLOOR, (lender,)).fetchone()
        return (row[0], row[1]) if row else (0, None)

    def set_time_floor(self, lender: str, floor_s: int, last_signed_s: int | None) -> None:
        with self._transaction():
            self._db.execute(
                TimeFloor.insert(lender=lender, floor_s=floor_s, last_signed_s=last_signed_s).on_conflict_replace()
            )

    # -- care --------------------------------------------------------------------------------------------------

    def maintain(self, now_s: int) -> None:
        with self._faults():
            files.checkpoint(self._db)
        with self._transaction():
            self._db.execute(ConsumedProof.delete().where(ConsumedProof.recorded_at < now_s - PROOFS_KEPT_S))
            # Writes a page in any case: the first frame of a recycled log costs a flush more, and no sale shall pay it.
            self._run(f"PRAGMA user_version={VERSION}", ())

    def verify(self) -> Head:
        """Walk the whole chain and rebuild every cache from it. Raises JournalError at the first broken link."""
        with self._faults():
            fold.rebuild(self._db, self._head)
        return self._head

    def damage(self) -> list[str]:
        """What SQLite finds wrong in its own file, page by page and index by index; empty when it is sound."""
        found = [str(row[0]) for row in self._read("PRAGMA integrity_check(10)", ()).fetchall()]
        return [] if found == ["ok"] else found

    def _load_head(self) -> Head:
        columns = (ChainHead.lane, ChainHead.epoch, ChainHead.number, ChainHead.hash, ChainHead.lease_horizon)
        rows = self._query(ChainHead.select(*columns))
        if not rows:
            return Head("", 0)
        lane, epoch, number, digest, horizon = rows[0]
        last = self._query(
            JournalEntry.select(JournalEntry.epoch, JournalEntry.number, JournalEntry.hash)
            .order_by(JournalEntry.epoch.desc(), JournalEntry.number.desc())
            .limit(1)
        )
        if not last or (last[0][0], last[0][1], bytes(last[0][2])) != (epoch, number, bytes(digest)):
            raise LedgerCorrupt("the journal does not end where its head says")
        return Head(lane, epoch, number, bytes(digest), horizon)

    def _query(self, query: Query) -> list[Any]:
        with self._faults():
            rows: list[Any] = self._db.execute(query).fetchall()
            return rows

    def _read(self, sql: str, values: tuple[Any, ...]) -> Any:
        if self._failed is not None:
            raise LedgerUnavailable(self._failed)
        try:
            return self._run(sql, values)
        except (DatabaseError, apsw.Error) as error:
            raise LedgerUnavailable(str(error)) from error

    @contextmanager
    def _faults(self) -> Iterator[None]:
        if self._failed is not None:
            raise LedgerUnavailable(self._failed)
        try:
            yield
        except (DatabaseError, apsw.Error) as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> LedgerError:
        """A ledger that is damaged is not asked again: what it answers cannot be told from what it lost."""
        cause = error.__cause__ or error.__context__ or error
        if isinstance(cause, apsw.CorruptError | apsw.NotADBError):
            self._failed = f"the ledger is damaged ({error})"
            return LedgerCorrupt(self._failed)
        return LedgerUnavailable(str(error))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._faults():
            self._run("BEGIN IMMEDIATE", ())
        try:
            yield
        except BaseException as error:
            self._roll_back()
            if isinstance(error, DatabaseError | apsw.Error):
                raise self._fault(error) from error
            raise
        try:
            self._run("COMMIT", ())
        except (DatabaseError, apsw.Error) as error:
            self._failed = f"a commit failed ({error}); open the ledger again"
            raise LedgerUnknownOutcome(str(error)) from error

    def _roll_back(self) -> None:
        try:
            self._run("ROLLBACK", ())
        except (DatabaseError, apsw.Error) as error:
            self._failed = f"a rollback failed ({error}); open the ledger again"


def _seal_all(drafts: Sequence[Draft], head: Head, reading: ClockReading) -> list[Sealed]:
    chain: list[Sealed] = []
    for draft in drafts:
        horizon = reading.now_s if reading.trusted else 0
        sealed = seal(draft, head, recorded_at=reading.now_s, clock=reading.as_entry_field, lease_horizon=horizon)
        head = advance(head, sealed)
        chain.append(sealed)
    return chain


def _job_values(slip: Slip, now_s: int) -> tuple[Any, ...]:
    document = to_json(slip.document)
    return (
        slip.sale_id,
        slip.lender,
        slip.attempt,
        PrintJobState.QUEUED,
        document,
        int(slip.is_copy),
        now_s,
        slip.expires_at,
    )


def _job(row: tuple[Any, ...]) -> PrintJob:
    job_id, sale_id, lender, attempt, state, document, is_copy, _created_at, expires_at, rung, reason = row
    slip = Slip(from_json(document), expires_at, lender, sale_id, attempt, bool(is_copy))
    return PrintJob(job_id, PrintJobState(state), slip, rung, reason)
