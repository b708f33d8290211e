"""Leases: what signed layers grant to lanes, and what is asked back."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CompositeKey, TextField

from backend.schema.row import Row


class LeaseGrant(Row):
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


class SnapshotLayer(Row):
    """A signed layer for one lane. ``digest`` identifies it for the layer above, ``sha256`` is of the whole file.

    Sequences go on from epoch to epoch; a stack is of one epoch, and of one origin: the zero of its records' places.
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
    latitude_udeg = BigIntegerField()
    longitude_udeg = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sequence")


class Cutting(Row):
    """The newest layer that was begun for a lane; its row in ``SnapshotLayer`` comes when it is signed."""

    lane = TextField()
    lender = TextField()
    sequence = BigIntegerField()
    begun_at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender")


class Installed(Row):
    """The newest snapshot that a journal has told as installed."""

    lane = TextField()
    epoch = BigIntegerField()
    lender = TextField()
    sequence = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "lender")


class Horizon(Row):
    """The latest time to which a journal has sworn for the leases of a lender (lease rule 1), of the entries that have
    taken effect."""

    lane = TextField()
    epoch = BigIntegerField()
    lender = TextField()
    lease_horizon = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "lender")


class Recall(Row):
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
