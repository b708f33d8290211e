"""The tables of the backend.

The one rule: every key begins with lane or account, so that the tables shard by one of them, and no row is counted
from a sequence that all lanes share. ``lender`` is in every key that concerns money.

Opening a database binds these tables to it: a process works on one database at a time.
"""

from __future__ import annotations

from typing import Any

from peewee import BlobField, BooleanField, CompositeKey, IntegerField, Model, TextField
from playhouse.apsw_ext import APSWDatabase

VERSION = 1
"""``user_version`` of this schema."""


class _Row(Model):
    class Meta:
        legacy_table_names = False
        without_rowid = True
        database = APSWDatabase(None)  # gives the dialect; `database.open_database` binds the real one


class Lender(_Row):
    """Who gives the credit. ``key_list`` and ``policy`` are the signed documents in force."""

    lender = TextField(primary_key=True)
    name = TextField()
    currency = TextField()
    key_list = BlobField()
    policy = BlobField()


class LenderKey(_Row):
    """A lender's private keys by role: root, credential, policy, snapshot, time (PKCS #8 PEM)."""

    lender = TextField()
    role = TextField()
    pem = BlobField()

    class Meta:
        primary_key = CompositeKey("lender", "role")


class Account(_Row):
    """A credit account. ``held_minor`` and ``used_minor`` change only together with ``revision`` (compare and set).

    ``limit_cut``: the limit was set below what was already promised; the account may then stand above its limit.
    """

    token = BlobField()
    lender = TextField()
    limit_minor = IntegerField()
    used_minor = IntegerField(default=0)
    held_minor = IntegerField(default=0)
    blocked = BooleanField(default=False)
    step_up = BooleanField(default=False)
    tier = IntegerField(default=1)
    revision = IntegerField(default=1)
    limit_cut = BooleanField(default=False)

    class Meta:
        primary_key = CompositeKey("token", "lender")
        indexes = ((("lender", "token"), True),)


class Lane(_Row):
    """A lane and the head of its journal. ``lease_horizon`` is that of the last entry ingested (lease rule 1)."""

    lane = TextField(primary_key=True)
    store = TextField()
    merchant = TextField()
    journal_key = BlobField()
    epoch = IntegerField(default=1)
    lease_epoch = IntegerField(default=1)
    number = IntegerField(default=0)
    hash = BlobField()
    lease_horizon = IntegerField(default=0)


class Installed(_Row):
    """The newest snapshot that a lane has journaled as installed."""

    lane = TextField()
    lender = TextField()
    sequence = IntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender")


class LeaseGrant(_Row):
    """What a signed layer lets a lane spend of an account; ``spent_minor`` was ingested after ``applied_*``.

    ``revision`` is the account's when the layer was cut: a later one means that the lane's record is old.
    """

    account = BlobField()
    lender = TextField()
    lane = TextField()
    sequence = IntegerField()
    granted_minor = IntegerField()
    applied_epoch = IntegerField()
    applied_number = IntegerField()
    valid_until_s = IntegerField()
    spent_minor = IntegerField(default=0)
    revision = IntegerField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "lane", "sequence")
        indexes = ((("lane", "lender", "account", "sequence"), True),)


class SnapshotLayer(_Row):
    """A signed layer for one lane. ``digest`` identifies it for the layer above, ``sha256`` is of the whole file."""

    lane = TextField()
    lender = TextField()
    sequence = IntegerField()
    base_sequence = IntegerField()
    built_at = IntegerField()
    digest = BlobField()
    sha256 = BlobField()
    size = IntegerField()
    data = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sequence")


class JournalEntry(_Row):
    """The lane's half of the tally: the exact bytes that it signed for, and what became of them here."""

    lane = TextField()
    epoch = IntegerField()
    number = IntegerField()
    kind = TextField()
    lender = TextField(null=True)
    result = TextField()
    reason = TextField(null=True)
    data = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "number")


class Hold(_Row):
    """An attempt of a sale. ``state`` is the fold of its journal entries (``core.authorization``).

    ``held_minor``: its part of the account's held. ``online_minor``: the part of that which an online answer holds and
    the lane has not confirmed yet; ``online_use_minor``: how much of it comes from the lane's lease (lease rule 5).
    """

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = IntegerField()
    state = TextField()
    account = BlobField(null=True)
    amount_minor = IntegerField(default=0)
    held_minor = IntegerField(default=0)
    online_minor = IntegerField(default=0)
    online_use_minor = IntegerField(default=0)
    lease_minor = IntegerField(default=0)

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")
        indexes = ((("account", "lender", "lane"), False),)


class OnlineAnswer(_Row):
    """What was answered to an attempt, byte for byte. An empty ``request_hash`` is a tombstone (lease rule 6)."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = IntegerField()
    request_hash = BlobField()
    answer = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")


class UsedProof(_Row):
    """A phone's proof and the sale that consumed it."""

    account = BlobField()
    lender = TextField()
    cti = BlobField()
    lane = TextField()
    sale_id = TextField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "cti")


class CapUse(_Row):
    """Stand-in sales under the pass's own cap: the lender's risk, never part of used or held."""

    account = BlobField()
    lender = TextField()
    lane = TextField()
    sale_id = TextField()
    attempt = IntegerField()
    amount_minor = IntegerField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "lane", "sale_id", "attempt")


class Dispute(_Row):
    """An entry that people must look at: why, how much, and who bears it (lender, merchant or operator)."""

    lane = TextField()
    epoch = IntegerField()
    number = IntegerField()
    lender = TextField(null=True)
    account = BlobField(null=True)
    reason = TextField()
    amount_minor = IntegerField()
    bearer = TextField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "number")


class Settlement(_Row):
    """A closed batch: what the lane said, and what was answered, byte for byte."""

    lane = TextField()
    lender = TextField()
    epoch = IntegerField()
    batch = IntegerField()
    request_hash = BlobField()
    answer = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "epoch", "batch")


class EnrollmentCode(_Row):
    """A one-time code for a lane; only its hash is kept, and the answer that it was used for."""

    secret_hash = BlobField(primary_key=True)
    lane = TextField()
    store = TextField()
    merchant = TextField()
    merchant_name = TextField()
    category = TextField()
    currency = TextField()
    expires_at = IntegerField()
    request_hash = BlobField(null=True)
    answer = BlobField(null=True)


TABLES: tuple[Any, ...] = (
    Lender, LenderKey, Account, Lane, Installed, LeaseGrant, SnapshotLayer, JournalEntry, Hold, OnlineAnswer,
    UsedProof, CapUse, Dispute, Settlement, EnrollmentCode,
)  # fmt: skip
