"""The tables of the backend.

The one rule: every key begins with lane or account, so that the tables shard by one of them, and no row is counted
from a sequence that all lanes share. ``lender`` is in every key that concerns money. Amounts, numbers and times are
64 bits wide everywhere.

Opening a database binds these tables to it: a process works on one database at a time.
"""

from __future__ import annotations

from typing import Any

from peewee import BigIntegerField, BlobField, BooleanField, CompositeKey, Model, TextField
from playhouse.apsw_ext import APSWDatabase

VERSION = 3
"""The version of this schema, kept in the database."""


class _Row(Model):
    class Meta:
        legacy_table_names = False
        database = APSWDatabase(None)  # `database.open_database` binds the real one


class Lender(_Row):
    """Who gives the credit. ``key_list`` and ``policy`` are the signed documents in force; ``fee_basis_points`` is what
    a merchant pays of each captured amount, in hundredths of a percent."""

    lender = TextField(primary_key=True)
    name = TextField()
    currency = TextField()
    key_list = BlobField()
    policy = BlobField()
    fee_basis_points = BigIntegerField(default=60)


class LenderKey(_Row):
    """A lender's private keys by role: root, credential, policy, snapshot, time (PKCS #8 PEM)."""

    lender = TextField()
    role = TextField()
    pem = BlobField()

    class Meta:
        primary_key = CompositeKey("lender", "role")


class Account(_Row):
    """A credit account. Whatever changes its money changes its ``revision`` (compare and set), a grant too.

    ``edition`` counts the changes that lanes should hear of: a lane's record of an older one is out of date.
    ``limit_cut``: the limit was set below what was already promised; the account may then stand above its limit.
    """

    token = BlobField()
    lender = TextField()
    limit_minor = BigIntegerField()
    used_minor = BigIntegerField(default=0)
    held_minor = BigIntegerField(default=0)
    blocked = BooleanField(default=False)
    step_up = BooleanField(default=False)
    tier = BigIntegerField(default=1)
    revision = BigIntegerField(default=1)
    edition = BigIntegerField(default=1)
    limit_cut = BooleanField(default=False)

    class Meta:
        primary_key = CompositeKey("token", "lender")
        indexes = ((("lender", "token"), True),)


class Posting(_Row):
    """One movement of an account's money, both halves of it: ``minor`` is taken from ``credit`` and put to ``debit``.

    One row, so that neither half can be there without the other. The sides are ``accounts.Side``; ``revision`` is the
    account's after the movement, ``cause`` what moved it.
    """

    account = BlobField()
    lender = TextField()
    revision = BigIntegerField()
    debit = TextField()
    credit = TextField()
    minor = BigIntegerField()
    cause = TextField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "revision", "debit", "credit")


class Lane(_Row):
    """A lane; ``epoch`` is that of its current journal, and so of the leases that it may still be granted."""

    lane = TextField(primary_key=True)
    store = TextField()
    merchant = TextField()
    epoch = BigIntegerField(default=1)


class Journal(_Row):
    """One life of a lane's journal. ``number``, ``hash`` and ``horizon`` are its head as stored here;
    ``posted_number`` and ``lease_horizon`` (lease rule 1) how far its entries have taken effect.

    ``state``: ``lanes.OPEN`` and its fellows. Written off, its leases count no more.
    """

    lane = TextField()
    epoch = BigIntegerField()
    journal_key = BlobField()
    number = BigIntegerField(default=0)
    hash = BlobField()
    horizon = BigIntegerField(default=0)
    posted_number = BigIntegerField(default=0)
    lease_horizon = BigIntegerField(default=0)
    state = TextField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch")


class Installed(_Row):
    """The newest snapshot that a journal has told as installed."""

    lane = TextField()
    epoch = BigIntegerField()
    lender = TextField()
    sequence = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "lender")


class LeaseGrant(_Row):
    """What a signed layer lets a lane spend of an account, told in the journal of ``epoch``.

    ``spent_minor`` was posted after ``applied_number``. ``edition`` is the account's when the layer was cut.
    """

    account = BlobField()
    lender = TextField()
    lane = TextField()
    epoch = BigIntegerField()
    sequence = BigIntegerField()
    granted_minor = BigIntegerField()
    applied_number = BigIntegerField()
    valid_until_s = BigIntegerField()
    spent_minor = BigIntegerField(default=0)
    edition = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "lane", "epoch", "sequence")
        indexes = ((("lane", "epoch", "lender", "account", "sequence"), True),)


