"""Accounts, the movements of their money, and where their owners shop."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, BooleanField, CompositeKey, TextField

from backend.schema.row import Row


class Account(Row):
    """A credit account. Whatever changes its money changes its ``revision`` (compare and set), a grant too.

    ``edition`` counts the changes that lanes should hear of: a lane's record of an older one is out of date.
    ``limit_cut``: the limit was set below what was already promised; the account may then stand above its limit.
    ``fee_minor``: what the customer owes for instalments, outside of the limit.
    ``purpose_bound``: the policy excludes categories for this credit.
    """

    token = BlobField()
    lender = TextField()
    limit_minor = BigIntegerField()
    used_minor = BigIntegerField(default=0)
    held_minor = BigIntegerField(default=0)
    fee_minor = BigIntegerField(default=0)
    blocked = BooleanField(default=False)
    step_up = BooleanField(default=False)
    purpose_bound = BooleanField(default=False)
    tier = BigIntegerField(default=1)
    revision = BigIntegerField(default=1)
    edition = BigIntegerField(default=1)
    limit_cut = BooleanField(default=False)

    class Meta:
        primary_key = CompositeKey("token", "lender")
        indexes = ((("lender", "token"), True),)


class Posting(Row):
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


class Visit(Row):
    """A past purchase of an account, for planning where it will shop; no money of the ledger."""

    account = BlobField()
    lender = TextField()
    at_s = BigIntegerField()
    store = TextField()
    lane = TextField()
    amount_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "at_s")


class RecentMove(Row):
    """A ``sale`` of an account at any lane, or a ``refund``, for the windows of the policy's rules; no money of the
    ledger. ``number`` tells several of one attempt apart. A sale has the place of its store, if that is known."""

    account = BlobField()
    lender = TextField()
    lane = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    number = BigIntegerField()
    what = TextField()
    at_s = BigIntegerField()
    amount_minor = BigIntegerField()
    latitude_udeg = BigIntegerField(null=True)
    longitude_udeg = BigIntegerField(null=True)

    class Meta:
        primary_key = CompositeKey("account", "lender", "lane", "sale_id", "attempt", "number")
        indexes = ((("account", "lender", "at_s"), False),)
