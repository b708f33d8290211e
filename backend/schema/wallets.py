"""Payments by wallet codes, and what is still to be done at their rails."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CompositeKey, TextField

from backend.schema.row import Row


class WalletPayment(Row):
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


class RailDuty(Row):
    """What is still to be done at a rail, ``cancel`` or ``refund`` of a named part; the row goes when it is done."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    duty = TextField()
    part = TextField()
    amount_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt", "part")


class SandboxPayment(Row):
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


class SandboxReturn(Row):
    """A part of such a payment that was given back."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    part = TextField()
    amount_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt", "part")