class Recall(_Row):
    """A lane is asked to give back the lease of ``account`` (null: all of its leases); open until ``ended_at``.

    ``sequence`` is that of the lane's newest layer when it was asked, and then when it ended; see ``recalls``.
    """

    lane = TextField()
    lender = TextField()
    number = BigIntegerField()
    account = BlobField(null=True)
    reason = TextField()
    requested_at = BigIntegerField()
    hold_until_s = BigIntegerField()
    sequence = BigIntegerField()
    ended_at = BigIntegerField(null=True)

    class Meta:
        primary_key = CompositeKey("lane", "lender", "number")


class SnapshotLayer(_Row):
    """A signed layer for one lane. ``digest`` identifies it for the layer above, ``sha256`` is of the whole file.

    Sequences go on from epoch to epoch; a stack is of one epoch.
    """

    lane = TextField()
    lender = TextField()
    sequence = BigIntegerField()
    epoch = BigIntegerField()
    base_sequence = BigIntegerField()
    built_at = BigIntegerField()
    digest = BlobField()
    sha256 = BlobField()
    size = BigIntegerField()
    data = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sequence")


class Cutting(_Row):
    """The newest layer that was begun for a lane; its row in ``SnapshotLayer`` comes when it is signed."""

    lane = TextField()
    lender = TextField()
    sequence = BigIntegerField()
    begun_at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender")


class JournalEntry(_Row):
    """The lane's half of the tally: the exact bytes that it signed for, and what became of them here.

    ``result`` is null from storing to posting; ``reason`` is null for what was accepted.
    """

    lane = TextField()
    epoch = BigIntegerField()
    number = BigIntegerField()
    result = TextField(null=True)
    reason = TextField(null=True)
    data = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "number")


class Hold(_Row):
    """An attempt of a sale. ``state`` is the fold of its journal entries (``core.authorization``).

    ``held_minor``: its part of the account's held. ``online_minor``: the part of that which an online answer holds and
    the lane has not confirmed yet; ``online_use_minor``: how much of it comes from the lane's lease (lease rule 5).
    ``lease_minor`` was spent of the lease of ``lease_epoch``. ``captured_minor`` became debt, ``refunded_minor`` of
    that is no debt any more.
    """

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    state = TextField()
    account = BlobField(null=True)
    amount_minor = BigIntegerField(default=0)
    held_minor = BigIntegerField(default=0)
    online_minor = BigIntegerField(default=0)
    online_use_minor = BigIntegerField(default=0)
    lease_minor = BigIntegerField(default=0)
    lease_epoch = BigIntegerField(default=0)
    captured_minor = BigIntegerField(default=0)
    refunded_minor = BigIntegerField(default=0)

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")
        indexes = ((("account", "lender", "lane"), False),)


class OnlineAnswer(_Row):
    """What was answered to an attempt, byte for byte. An empty ``request_hash`` is a tombstone (lease rule 6)."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
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
    attempt = BigIntegerField()
    amount_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "lane", "sale_id", "attempt")


class Dispute(_Row):
    """An entry that people must look at: what became of it, why, how much, and who bears it (lender, merchant or
    operator). ``sequence`` counts the lane's disputes in the order in which they were found."""

    lane = TextField()
    epoch = BigIntegerField()
    number = BigIntegerField()
    sequence = BigIntegerField()
    result = TextField()
    reason = TextField()
    bearer = TextField()
    lender = TextField(null=True)
    sale_id = TextField(null=True)
    account = BlobField(null=True)
    amount_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "number")
        indexes = ((("lane", "sequence"), True),)


class Resolution(_Row):
    """What people made of a dispute: written once, beside it."""

    lane = TextField()
    epoch = BigIntegerField()
    number = BigIntegerField()
    resolved_at = BigIntegerField()
    note = TextField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "number")


class Visit(_Row):
    """A past purchase of an account, for planning where it will shop; no money of the ledger."""

    account = BlobField()
    lender = TextField()
    at_s = BigIntegerField()
    store = TextField()
    lane = TextField()
    amount_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "at_s")


