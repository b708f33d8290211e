"""Lanes as the backend knows them.

The one rule: a lane that is not enrolled gets nothing, whatever its certificate says.
"""

from __future__ import annotations

from backend.database import load, selecting
from backend.problems import Problem
from backend.schema import Lane

_FIND = selecting(Lane, Lane.lane == "")  # compiled once: it is on the path of every request


def find(lane: str) -> Lane:
    """The lane and the head of its journal. Raises Problem("lane_unknown")."""
    row = load(Lane, _FIND, lane)
    if row is None:
        raise Problem("lane_unknown", lane)
    return row


def of_epoch(lane: str, epoch: int) -> Lane:
    """The lane, if ``epoch`` is the one that its journal is in. Raises Problem: lane_unknown, epoch_unknown."""
    row = find(lane)
    if row.epoch != epoch:
        raise Problem("epoch_unknown", f"epoch {epoch}, this lane writes epoch {row.epoch}", epoch=row.epoch)
    return row
