"""Sales: what became of each attempt, and the batches that close the day."""

from __future__ import annotations

from peewee import SQL, BigIntegerField, BlobField, BooleanField, CompositeKey, TextField

from backend.schema.row import Row


class Hold(Row):
    """An attempt of a sale. ``state`` is the fold of its journal entries (``core.authorization``).

    ``held_minor``: its part of the account's held. ``online_minor``: the part of that which an online answer holds and
    the lane has not confirmed yet; ``online_use_minor``: how much of it comes from the lane's lease (lease rule 5).
    ``lease_minor`` was spent of the lease of ``lease_epoch``. ``captured_minor`` became debt,
    ``refunded_minor`` of that is no debt any more; ``uncovered_minor`` was captured besides, and no account's credit
    covers it (a wallet paid, the pass's own cap, an excess), ``uncovered_refunded_minor`` of that was given back.
    ``reserved_minor`` is set aside for refunds that other lanes have asked for. What is still held ends at
    ``expires_at`` (UTC seconds), if stated; ``lapsed``: it was released here before the lane's entry said so.
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
    uncovered_minor = BigIntegerField(default=0)
    uncovered_refunded_minor = BigIntegerField(default=0)
    reserved_minor = BigIntegerField(default=0)
    expires_at = BigIntegerField(null=True)
    lapsed = BooleanField(default=False)

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")
        indexes = ((("account", "lender", "lane"), False),)


# An account has thousands of holds, and hardly ever one that is open online.
Hold.add_index(Hold.index(Hold.account, Hold.lender, where=Hold.online_use_minor > SQL("0"), name="hold_open_online"))
Hold.add_index(Hold.index(Hold.expires_at, where=Hold.expires_at.is_null(False), name="hold_expires"))


class OnlineAnswer(Row):
    """What was answered to an attempt, byte for byte. An empty ``request_hash`` is a tombstone (lease rule 6)."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    request_hash = BlobField()
    answer = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")


class ShownCode(Row):
    """A code that a lane shows for an attempt, until ``expires_at`` (UTC seconds): ``text`` is the code, ``reference``
    what an app finds it by. ``payer`` is the account that paid it, as the ``paid_number``-th of this lane's codes."""

    lane = TextField()
    lender = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    request_hash = BlobField()
    reference = TextField()
    text = TextField()
    epoch = BigIntegerField()
    amount_minor = BigIntegerField()
    category = TextField()
    shown_at = BigIntegerField()
    expires_at = BigIntegerField()
    payer = BlobField(null=True)
    paid_number = BigIntegerField(default=0)

    class Meta:
        primary_key = CompositeKey("lane", "lender", "sale_id", "attempt")
        indexes = ((("reference", "lender"), True), (("lane", "paid_number"), False))


class UsedProof(Row):
    """A phone's proof and the sale that consumed it."""

    account = BlobField()
    lender = TextField()
    cti = BlobField()
    lane = TextField()
    sale_id = TextField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "cti")


class CapUse(Row):
    """Stand-in sales under the pass's own cap: the lender's risk, never part of used or held. Approved at ``at_s``."""

    account = BlobField()
    lender = TextField()
    lane = TextField()
    sale_id = TextField()
    attempt = BigIntegerField()
    at_s = BigIntegerField()
    amount_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("account", "lender", "lane", "sale_id", "attempt")


class Claim(Row):
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


class Settlement(Row):
    """A closed batch: what the lane said, and what was answered, byte for byte."""

    lane = TextField()
    lender = TextField()
    epoch = BigIntegerField()
    batch = BigIntegerField()
    request_hash = BlobField()
    answer = BlobField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "epoch", "batch")


class SlipRefund(Row):
    """A refund that ``lane``, in ``epoch`` of its journal, asked for of another lane's sale; ``state`` is reserved,
    booked or declined. An empty ``request_hash`` is a tombstone."""

    lane = TextField()
    epoch = BigIntegerField()
    lender = TextField()
    request = TextField()
    request_hash = BlobField()
    sale_lane = TextField()
    sale_id = TextField()
    attempt = BigIntegerField(null=True)
    amount_minor = BigIntegerField()
    state = TextField()
    response_code = TextField()
    reason = TextField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "request")
