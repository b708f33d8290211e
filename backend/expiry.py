"""Holds that have ended by themselves: what they hold is released, even before the lane's own entry says so.

The one rule: by the lane's word and not by time (lease rule 1). A hold ends when an entry of its lender in its journal,
posted without gaps, has a horizon at or after its end; from there on an honest lane captures it no more. The hold of a
silent lane stays held.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from peewee import Database

from agent.core.authorization import OPEN
from backend import holds
from backend.database import compiled, fetch, transact
from backend.holds import Attempt
from backend.schema import Hold, Horizon

_DUE: Final = compiled(
    Hold.select(Hold.lane, Hold.lender, Hold.sale_id, Hold.attempt)
    .join(
        Horizon, on=(Horizon.lane == Hold.lane) & (Horizon.epoch == Hold.lease_epoch) & (Horizon.lender == Hold.lender)
    )
    .where(Hold.expires_at.is_null(False), Hold.expires_at <= Horizon.lease_horizon, Hold.held_minor > 0)
)


def release_due(database: Database) -> int:
    """Release what has ended; returns how many holds did. Called from time to time."""
    return sum(transact(database, partial(_release, Attempt(*row))) for row in fetch(_DUE, 0))


def _release(key: Attempt) -> bool:
    """A horizon never goes back, so what was due is; but its own entry may have come meanwhile."""
    hold = holds.find(key)
    if hold.state not in OPEN or not hold.held_minor or hold.expires_at is None:
        return False
    holds.release(hold)
    hold.lapsed = True
    holds.save(hold)
    return True
