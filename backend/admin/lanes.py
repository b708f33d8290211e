"""Operations on lanes: where each journal stands here, its sales, and what becomes of its device.

The one rule: received is what is stored and acknowledged, posted is what has taken effect; both are told.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

from peewee import fn

from agent.core.authorization import HoldState
from agent.core.snapshot_manifest import NAME
from backend import access, enrollment, recovery, strangers
from backend import lanes as books
from backend.admin.operation import Answer, Refused
from backend.admin.words import moment
from backend.compose import Backend
from backend.database import transact
from backend.enrollment import NewLane
from backend.schema import (
    Certificate,
    Dispute,
    EnrollmentCode,
    Hold,
    Installed,
    Journal,
    Lane,
    LaneReport,
    Resolution,
)
from backend.standstills import Standstills
from backend.strangers import NoStranger

Answered = TypeVar("Answered")
_SALE: Final = ("lender", "sale_id", "attempt", "state", "amount_minor")


def every(backend: Backend, /, *, lane: str | None = None) -> Answer:
    """Every journal of every lane, or of one: state, epoch, how far it is here and where it stands still, exceptions
    that nobody has resolved."""
    known = {row.lane: row for row in (Lane.select() if lane is None else [books.find(lane)])}
    journals = Journal.select() if lane is None else Journal.select().where(Journal.lane == lane)
    ordered = journals.order_by(Journal.lane, Journal.epoch.desc())
    return {"lanes": [_journal_to_json(row, known[row.lane], backend.stopped) for row in ordered]}


def show(_backend: Backend, /, *, lane: str) -> Answer:
    """Where a lane's current journal ends here, and its sales."""
    journal = books.journal(lane, books.find(lane).epoch)
    holds = Hold.select().where(Hold.lane == lane, Hold.state != str(HoldState.NONE))
    ordered = holds.order_by(Hold.sale_id, Hold.attempt)
    sales = [{name: getattr(hold, name) for name in _SALE} for hold in ordered]
    return {"epoch": journal.epoch, "number": journal.number, "head": bytes(journal.hash).hex(), "sales": sales}


def enroll_code(
    backend: Backend, *, lane: str, store: str, merchant: str, merchant_name: str, category: str, currency: str
) -> Answer:
    """A one-time code for a new lane."""
    for name in (lane, store, merchant):
        if NAME.fullmatch(name) is None:
            raise Refused(f"{name!r} is no name for a lane, a store or a merchant: {NAME.pattern}")
    return _code(backend, NewLane(lane, store, merchant, merchant_name, category, currency))


def replace(backend: Backend, *, lane: str, compromised: bool = False) -> Answer:
    """A one-time code for the next device of a lane. When it is used, the device of today may only send what it still
    has; ``compromised``, and none of that is believed."""
    row = books.find(lane)
    codes = EnrollmentCode.select().where(EnrollmentCode.lane == lane, EnrollmentCode.answer.is_null(False))
    last = codes.order_by(EnrollmentCode.expires_at.desc()).first()
    if last is None:
        raise Refused(f"the lane {lane} was not enrolled by a code; nothing is known of its merchant")
    new = NewLane(lane, row.store, row.merchant, last.merchant_name, last.category, last.currency)
    return _code(backend, new, replace=True, compromised=compromised)


def revoke(backend: Backend, *, lane: str, compromised: bool = False, epoch: int | None = None) -> Answer:
    """End the right of a lane's device to act: of the present one, or of the one that writes ``epoch``. What it still
    sends is posted, or if it was compromised quarantined."""
    if epoch is not None and books.journal(lane, epoch).state == books.UNCONFIRMED:
        raise Refused(f"a device of {lane} waits to be admitted; say no to it with: lane refuse {lane} --epoch {epoch}")
    epochs = transact(backend.database, lambda: access.revoke(lane, compromised=compromised, epoch=epoch))
    return {"lane": lane, "epochs": epochs, "state": books.QUARANTINED if compromised else books.DRAINING}


def write_off(backend: Backend, *, lane: str, epoch: int | None = None) -> Answer:
    """Give a journal up: its leases count no more, refunds that it had set aside are free for others, and what still
    surfaces is the lender's risk."""
    chosen = books.journal(lane, books.find(lane).epoch if epoch is None else epoch)
    if chosen.state == books.UNCONFIRMED:
        raise Refused(f"{lane} waits to be admitted or refused with epoch {chosen.epoch}: lane admit, or lane refuse")
    if chosen.state == books.OPEN:
        raise Refused(f"{lane} still sells in epoch {chosen.epoch}; end its right to with: lane revoke {lane}")
    transact(backend.database, lambda: recovery.write_off(lane, chosen.epoch))
    return {"lane": lane, "epoch": chosen.epoch, "state": books.journal(lane, chosen.epoch).state}


def admit(backend: Backend, *, lane: str, epoch: int | None = None, compromised: bool = False) -> Answer:
    """Vouch for a device that the books have forgotten. The one before it may only send what it has; ``compromised``,
    and none of that is believed."""
    chosen = _newest_waiting(lane) if epoch is None else epoch
    state = _stranger(backend, lambda: strangers.admit(lane, chosen, compromised=compromised))
    return {"lane": lane, "epoch": chosen, "state": state}


def refuse(backend: Backend, *, lane: str, epoch: int | None = None) -> Answer:
    """Say that nobody vouches for it: what it sent, and still sends, is quarantined."""
    chosen = _newest_waiting(lane) if epoch is None else epoch
    _stranger(backend, lambda: strangers.refuse(lane, chosen, now_s=backend.clock()))
    return {"lane": lane, "epoch": chosen, "state": books.journal(lane, chosen).state}


def _stranger(backend: Backend, work: Callable[[], Answered]) -> Answered:
    try:
        return transact(backend.database, work)
    except NoStranger as none:
        raise Refused(str(none)) from None


def _newest_waiting(lane: str) -> int:
    waiting = [epoch for of, epoch, _ in strangers.waiting() if of == lane]
    if not waiting:
        raise Refused(f"no device of {lane} waits to be admitted")
    return waiting[-1]


def _code(backend: Backend, lane: NewLane, **how: bool) -> Answer:
    def work() -> str:
        now_s, randomness = backend.clock(), backend.randomness
        return enrollment.create_code(lane, backend.authority, now_s=now_s, randomness=randomness, **how)

    return {"lane": lane.lane, "code": transact(backend.database, work)}


def _journal_to_json(row: Journal, lane: Lane, stopped: Standstills) -> dict[str, Any]:
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
        "stopped": stopped.of(row),
        "installed": installed,
        **_last_heard(row),
        "certificate_until": _certificate_until(row),
        "exceptions": _count(Dispute, row) - _count(Resolution, row),
    }


def _last_heard(row: Journal) -> dict[str, Any]:
    """What the lane said of itself in its last heartbeat, if that was about this journal."""
    report = LaneReport.get_or_none(LaneReport.lane == row.lane, LaneReport.epoch == row.epoch)
    if report is None:
        return {"queue": None, "heard_at": None}
    return {"queue": json.loads(report.said).get("queue_depth"), "heard_at": moment(report.heard_at)}


def _certificate_until(row: Journal) -> str | None:
    """End of the newest certificate of the device that began with this epoch."""
    mine = (Certificate.lane == row.lane) & (Certificate.epoch == row.epoch)
    until = Certificate.select(fn.MAX(Certificate.expires_at)).where(mine).scalar()
    return None if until is None else moment(until)


def _count(table: Any, row: Journal) -> int:
    return int(table.select().where(table.lane == row.lane, table.epoch == row.epoch).count())
