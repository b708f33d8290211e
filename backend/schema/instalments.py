"""Sales in instalments, and the coupons that they use up."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CompositeKey, TextField

from backend.schema.row import Row


class PlanSale(Row):
    """What a lane disclosed of an attempt's plan, byte for byte, and what became of it: ``state`` is disclosed, sold,
    captured or undone. ``coupon`` is its text as the lane was shown it."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    account = BlobField()
    state = TextField()
    plan = TextField()
    statement = BlobField()
    coupon = TextField(null=True)

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")
        indexes = ((("account", "lender"), False),)


class CouponUse(Row):
    """The sale that uses a coupon up; both texts empty: it was declined or reversed, and the coupon is good again."""

    account = BlobField()
    lender = TextField()
    coupon = BlobField()
    lane = TextField()
    sale_id = TextField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "coupon")


class MerchantShare(Row):
    """What one journal entry laid on the merchant of a plan's fees (below zero: gave back to it), minor units; it is
    settled with the batch that the entry is in."""

    lane = TextField()
    epoch = BigIntegerField()
    number = BigIntegerField()
    lender = TextField()
    minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "epoch", "number")
