"""The lane's half of the tally as it arrived, and what people must look at."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CompositeKey, TextField

from backend.schema.row import Row


class Journal(Row):
    """One life of a lane's journal. ``number`` and ``hash`` are its head as stored here; ``posted_number`` is how far
    its entries have taken effect.

    ``state``: ``lanes.OPEN`` and its fellows. Written off, its leases count no more.
    """

    lane = TextField()
    epoch = BigIntegerField()
    journal_key = BlobField()
    number = BigIntegerField(default=0)
    hash = BlobField()
    posted_number = BigIntegerField(default=0)
    state = TextField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch")


class JournalEntry(Row):
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


class QuarantinedEntry(Row):
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


class Dispute(Row):
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


class Resolution(Row):
    """What people made of a dispute: written once, beside it."""

    lane = TextField()
    epoch = BigIntegerField()
    number = BigIntegerField()
    resolved_at = BigIntegerField()
    note = TextField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "number")
