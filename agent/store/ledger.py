"""The lane's ledger: journal, caches, queue and spool in one SQLite file with one writer.

The one rule: ``record`` returns only after its entries are on the disk. Batches, queue, spool and documents have a
file each beside this one; here are the journal and the sales in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import apsw
from peewee import DatabaseError, fn
from playhouse.apsw_ext import APSWDatabase

from agent.core import cbor
from agent.core.authorization import Hold
from agent.core.journal import Draft, Head, Position, Sealed, advance, open_entry, seal
from agent.core.policy_vocabulary import WINDOW_MAX_S
from agent.core.situation import Totals
from agent.core.slip_refund import RefundState, SlipRefund
from agent.core.trusted_time import ClockReading
from agent.errors import LedgerCorrupt, LedgerUnavailable
from agent.ports import PrintMark, Slip
from agent.store import database as files
from agent.store import fold
from agent.store.batches import Batches
from agent.store.earlier_sales import EarlierSales
from agent.store.forwarded import Forwarded
from agent.store.recent import RecentMoves
from agent.store.schema import (
    IS_SHIFT,
    VERSION,
    ChainHead,
    ConsumedProof,
    HoldRow,
    JournalEntry,
    RecentMove,
    SlipRefundRow,
)
from agent.store.spool import Spool

PROOFS_KEPT_S: Final = 7 * 86400
"""A pass lives at most 7 days (credit-pass profile); a proof older than that can never be fresh again."""

_HOLDS: Final = HoldRow.select(*(getattr(HoldRow, name) for name in fold.HOLD_FIELDS))
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


class SqliteLedger(Batches, EarlierSales, Forwarded, RecentMoves, Spool):
    """Implements ``ports.Ledger``."""

    def __init__(self, database: APSWDatabase) -> None:
        super().__init__(database)
        self._head = self._load_head()
        self._older = self._load_ends()[:-1]

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
        database = files.open_database(path, vfs=vfs, sync_dir=sync_dir, synchronous=synchronous)
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

    def ends(self) -> tuple[Position, ...]:
        return (*self._older, self._head.position) if self._head.epoch else ()

    # -- the sale's path ---------------------------------------------------------------------------------------

    def record(
        self,
        drafts: Sequence[Draft],
        reading: ClockReading,
        *,
        slip: Slip | None = None,
        printed: PrintMark | None = None,
    ) -> list[Sealed]:
        chain, head = _seal_all(drafts, self._head, reading), self._head
        with self._transaction():
            for sealed in chain:
                head = advance(head, sealed)
                fold.append(self._run, sealed, head)
            if slip is not None:
                self._insert_job(slip, reading.now_s)
            if printed is not None:
                self._mark(printed)
        self._head = head
        return chain

    def start_epoch(self, lane: str, epoch: int, draft: Draft, reading: ClockReading) -> None:
        """Begin a chain with its first entry. Called once after enrollment or recovery."""
        assert epoch > self._head.epoch, "an epoch never starts twice"
        begins = Head(lane, epoch, horizons=self._head.horizons)
        (sealed,) = _seal_all([draft], begins, reading)
        head = advance(begins, sealed)
        with self._transaction():
            self._db.execute(ChainHead.delete())
            self._db.execute(ChainHead.insert(id=1, lane=lane, epoch=epoch, number=0, hash=begins.hash, horizons=b""))
            fold.append(self._run, sealed, head)
        self._older = self.ends()
        self._head = head

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

    def proof_is_consumed(self, lender: str, account: bytes, cti: bytes) -> bool:
        return self._read(fold.SELECT_PROOF, (lender, account, cti)).fetchone() is not None

    def coupon_sale(self, lender: str, coupon_id: bytes) -> str | None:
        row = self._read(fold.SELECT_COUPON, (lender, coupon_id)).fetchone()
        return row[0] if row else None

    # -- sales -----------------------------------------------------------------------------------------------

    def open_intents(self) -> tuple[Hold, ...]:
        query = _HOLDS.where(fold.IS_INTENDED).order_by(HoldRow.sale_id)
        return tuple(fold.hold_from_row(row) for row in self._query(query))

    def holds_due(self, lender: str, now_s: int) -> tuple[Hold, ...]:
        """Holds that have ended by themselves at ``now_s`` (UTC seconds), and no entry says so yet."""
        query = _HOLDS.where(HoldRow.expires_at.is_null(False), HoldRow.expires_at <= now_s, HoldRow.lender == lender)
        return tuple(fold.hold_from_row(row) for row in self._query(query.order_by(HoldRow.expires_at)))

    def slip_refund(self, lender: str, request: str) -> SlipRefund | None:
        row = self._read(fold.SELECT_REFUND, (lender, request)).fetchone()
        return fold.refund_from_row(row) if row else None

    def open_slip_refunds(self) -> tuple[SlipRefund, ...]:
        columns = (getattr(SlipRefundRow, name) for name in fold.REFUND_FIELDS)
        query = SlipRefundRow.select(*columns).where(SlipRefundRow.state == str(RefundState.ASKED))
        return tuple(fold.refund_from_row(row) for row in self._query(query))

    def recent_sales(self, limit: int) -> tuple[Hold, ...]:
        """The newest sales first, each with its last attempt."""
        return tuple(self.attempts(sale_id)[-1] for sale_id in self.newest_sales(limit))

    def sale_entries(self, sale_id: str) -> list[Sealed]:
        rows = self._read(_SELECT_SALE_ENTRIES, (sale_id,)).fetchall()
        return [open_entry(bytes(data)) for (data,) in rows]

    def sale_end(self, sale_id: str) -> Position | None:
        row = self._read(_SELECT_SALE_END, (sale_id, 1)).fetchone()
        return Position(*row) if row else None

    def newest_shift_entry(self) -> Sealed | None:
        """The last entry that opened or closed a shift; None: there is none."""
        query = JournalEntry.select(JournalEntry.data).where(IS_SHIFT)
        rows = self._query(query.order_by(JournalEntry.epoch.desc(), JournalEntry.number.desc()).limit(1))
        return open_entry(bytes(rows[0][0])) if rows else None

    # -- care --------------------------------------------------------------------------------------------------

    def maintain(self, now_s: Mapping[str, int]) -> None:
        with self._faults():
            files.checkpoint(self._db)
        with self._transaction():
            for lender, lender_now_s in now_s.items():
                is_old = ConsumedProof.recorded_at < lender_now_s - PROOFS_KEPT_S
                self._db.execute(ConsumedProof.delete().where(ConsumedProof.lender == lender, is_old))
                is_past = RecentMove.at_s < lender_now_s - WINDOW_MAX_S
                self._db.execute(RecentMove.delete().where(RecentMove.lender == lender, is_past))
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

    def _load_ends(self) -> tuple[Position, ...]:
        """Where each epoch's journal ends, oldest first."""
        query = JournalEntry.select(JournalEntry.epoch, fn.MAX(JournalEntry.number))
        rows = self._query(query.group_by(JournalEntry.epoch).order_by(JournalEntry.epoch))
        return tuple(Position(*row) for row in rows)

    def _load_head(self) -> Head:
        columns = (ChainHead.lane, ChainHead.epoch, ChainHead.number, ChainHead.hash, ChainHead.horizons)
        rows = self._query(ChainHead.select(*columns))
        if not rows:
            return Head("", 0)
        lane, epoch, number, digest, horizons = rows[0]
        last = self._query(
            JournalEntry.select(JournalEntry.epoch, JournalEntry.number, JournalEntry.hash)
            .order_by(JournalEntry.epoch.desc(), JournalEntry.number.desc())
            .limit(1)
        )
        if not last or (last[0][0], last[0][1], bytes(last[0][2])) != (epoch, number, bytes(digest)):
            raise LedgerCorrupt("the journal does not end where its head says")
        return Head(lane, epoch, number, bytes(digest), _horizons(bytes(horizons)))


def _horizons(data: bytes) -> dict[str, int]:
    """Raises LedgerCorrupt: an unreadable horizon must not count as none (rule 1)."""
    try:
        horizons: Any = cbor.decode(data)
    except cbor.CborError as error:
        raise LedgerCorrupt(f"the lease horizons cannot be read: {error}") from error
    return dict(horizons)


def _seal_all(drafts: Sequence[Draft], head: Head, reading: ClockReading) -> list[Sealed]:
    chain: list[Sealed] = []
    for draft in drafts:
        horizon = reading.now_s if reading.trusted else 0
        sealed = seal(draft, head, recorded_at=reading.now_s, clock=reading.as_entry_field, lease_horizon=horizon)
        head = advance(head, sealed)
        chain.append(sealed)
    return chain
