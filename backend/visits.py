"""Visits: where accounts shop, as sales tell of it; the planner reads them.

The one rule: a visit is no money. It is noted once for each account and second, and nothing depends on its being there.
"""

from __future__ import annotations

from typing import Final

from backend import lanes
from backend.database import inserting, put
from backend.schema import Visit

_NOTE: Final = inserting(Visit, "IGNORE")


def note(account: bytes, lender: str, lane: str, at_s: int, amount_minor: int) -> None:
    """A lane's journal told of an approved sale. To be called inside a transaction."""
    row = {"account": account, "lender": lender, "at_s": at_s, "store": lanes.find(lane).store, "lane": lane}
    put(Visit, _NOTE, row | {"amount_minor": amount_minor})
