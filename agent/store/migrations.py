"""How a ledger of an earlier version becomes one of this version.

The one rule: all steps that are missing run in one transaction, after a copy of the ledger as it was has been put
beside it; so a power cut leaves the old version or the new one, and people can always go back to the copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import apsw
from peewee import Database
from playhouse.apsw_ext import APSWDatabase

from agent.core.journal import Head, advance, open_entry
from agent.store import fold
from agent.store.schema import (
    VERSION,
    ChainHead,
    ConsumedProof,
    HoldRow,
    JournalEntry,
    KeptPolicy,
    Note,
    RecentMove,
    SignedDocument,
    SlipRefundRow,
)


def _to_2(database: Database) -> None:
    """Exceptions name who bears them; the lane takes notes (where it is in the list of exceptions, its recovery)."""
    database.execute_sql('ALTER TABLE "queue_exception" ADD COLUMN "bearer" TEXT')
    with database.bind_ctx([Note], bind_refs=False, bind_backrefs=False):
        database.create_tables([Note])


def _to_3(database: Database) -> None:
    """Proofs and lease horizons are told apart by lender: both are folded from the journal again."""
    lane = database.execute_sql('SELECT "lane" FROM "chain_head"').fetchone()
    changed = [ChainHead, ConsumedProof]
    with database.bind_ctx(changed, bind_refs=False, bind_backrefs=False):
        database.drop_tables(changed)
        database.create_tables(changed)
    if lane is None:
        return
    database.execute(ChainHead.insert(id=1, lane=lane[0], epoch=0, number=0, hash=b"", horizons=b""))
    ordered = JournalEntry.select(JournalEntry.data).order_by(JournalEntry.epoch, JournalEntry.number)
    head, run = Head(lane[0], 0), database.connection().execute
    for (data,) in database.execute(ordered):
        sealed = open_entry(bytes(data))
        head = advance(Head(head.lane, sealed.entry.epoch, horizons=head.horizons), sealed)
        fold.go_on(run, sealed, head)


def _to_4(database: Database) -> None:
    """Holds name the plan that was chosen and the coupon that they use up."""
    for column in ("plan", "coupon"):
        database.execute_sql(f'ALTER TABLE "hold" ADD COLUMN "{column}" BLOB')
    database.execute_sql('CREATE INDEX "hold_coupon" ON "hold" ("lender", "coupon") WHERE ("coupon" IS NOT NULL)')


def _to_5(database: Database) -> None:
    """Policies are kept as long as the entries that were decided by them."""
    tables = (KeptPolicy, SignedDocument)
    with database.bind_ctx(tables, bind_refs=False, bind_backrefs=False):
        database.create_tables([KeptPolicy])
        for row in SignedDocument.select().where(SignedDocument.kind == "policy"):
            digest = hashlib.sha256(row.data).digest()
            KeptPolicy.create(lender=row.lender, version=row.version, digest=digest, data=row.data)


def _to_6(database: Database) -> None:
    """What accounts have just done is folded from the journal; sales before this version have no part in it."""
    with database.bind_ctx([RecentMove], bind_refs=False, bind_backrefs=False):
        database.create_tables([RecentMove])


def _to_7(database: Database) -> None:
    """Holds know what of them is captured, given back, and when the rest ends; refunds of other lanes' sales."""
    database.execute_sql('CREATE TEMP TABLE "hold_of_6" AS SELECT * FROM "hold"')
    database.execute_sql('DROP TABLE "hold"')
    with database.bind_ctx([HoldRow, SlipRefundRow], bind_refs=False, bind_backrefs=False):
        database.create_tables([HoldRow, SlipRefundRow])
    database.execute_sql(
        "INSERT INTO hold SELECT *, iif(state = 'captured', amount_minor, 0), state = 'captured', 0, NULL"
        ' FROM "hold_of_6"'
    )
    database.execute_sql('DROP TABLE "hold_of_6"')


def _to_8(database: Database) -> None:
    """The newest shift is found without a walk through the journal."""
    database.execute_sql(
        'CREATE INDEX "journal_shift" ON "journal_entry" ("epoch", "number")'
        " WHERE (\"kind\" IN ('shift_open', 'shift_close'))"
    )


STEPS: Final[Mapping[int, Callable[[Database], None]]] = {
    2: _to_2, 3: _to_3, 4: _to_4, 5: _to_5, 6: _to_6, 7: _to_7, 8: _to_8,
}  # fmt: skip
"""By the version that a step leads to, each from the one before."""


def copy_path(path: str, version: int) -> str:
    """Where the copy of a ledger of ``version`` is kept."""
    return f"{path}.version-{version}"


def migrate(database: APSWDatabase, path: str, found: int, *, vfs: str | None, sync: Callable[[], None]) -> None:
    """Bring a ledger of version ``found`` to this version. Raises what SQLite raises; nothing is changed then."""
    _copy(database, copy_path(path, found), vfs)
    sync()
    with database.atomic("IMMEDIATE"):
        for version in range(found + 1, VERSION + 1):
            STEPS[version](database)
        database.execute_sql(f"PRAGMA user_version={VERSION}")


def _copy(database: APSWDatabase, path: str, vfs: str | None) -> None:
    """Page by page; a copy that was cut off before is overwritten as a whole."""
    target = apsw.Connection(path, vfs=vfs)
    try:
        target.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()  # or an older copy would need shared memory
        target.config(apsw.SQLITE_DBCONFIG_RESET_DATABASE, 1)  # a copy that was cut off is no database
        target.execute("VACUUM")
        target.config(apsw.SQLITE_DBCONFIG_RESET_DATABASE, 0)
        with target.backup("main", database.connection(), "main") as pages:
            while not pages.done:
                pages.step()
    finally:
        target.close()
