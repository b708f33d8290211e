"""Operations on lanes: where each journal stands here, its sales, and codes for new devices.

The one rule: received is what is stored and acknowledged, posted is what has taken effect; both are told.
"""

from __future__ import annotations

from typing import Any, Final

from agent.core.authorization import HoldState
from backend import enrollment
from backend import lanes as books
from backend.admin.operation import Answer
from backend.compose import Backend
from backend.database import transact
from backend.schema import Dispute, Hold, Installed, Journal, Lane, Resolution

_SALE: Final = ("lender", "sale_id", "attempt", "state", "amount_minor")


def every(_backend: Backend, /, *, lane: str | None = None) -> Answer:
    """Every journal of every lane, or of one: state, epoch, how far it is here, exceptions that nobody has resolved."""
    known = {row.lane: row for row in (Lane.select() if lane is None else [books.find(lane)])}
    journals = Journal.select() if lane is None else Journal.select().where(Journal.lane == lane)
    ordered = journals.order_by(Journal.lane, Journal.epoch.desc())
    return {"lanes": [_journal_to_json(row, known[row.lane]) for row in ordered]}


def show(_backend: Backend, /, *, lane: str) -> Answer:
    """Where a lane's current journal ends here, and its sales."""
    journal = books.journal(lane, books.find(lane).epoch)
    holds = Hold.select().where(Hold.lane == lane, Hold.state != str(HoldState.NONE))
    ordered = holds.order_by(Hold.sale_id, Hold.attempt)
    sales = [{name: getattr(hold, name) for name in _SALE} for hold in ordered]
    return {"epoch": journal.epoch, "number": journal.number, "head": bytes(journal.hash).hex(), "sales": sales}


def enroll_code(
    backend: Backend,
    *,
    lane: str,
    store: str,
    merchant: str,
    merchant_name: str,
    category: str,
    currency: str,
) -> Answer:
    """A one-time code for a new lane."""
    new = enrollment.NewLane(lane, store, merchant, merchant_name, category, currency)

    def work() -> str:
        return enrollment.create_code(new, backend.authority, now_s=backend.clock(), randomness=backend.randomness)

    return {"lane": lane, "code": transact(backend.database, work)}


def _journal_to_json(row: Journal, lane: Lane) -> dict[str, Any]:
    mine = (Installed.lane == row.lane) & (Installed.epoch == row.epoch)
    installed = {told.lender: told.sequence for told in Installed.select().where(mine).order_by(Installed.lender)}
    return {
        "lane": row.lane,
        "store": lane.store,
        "merchant": lane.merchant,
        "epoch": row.epoch,
        "state": row.state,
        "received": row.number,
        "posted": row.posted_number,
        "installed": installed,
        "exceptions": _unresolved(row),
    }


def _unresolved(row: Journal) -> int:
    return _count(Dispute, row) - _count(Resolution, row)


def _count(table: Any, row: Journal) -> int:
    return int(table.select().where(table.lane == row.lane, table.epoch == row.epoch).count())
