"""Lanes, and the devices that may speak for them."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, BooleanField, CompositeKey, TextField

from backend.schema.row import Row


class Lane(Row):
    """A lane; ``epoch`` is that of its current journal, and so of the leases that it may still be granted."""

    lane = TextField(primary_key=True)
    store = TextField()
    merchant = TextField()
    epoch = BigIntegerField(default=1)


class StorePlace(Row):
    """Where a store is, in microdegrees (WGS 84), and its time zone by its IANA name."""

    merchant = TextField()
    store = TextField()
    latitude_udeg = BigIntegerField()
    longitude_udeg = BigIntegerField()
    zone = TextField()

    class Meta:
        primary_key = CompositeKey("merchant", "store")


class EnrollmentCode(Row):
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


class Certificate(Row):
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


class EpochChange(Row):
    """How a lane left ``epoch``: the request that ended it, and what was answered, byte for byte."""

    lane = TextField()
    epoch = BigIntegerField()
    request_hash = BlobField()
    answer = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch")


class Stranger(Row):
    """A device that these books have forgotten, and that waits to be admitted with its journal of ``epoch``: the
    certificate that it showed."""

    lane = TextField()
    epoch = BigIntegerField()
    serial = TextField()
    expires_at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch")
