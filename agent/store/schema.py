"""The tables of the lane's ledger.

The one rule: ``journal_entry`` is the truth and is only ever appended to. Every other table is either a cache that
``fold.py`` can rebuild from it (marked "fold"), or local work that concerns no other party (marked "local").
``lender`` is in every key that concerns money, from the first day. A table with a composite key says ``without_rowid``
itself, for peewee does not inherit it: with a hidden row id each sale would write a page more for every such table.
"""

from __future__ import annotations

from peewee import SQL, AutoField, BlobField, BooleanField, CompositeKey, IntegerField, Model, TextField
from playhouse.apsw_ext import APSWDatabase

VERSION = 8
"""``user_version`` of this schema; ``migrations`` has a step to it from the one before."""


class _Row(Model):
    class Meta:
        legacy_table_names = False
        database = APSWDatabase(None)  # gives the dialect only: one process may hold several ledgers (simulation)


class JournalEntry(_Row):
    """Truth. ``data`` are the canonical bytes, ``hash`` their SHA-256; the other columns only index them."""

    epoch = IntegerField()
    number = IntegerField()
    kind = TextField()
    lender = TextField(null=True)
    sale_id = TextField(null=True)
    recorded_at = IntegerField()
    hash = BlobField()
    data = BlobField()

    class Meta:
        primary_key = CompositeKey("epoch", "number")  # with a row id: long rows are appended and split no page
        indexes = ((("sale_id", "epoch", "number"), False),)


# Two entries a shift among thousands: found without a walk, and no sale writes a page for it.
IS_SHIFT = JournalEntry.kind.in_([SQL("'shift_open'"), SQL("'shift_close'")])
JournalEntry.add_index(JournalEntry.epoch, JournalEntry.number, where=IS_SHIFT, name="journal_shift")


class ChainHead(_Row):
    """Fold. One row (id 1): where the journal ends. ``horizons`` are the lenders' lease horizons (rule 1), a CBOR map:
    in a table of their own each sale would write a page more."""

    lane = TextField()
    epoch = IntegerField()
    number = IntegerField()
    hash = BlobField()
    horizons = BlobField()


class HoldRow(_Row):
    """Fold. One attempt of a sale, as ``core.authorization.Hold``."""

    lender = TextField()
    sale_id = TextField()
    attempt = IntegerField()
    state = TextField()
    account = BlobField(null=True)
    amount_minor = IntegerField()
    currency = TextField()
    mode = TextField(null=True)
    response_code = TextField(null=True)
    reason = TextField(null=True)
    authorization_code = TextField(null=True)
    open_debit_minor = IntegerField()
    lease_epoch = IntegerField(null=True)
    lease_minor = IntegerField()
    capture = TextField()
    code = BlobField(null=True)
    plan = BlobField(null=True)
    coupon = BlobField(null=True)
    captured_minor = IntegerField()
    captures = IntegerField()
    refunded_minor = IntegerField()
    expires_at = IntegerField(null=True)

    class Meta:
        table_name = "hold"
        without_rowid = True
        primary_key = CompositeKey("sale_id", "lender", "attempt")


# Open intents only: an index over all holds would cost every sale a page and serve none.
HoldRow.add_index(HoldRow.lender, HoldRow.account, where=HoldRow.state == SQL("'intended'"), name="hold_intended")
# A coupon is looked for by its id; hardly any sale has one.
HoldRow.add_index(HoldRow.lender, HoldRow.coupon, where=HoldRow.coupon.is_null(False), name="hold_coupon")
# Of what still ends by itself, which is little: most sales are captured at once.
HoldRow.add_index(HoldRow.expires_at, where=HoldRow.expires_at.is_null(False), name="hold_expires")


class SlipRefundRow(_Row):
    """Fold. A refund of another lane's sale, as ``core.slip_refund.SlipRefund``."""

    lender = TextField()
    request = TextField()
    state = TextField()
    lane = TextField()
    sale_id = TextField()
    amount_minor = IntegerField()
    currency = TextField()
    attempt = IntegerField(null=True)
    response_code = TextField(null=True)
    reason = TextField(null=True)

    class Meta:
        table_name = "slip_refund"
        without_rowid = True
        primary_key = CompositeKey("lender", "request")


class LeaseMovement(_Row):
    """Fold. What an entry took from (or gave back to) an account's lease."""

    lender = TextField()
    account = BlobField()
    epoch = IntegerField()
    number = IntegerField()
    lease_epoch = IntegerField()
    delta_minor = IntegerField()

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "account", "epoch", "number")


