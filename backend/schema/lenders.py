"""The lenders: what they sign with, and what is in force."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CompositeKey, TextField

from backend.schema.row import Row


class Lender(Row):
    """Who gives the credit. ``key_list`` and ``policy`` are the signed documents in force; ``fee_basis_points`` is what
    a merchant pays of each captured amount, in hundredths of a percent."""

    lender = TextField(primary_key=True)
    name = TextField()
    currency = TextField()
    key_list = BlobField()
    policy = BlobField()
    fee_basis_points = BigIntegerField(default=60)


class Contract(Row):
    """A merchant whose lanes the lender serves. A lender without a row here serves every merchant's."""

    lender = TextField()
    merchant = TextField()

    class Meta:
        primary_key = CompositeKey("lender", "merchant")


class LenderKey(Row):
    """A lender's private keys by role: root, credential, policy, snapshot, time (PKCS #8 PEM)."""

    lender = TextField()
    role = TextField()
    pem = BlobField()

    class Meta:
        primary_key = CompositeKey("lender", "role")


class KeptPolicy(Row):
    """Every policy that a lender has published, as signed: a lane's decision is explained by the one of its time."""

    lender = TextField()
    version = BigIntegerField()
    data = BlobField()

    class Meta:
        primary_key = CompositeKey("lender", "version")
