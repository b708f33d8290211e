"""Operations on settlement: the batches that lanes closed, and where the two halves differ.

The one rule: the answer that the lane was given is shown, not a new comparison.
"""

from __future__ import annotations

import json
from typing import Any, Final

from backend.admin.operation import Answer
from backend.compose import Backend
from backend.schema import Settlement

SHOWN_MAX: Final = 500


def every(_backend: Backend, /, *, lane: str | None = None, unmatched: bool = False, limit: int = SHOWN_MAX) -> Answer:
    """Closed batches, newest of each lane first: all, or those whose halves differ."""
    query = Settlement.select()
    if lane is not None:
        query = query.where(Settlement.lane == lane)
    ordered = query.order_by(Settlement.lane, Settlement.epoch.desc(), Settlement.batch.desc())
    batches = [_to_json(row) for row in ordered.iterator()]
    differing = [batch for batch in batches if not batch["matched"]]
    shown = differing if unmatched else batches
    return {"batches": shown[:limit], "total": len(batches), "unmatched": len(differing)}


def _to_json(row: Settlement) -> dict[str, Any]:
    answer = json.loads(bytes(row.answer))
    return {
        "lane": row.lane,
        "lender": row.lender,
        "epoch": row.epoch,
        "batch": row.batch,
        "matched": answer["matched"],
        "differences": [sentence_of(each) for each in answer["differences"]],
        "totals": answer["totals"],
    }


def sentence_of(difference: Any) -> str:
    """A difference of the lane protocol as a person reads it."""
    if not isinstance(difference, dict):
        return str(difference)
    what, lane, here = difference["what"], difference["lane"], difference["backend"]
    if what == "total":
        return f"{difference['name']}: {_total(lane)} at the lane, {_total(here)} here"
    why = f" ({difference['reason']})" if difference.get("reason") else ""
    return f"{what.replace('_', ' ')} {difference['number']}: {lane} at the lane, {here} here{why}"


def _total(total: Any) -> str:
    return f"{total['count']} of {total['minor']} minor"