class StandInTotal(_Row):
    """Fold. Stand-in approvals by scope, subject and hour; windows add up hours. Scopes: ``account``, ``lane``, ``cap``
    (the account under the pass's own cap), ``amount`` (8 bytes: sales of this very amount, decided online too)."""

    lender = TextField()
    scope = TextField()
    subject = BlobField()
    hour = IntegerField()
    count = IntegerField()
    amount_minor = IntegerField()

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "scope", "subject", "hour")


class RecentMove(_Row):
    """Fold. A ``sale`` of an account at this lane, decided online or alone, or a ``refund``; for the policy's windows,
    and forgotten after the longest of them."""

    lender = TextField()
    account = BlobField()
    at_s = IntegerField()
    epoch = IntegerField()
    number = IntegerField()
    what = TextField()
    amount_minor = IntegerField()

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "account", "at_s", "epoch", "number")


class ConsumedProof(_Row):
    """Fold. A phone's proof that this lane has used; until it can no longer be fresh it is refused again."""

    lender = TextField()
    account = BlobField()
    cti = BlobField()
    recorded_at = IntegerField()

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "account", "cti")


class BatchTotal(_Row):
    """Fold. Counts and amounts of a settlement batch (the lane's business day), by name as in ``core.settlement``."""

    lender = TextField()
    batch = IntegerField()
    name = TextField()
    count = IntegerField()
    amount_minor = IntegerField()

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "batch", "name")


class Batch(_Row):
    """Fold. ``first_number`` of the open or closed batch in ``epoch``; ``last_number`` once it is closed."""

    lender = TextField()
    batch = IntegerField()
    epoch = IntegerField()
    first_number = IntegerField()
    last_number = IntegerField(null=True)

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "batch")


class BatchMatch(_Row):
    """Local. What the backend said of a closed batch: ``matched`` or ``different``; no row: it has not said yet."""

    lender = TextField()
    batch = IntegerField()
    state = TextField()

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "batch")


class QueueCursor(_Row):
    """Local. How far the journal of an epoch has been forwarded (``core.forwarding``)."""

    epoch = IntegerField(primary_key=True)
    sent_through = IntegerField()
    acknowledged_through = IntegerField()


class QueueException(_Row):
    """Local. An entry that the backend did not simply accept: what it is instead, why, and who bears it if told."""

    epoch = IntegerField()
    number = IntegerField()
    state = TextField()
    reason = TextField()
    bearer = TextField(null=True)

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("epoch", "number")


class PrintJob(_Row):
    """Local. A slip waiting for paper, or printed. ``document`` is the printable document as JSON."""

    id = AutoField()
    sale_id = TextField(null=True, index=True)
    lender = TextField(null=True)
    attempt = IntegerField(null=True)
    state = TextField()
    document = TextField()
    is_copy = BooleanField()
    created_at = IntegerField()
    expires_at = IntegerField()
    rung = TextField(null=True)
    reason = TextField(null=True)

    class Meta:
        indexes = ((("state", "id"), False),)


class SignedDocument(_Row):
    """Local. The documents in force, as signed: kind ``keys``, ``policy``; versions never go backwards."""

    lender = TextField()
    kind = TextField()
    version = IntegerField()
    data = BlobField()

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "kind")


class KeptPolicy(_Row):
    """Local. Every policy that was in force, as signed: a decision is replayed by the one of its version."""

    lender = TextField()
    version = IntegerField()
    digest = BlobField()
    data = BlobField()

    class Meta:
        without_rowid = True
        primary_key = CompositeKey("lender", "version", "digest")


class Note(_Row):
    """Local. What the lane must remember about itself, by name (``ports.NOTES``)."""

    name = TextField(primary_key=True)
    text = TextField()

    class Meta:
        without_rowid = True


class TimeFloor(_Row):
    """Local. One row a lender: no trusted time is below ``floor_s``; ``last_signed_s`` is the last signed time."""

    lender = TextField(primary_key=True)
    floor_s = IntegerField()
    last_signed_s = IntegerField(null=True)


FOLD = (ChainHead, HoldRow, SlipRefundRow, LeaseMovement, StandInTotal, RecentMove, ConsumedProof, BatchTotal, Batch)
LOCAL = (BatchMatch, QueueCursor, QueueException, PrintJob, SignedDocument, KeptPolicy, TimeFloor, Note)
TABLES = (JournalEntry, *FOLD, *LOCAL)