class Settlement(_Row):
    """A closed batch: what the lane said, and what was answered, byte for byte."""

    lane = TextField()
    lender = TextField()
    epoch = BigIntegerField()
    batch = BigIntegerField()
    request_hash = BlobField()
    answer = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "epoch", "batch")


class EnrollmentCode(_Row):
    """A one-time code for a lane; only its hash is kept, and the answer that it was used for.

    ``replaces`` is the epoch whose device it replaces (None: a new lane), ``compromised`` whether that one is trusted.
    """

    secret_hash = BlobField(primary_key=True)
    lane = TextField()
    store = TextField()
    merchant = TextField()
    merchant_name = TextField()
    category = TextField()
    currency = TextField()
    expires_at = BigIntegerField()
    replaces = BigIntegerField(null=True)
    compromised = BooleanField(default=False)
    request_hash = BlobField(null=True)
    answer = BlobField(null=True)


class Certificate(_Row):
    """A certificate that was issued to a lane, by its serial number in hex. ``epoch`` is the one that its device began
    with, ``request_hash`` the SHA-256 of the request that it answers."""

    lane = TextField()
    serial = TextField()
    epoch = BigIntegerField()
    request_hash = BlobField()
    pem = BlobField()
    expires_at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "serial")


class EpochChange(_Row):
    """How a lane left ``epoch``: the request that ended it, and what was answered, byte for byte."""

    lane = TextField()
    epoch = BigIntegerField()
    request_hash = BlobField()
    answer = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch")


class QuarantinedEntry(_Row):
    """An entry of a journal that is not believed: kept as it came, told to people, and without any effect. Several may
    claim one number, so the hash is part of the key."""

    lane = TextField()
    epoch = BigIntegerField()
    number = BigIntegerField()
    hash = BlobField()
    data = BlobField()
    received_at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "number", "hash")


class Claim(_Row):
    """A sale that a slip told of before its journal did (lease rule 17); ``reason`` and ``excess_minor`` say what of
    it nothing covered."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    epoch = BigIntegerField()
    claimed_at = BigIntegerField()
    text = TextField()
    reason = TextField(null=True)
    excess_minor = BigIntegerField(default=0)

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")


class WalletPayment(_Row):
    """What became of an attempt at a wallet; ``lender`` is the rail. ``state`` is asked, paid or declined, the answer
    follows from the row. An empty ``request_hash`` is a tombstone. The code that the customer showed is not kept."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    request_hash = BlobField()
    amount_minor = BigIntegerField()
    state = TextField()
    response_code = TextField()
    reason = TextField()
    authorization_code = TextField(null=True)
    decided_at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")


class RailDuty(_Row):
    """What is still to be done at a rail, ``cancel`` or ``refund``; the row goes when the rail has done it."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    duty = TextField()
    amount_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")


class SandboxPayment(_Row):
    """A payment of the rail that moves nobody's money; ``outcome`` is the last digit of its code."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    amount_minor = BigIntegerField()
    outcome = TextField()
    asked_at = BigIntegerField()
    returned_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")


class Recovery(_Row):
    """One row for each time that this backend was found to have forgotten something (lease rule 13)."""

    started_at = BigIntegerField(primary_key=True)
    reason = TextField()
    ended_at = BigIntegerField(null=True)


class LaneReport(_Row):
    """What a lane last said of itself in a heartbeat: how far it believes its journal of ``epoch`` acknowledged."""

    lane = TextField(primary_key=True)
    epoch = BigIntegerField()
    number = BigIntegerField()
    acknowledged_number = BigIntegerField()
    heard_at = BigIntegerField()
    said = TextField()


class LayerReport(_Row):
    """The newest layer of a lender that a lane says it has: new ones lie above it, whatever is stored here."""

    lane = TextField()
    lender = TextField()
    sequence = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender")


TABLES: tuple[Any, ...] = (
    Lender, LenderKey, Account, Posting, Lane, Journal, Installed, LeaseGrant, Recall, SnapshotLayer, Cutting,
    JournalEntry, Hold, OnlineAnswer, UsedProof, CapUse, Dispute, Resolution, Visit, Settlement, EnrollmentCode,
    Certificate, EpochChange, QuarantinedEntry, Claim, WalletPayment, RailDuty, SandboxPayment, Recovery,
    LaneReport, LayerReport,
)  # fmt: skip
