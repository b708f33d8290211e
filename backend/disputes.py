"""Entries that people must look at, written down as they are found.

The one rule: the disputes of a lane are numbered 1, 2, 3 … in the order in which they are found, so that whoever has
read some asks for what comes after. To be called inside the transaction that finds them.
"""

from __future__ import annotations

from typing import Any, Final

from peewee import fn

from agent.core.journal import Entry
from backend.database import change, compiled, fetch, inserting
from backend.entries import shown
from backend.postings import Result
from backend.schema import Dispute

_NEWEST: Final = compiled(Dispute.select(fn.MAX(Dispute.sequence)).where(Dispute.lane == ""))
_RECORD: Final = inserting(Dispute)
_COLUMNS: Final = tuple(Dispute._meta.sorted_field_names)


def record(lane: str, epoch: int, number: int, entry: Entry | None, result: Result) -> None:
    """Write one down at once, whatever page is open. ``entry`` is None if its bytes cannot be read."""
    told: dict[str, Any] = {
        **{"lane": lane, "epoch": epoch, "number": number, "sequence": _newest(lane) + 1},
        **{"result": result.result, "reason": result.reason, "bearer": result.bearer},
        **{"lender": entry and shown(entry.lender), "sale_id": entry and shown(entry.sale_id)},
        **{"account": result.account, "amount_minor": result.minor},
    }
    change(_RECORD, *(told[name] for name in _COLUMNS))


def _newest(lane: str) -> int:
    return fetch(_NEWEST, lane)[0][0] or 0
