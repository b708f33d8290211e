"""Operations on exceptions: entries that the backend disputed, parked or quarantined, and what people made of them.

The one rule: an exception is never edited. Its resolution is a row beside it, written once.
"""

from __future__ import annotations

from typing import Any, Final

from peewee import JOIN, ModelSelect

from backend.admin.operation import Answer, Refused
from backend.admin.words import moment
from backend.compose import Backend
from backend.database import transact
from backend.schema import Dispute, Resolution

SHOWN_MAX: Final = 1_000
NOTE_CHARACTERS_MAX: Final = 500


def every(_backend: Backend, /, *, lane: str | None = None, resolved: bool = False, limit: int = SHOWN_MAX) -> Answer:
    """Exceptions in the order in which each lane's were found: the open ones, or with ``resolved`` all."""
    query = _joined()
    if lane is not None:
        query = query.where(Dispute.lane == lane)
    if not resolved:
        query = query.where(Resolution.note.is_null())
    found = query.order_by(Dispute.lane, Dispute.sequence).limit(limit)
    return {"exceptions": [_to_json(row) for row in found], "total": query.count()}


def resolve(backend: Backend, *, lane: str, epoch: int, number: int, note: str) -> Answer:
    """Say what came of an exception. No money moves by it."""
    note = note.strip()
    if not 0 < len(note) <= NOTE_CHARACTERS_MAX:
        raise Refused(f"a note says what was done, in at most {NOTE_CHARACTERS_MAX} characters")

    def work() -> None:
        row = _joined().where(Dispute.lane == lane, Dispute.epoch == epoch, Dispute.number == number).first()
        if row is None:
            raise Refused(f"the lane {lane} has no exception {epoch}/{number}")
        if _resolution(row) is not None:
            raise Refused(f"{lane} {epoch}/{number} is resolved already: {_resolution(row).note}")
        Resolution.create(lane=lane, epoch=epoch, number=number, resolved_at=backend.clock(), note=note)

    transact(backend.database, work)
    return {"lane": lane, "epoch": epoch, "number": number, "note": note}


def _joined() -> ModelSelect[Dispute]:
    same = (
        (Resolution.lane == Dispute.lane) & (Resolution.epoch == Dispute.epoch) & (Resolution.number == Dispute.number)
    )
    return Dispute.select(Dispute, Resolution).join(Resolution, JOIN.LEFT_OUTER, on=same, attr="resolution")


def _resolution(row: Any) -> Any:
    found = getattr(row, "resolution", None)
    return found if found is not None and found.note is not None else None


def _to_json(row: Any) -> dict[str, Any]:
    resolution = _resolution(row)
    return {
        "lane": row.lane,
        "epoch": row.epoch,
        "number": row.number,
        "result": row.result,
        "reason": row.reason,
        "bearer": row.bearer,
        "lender": row.lender,
        "sale_id": row.sale_id,
        "account": bytes(row.account).hex() if row.account is not None else None,
        "amount_minor": row.amount_minor,
        "resolved_at": moment(resolution.resolved_at) if resolution else None,
        "note": resolution.note if resolution else None,
    }
