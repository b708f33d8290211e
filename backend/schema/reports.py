"""What lanes say of themselves, and when this backend was found to have forgotten something."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CompositeKey, TextField

from backend.schema.row import Row


class LaneReport(Row):
    """What a lane last said of itself in a heartbeat: how far it believes its journal of ``epoch`` acknowledged."""

    lane = TextField(primary_key=True)
    epoch = BigIntegerField()
    number = BigIntegerField()
    acknowledged_number = BigIntegerField()
    heard_at = BigIntegerField()
    said = TextField()


class LayerReport(Row):
    """The newest layer of a lender that a lane says it has, the digest of its manifest, and versions of documents: new
    ones lie above them, whatever is stored here."""

    lane = TextField()
    lender = TextField()
    sequence = BigIntegerField()
    digest = BlobField()
    keys_version = BigIntegerField()
    policy_version = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender")


class Recovery(Row):
    """One row for each time that this backend was found to have forgotten something (lease rule 13); ``lane`` is whose
    word it was, None: an operator's or the books' own."""

    started_at = BigIntegerField(primary_key=True)
    reason = TextField()
    lane = TextField(null=True)
    ended_at = BigIntegerField(null=True)


class Tide(Row):
    """One row: ``count`` only grows, so books in which it is smaller than it was have been put back."""

    name = TextField(primary_key=True)
    count = BigIntegerField()
