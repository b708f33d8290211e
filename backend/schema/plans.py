"""Plans: what the planner would lease to each lane, and how far it has come today."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CompositeKey, TextField

from backend.schema.row import Row


class PlannedLease(Row):
    """What an account is to be leased at a lane; accounts that are to have nothing there have no row."""

    lane = TextField()
    lender = TextField()
    account = BlobField()
    planned_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("lane", "lender", "account")
        indexes = ((("account", "lender"), False),)


class PlanRun(Row):
    """Accounts up to the token ``through`` (null: all) are planned for ``day``, counted from 1970-01-01 in UTC."""

    lender = TextField(primary_key=True)
    day = BigIntegerField()
    through = BlobField(null=True)
