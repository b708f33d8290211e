"""What one journal entry does to the ledger's caches. A table of effects, and the SQL of a sale's path.

The one rule: caches change through ``apply`` and nothing else, so replaying the journal rebuilds them (``rebuild``).

The SQL is compiled once, through peewee, and run by SQLite's own connection: on this path the ORM's objects would cost
four times the transaction itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, TypeAlias

from peewee import EXCLUDED, SQL, Database, Query, fn

from agent.core import cbor
from agent.core.authorization import Hold, HoldState, event_of
from agent.core.journal import Head, Kind, Sealed, advance, check_end, open_entry, walk
from agent.core.recent import REFUND, SALE, amount_subject
from agent.core.settlement import tally
from agent.core.slip_refund import RefundState, SlipRefund, refund_after
from agent.store.schema import (
    FOLD,
    Batch,
    BatchTotal,
    ChainHead,
    ConsumedProof,
    HoldRow,
    JournalEntry,
    LeaseMovement,
    RecentMove,
    SlipRefundRow,
    StandInTotal,
)

HOUR_S: Final = 3600
LANE_SUBJECT: Final = b""
HOLD_FIELDS: Final = tuple(field for field in Hold.__dataclass_fields__)
_STATE_AT: Final = HOLD_FIELDS.index("state")
REFUND_FIELDS: Final = tuple(SlipRefund.__dataclass_fields__)
Run: TypeAlias = Callable[[str, tuple[Any, ...]], Any]
"""``execute`` of the open connection: compiled SQL and its values give a cursor."""


def sql(query: Query) -> str:
    """The text of a query whose values are placeholders, for ``execute_sql`` with positional parameters."""
    text: str = query.sql()[0]
    return text


def _upsert(model: Any, keys: tuple[Any, ...]) -> str:
    names = [name for name in model._meta.sorted_field_names if name not in keys]
    insert = model.insert(dict.fromkeys(model._meta.sorted_field_names, 0))
    return sql(insert.on_conflict(conflict_target=keys, update={name: getattr(EXCLUDED, name) for name in names}))


def _add_up(model: Any, keys: tuple[str, ...]) -> str:
    insert = model.insert(dict.fromkeys(model._meta.sorted_field_names, 0))
    update = {
        model.count: model.count + EXCLUDED.count,
        model.amount_minor: model.amount_minor + EXCLUDED.amount_minor,
    }
    return sql(insert.on_conflict(conflict_target=keys, update=update))


def _insert(model: Any) -> str:
    return sql(model.insert({name: 0 for name in model._meta.sorted_field_names if name != "id"}))


IS_INTENDED: Final = HoldRow.state == SQL("'intended'")
"""As a literal, because SQLite uses a partial index only for the very condition that it was made with."""

INSERT_ENTRY: Final = _insert(JournalEntry)
UPDATE_HEAD: Final = sql(ChainHead.update(epoch=0, number=0, hash=b"", horizons=b""))
SELECT_HOLD: Final = sql(
    HoldRow.select(*(getattr(HoldRow, name) for name in HOLD_FIELDS)).where(
        HoldRow.sale_id == "", HoldRow.lender == "", HoldRow.attempt == 0
    )
)
UPSERT_HOLD: Final = _upsert(HoldRow, ("sale_id", "lender", "attempt"))
UPSERT_REFUND: Final = _upsert(SlipRefundRow, ("lender", "request"))
SELECT_REFUND: Final = sql(
    SlipRefundRow.select(*(getattr(SlipRefundRow, name) for name in REFUND_FIELDS)).where(
        SlipRefundRow.lender == "", SlipRefundRow.request == ""
    )
)
HOLD_COLUMNS: Final = tuple(HoldRow._meta.sorted_field_names)
INSERT_RECENT: Final = _insert(RecentMove)
INSERT_MOVEMENT: Final = _insert(LeaseMovement)
ADD_STAND_IN: Final = _add_up(StandInTotal, ("lender", "scope", "subject", "hour"))
CONSUME_PROOF: Final = sql(ConsumedProof.insert(lender="", account=b"", cti=b"", recorded_at=0).on_conflict_ignore())
ADD_BATCH_TOTAL: Final = _add_up(BatchTotal, ("lender", "batch", "name"))
OPEN_BATCH: Final = sql(Batch.select(Batch.batch).where(Batch.lender == "", Batch.last_number.is_null()))
INSERT_BATCH: Final = _insert(Batch)
CLOSE_BATCH: Final = sql(Batch.update(last_number=0).where(Batch.lender == "", Batch.batch == 0))
MOVE_BATCH: Final = sql(Batch.update(epoch=0, first_number=0).where(Batch.lender == "", Batch.batch == 0))
OPEN_BATCHES: Final = sql(Batch.select(Batch.lender, Batch.batch).where(Batch.last_number.is_null()))
HAS_TOTALS: Final = sql(BatchTotal.select(BatchTotal.name).where(BatchTotal.lender == "", BatchTotal.batch == 0))
LAST_BEFORE: Final = sql(
    JournalEntry.select(JournalEntry.number)
    .where(JournalEntry.epoch < 0)
    .order_by(JournalEntry.epoch.desc(), JournalEntry.number.desc())
    .limit(1)
)


_hold_values: Final = attrgetter(*HOLD_COLUMNS)
_refund_values: Final = attrgetter(*SlipRefundRow._meta.sorted_field_names)


def hold_from_row(row: tuple[Any, ...]) -> Hold:
    """The hold of a row in the order of ``HOLD_FIELDS``."""
    values = list(row)
    values[_STATE_AT] = HoldState(values[_STATE_AT])
    return Hold(*values)


def refund_from_row(row: tuple[Any, ...]) -> SlipRefund:
    """The refund of a row in the order of ``REFUND_FIELDS``."""
    fields = dict(zip(REFUND_FIELDS, row, strict=True))
    return SlipRefund(**fields | {"state": RefundState(fields["state"])})


def append(run: Run, sealed: Sealed, head: Head) -> None:
    """Store one entry, with which the journal ends at ``head``, and fold it in. Inside a transaction; raises
    HoldRefused before anything of it is written."""
    entry = sealed.entry
    apply(run, sealed, head)
    place = (entry.epoch, entry.number, entry.kind, entry.lender, entry.sale_id, entry.recorded_at)
    run(INSERT_ENTRY, (*place, sealed.hash, sealed.data))


def apply(run: Run, sealed: Sealed, head: Head) -> None:
    """Fold one entry, with which the journal ends at ``head``, into the caches."""
    _fold_hold(run, sealed)
    _fold_refund(run, sealed)
    _fold_lease(run, sealed)
    _fold_batch(run, sealed)
    _fold_epoch(run, sealed)
    go_on(run, sealed, head)


def go_on(run: Run, sealed: Sealed, head: Head) -> None:
    """What is never to happen again: a proof that was shown, a time before a horizon, another entry of this number."""
    _fold_proof(run, sealed)
    run(UPDATE_HEAD, (head.epoch, head.number, head.hash, cbor.encode(dict(head.horizons))))


def _fold_hold(run: Run, sealed: Sealed) -> None:
    entry = sealed.entry
    if event_of(entry.kind, entry.body) is None:
        return
    assert entry.lender is not None and entry.sale_id is not None and entry.attempt is not None
    row = run(SELECT_HOLD, (entry.sale_id, entry.lender, entry.attempt)).fetchone()
    before = hold_from_row(row) if row else Hold(entry.lender, entry.sale_id, entry.attempt)
    hold = before.apply(entry.kind, entry.body)
    run(UPSERT_HOLD, _hold_values(hold))
    fold_recent(run, sealed, hold)
    if entry.kind == Kind.AUTHORIZATION:
        _fold_stand_in(run, sealed, hold)


def fold_recent(run: Run, sealed: Sealed, hold: Hold) -> None:
    """What the account has just done, and the lane's sales of this very amount."""
    entry = sealed.entry
    approved = entry.kind == Kind.AUTHORIZATION or (entry.kind == Kind.ONLINE_OUTCOME and entry.body["approved"])
    if (not approved and entry.kind != Kind.REFUND) or hold.account is None:
        return
    minor = entry.body["amount_minor"]
    place = (hold.lender, hold.account, entry.recorded_at, entry.epoch, entry.number)
    run(INSERT_RECENT, (*place, SALE if approved else REFUND, minor))
    if approved:
        run(ADD_STAND_IN, (hold.lender, "amount", amount_subject(minor), entry.recorded_at // HOUR_S, 1, minor))


def _fold_refund(run: Run, sealed: Sealed) -> None:
    entry = sealed.entry
    if entry.kind not in (Kind.REFUND_INTENT, Kind.REFUND_OUTCOME):
        return
    assert entry.lender is not None
    row = run(SELECT_REFUND, (entry.lender, entry.body["request"])).fetchone()
    refund = refund_after(refund_from_row(row) if row else None, entry.kind, entry.lender, entry.body)
    if refund is not None:
        run(UPSERT_REFUND, _refund_values(refund))


def _fold_stand_in(run: Run, sealed: Sealed, hold: Hold) -> None:
    hour = sealed.entry.recorded_at // HOUR_S
    scopes = [("account", hold.account), ("lane", LANE_SUBJECT)]
    if sealed.entry.body["funding"] == "cap":
        scopes.append(("cap", hold.account))
    for scope, subject in scopes:
        run(ADD_STAND_IN, (hold.lender, scope, subject, hour, 1, hold.amount_minor))


def _fold_lease(run: Run, sealed: Sealed) -> None:
    entry = sealed.entry
    lease = entry.body.get("lease")
    if not lease or "delta_minor" not in lease or lease["delta_minor"] == 0:
        return
    account = entry.body["account"]
    values = (entry.lender, account, entry.epoch, entry.number, lease["epoch"], lease["delta_minor"])
    run(INSERT_MOVEMENT, values)


def _fold_proof(run: Run, sealed: Sealed) -> None:
    entry, body = sealed.entry, sealed.entry.body
    if body.get("cti") is not None and body.get("account") is not None:
        run(CONSUME_PROOF, (entry.lender, body["account"], body["cti"], entry.recorded_at))


def _fold_batch(run: Run, sealed: Sealed) -> None:
    entry = sealed.entry
    names = tally(entry.kind, entry.body)
    if not names and entry.kind != Kind.SETTLEMENT:
        return
    row = run(OPEN_BATCH, (entry.lender,)).fetchone()
    batch = row[0] if row else 1
    if row is None:
        run(INSERT_BATCH, (entry.lender, batch, entry.epoch, 1, None))
    for name in names:
        run(ADD_BATCH_TOTAL, (entry.lender, batch, name, 1, entry.body["amount_minor"]))
    if entry.kind == Kind.SETTLEMENT:
        run(CLOSE_BATCH, (entry.body["last_number"], entry.lender, batch))
        run(INSERT_BATCH, (entry.lender, batch + 1, entry.epoch, entry.number, None))


def _fold_epoch(run: Run, sealed: Sealed) -> None:
    """A batch ends with its epoch: numbers begin again, and the backend matches a batch within one journal."""
    entry = sealed.entry
    last = run(LAST_BEFORE, (entry.epoch, 1)).fetchone() if entry.kind == Kind.EPOCH_START else None
    if last is None:
        return
    for lender, batch in run(OPEN_BATCHES, ()).fetchall():
        if run(HAS_TOTALS, (lender, batch)).fetchone():
            run(CLOSE_BATCH, (last[0], lender, batch))
            run(INSERT_BATCH, (lender, batch + 1, entry.epoch, 1, None))
        else:
            run(MOVE_BATCH, (entry.epoch, 1, lender, batch))


def walk_all(database: Database, head: Head) -> None:
    """Follow every link of every epoch's chain, up to ``head``. Raises JournalError at the first that does not hold."""
    reached = Head(head.lane, 0)
    for epoch, rows in groupby(_entries(database), key=lambda row: row[0]):
        begins = Head(head.lane, epoch, horizons=reached.horizons)
        reached = walk(begins, (bytes(data) for _, data in rows))
    check_end(reached, head)


def rebuild(database: Database, head: Head) -> None:
    """Empty every cache and fold the whole journal in again. Raises JournalError where the chain is broken."""
    walk_all(database, head)
    with database.atomic("IMMEDIATE"):
        for model in FOLD:
            if model is not ChainHead:
                database.execute(model.delete())
        reached = Head(head.lane, 0)
        for epoch, data in _entries(database):
            sealed = open_entry(bytes(data))
            reached = advance(Head(head.lane, epoch, horizons=reached.horizons), sealed)
            apply(database.connection().execute, sealed, reached)


def _entries(database: Database) -> Iterator[tuple[int, bytes]]:
    columns = (JournalEntry.epoch, JournalEntry.data)
    rows = database.execute(JournalEntry.select(*columns).order_by(JournalEntry.epoch, JournalEntry.number))
    return iter(rows)


def summed(rows: Any) -> int:
    row = rows.fetchone()
    return int(row[0]) if row and row[0] is not None else 0


SUM_SPENT: Final = sql(
    LeaseMovement.select(fn.SUM(LeaseMovement.delta_minor)).where(
        LeaseMovement.lender == "",
        LeaseMovement.account == b"",
        (LeaseMovement.epoch > 0) | ((LeaseMovement.epoch == 0) & (LeaseMovement.number > 0)),
    )
)
SUM_OPEN_DEBITS: Final = sql(
    HoldRow.select(fn.SUM(HoldRow.open_debit_minor)).where(HoldRow.lender == "", HoldRow.account == b"", IS_INTENDED)
)
SUM_STAND_IN: Final = sql(
    StandInTotal.select(fn.SUM(StandInTotal.count), fn.SUM(StandInTotal.amount_minor)).where(
        StandInTotal.lender == "", StandInTotal.scope == "", StandInTotal.subject == b"", StandInTotal.hour >= 0
    )
)
SELECT_PROOF: Final = sql(
    ConsumedProof.select(ConsumedProof.recorded_at).where(
        ConsumedProof.lender == "", ConsumedProof.account == b"", ConsumedProof.cti == b""
    )
)
SELECT_COUPON: Final = sql(
    HoldRow.select(HoldRow.sale_id).where(
        HoldRow.lender == "", HoldRow.coupon == b"", SQL("state NOT IN ('declined', 'reversed', 'expired', 'voided')")
    )
)
