"""A restored backend: it may have forgotten what it acknowledged and what it granted, and asks its lanes.

The one rule (lease rule 13): until every lane has told what it knows, nothing is granted and nothing authorized; and
what a lane sends again takes effect only when the layers that it was spent from are here again.

Only lanes with an open journal are waited for: of an epoch that has ended in the restored books, no layer can have been
cut after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from peewee import fn

from backend import access, certificates, lanes, refunds, reports
from backend.access import Access
from backend.database import compiled, fetch, rows
from backend.identity import LaneName
from backend.lenders import Lender
from backend.problems import Problem
from backend.schema import Journal, LaneReport, LayerReport, Recovery, SnapshotLayer
from backend.wire import Heartbeat

BY_OPERATOR: Final = "operator"
CERTIFICATE_FORGOTTEN: Final = "certificate_forgotten"
AGAIN_S: Final = 5
LANE_BEGINS_MAX: Final = 3
LANE_WINDOW_S: Final = 24 * 3600
"""How often one lane's word that something was forgotten is believed: a stolen key else keeps everybody waiting."""

# Compiled once: on the path of every sale.
_OPEN: Final = compiled(Recovery.select(Recovery.started_at).where(Recovery.ended_at.is_null()))
_HEARD: Final = compiled(LaneReport.select(LaneReport.heard_at).where(LaneReport.lane == ""))


def started_at() -> int | None:
    """Since when this backend has been recovering, UTC seconds; None if it is not."""
    found = fetch(_OPEN)
    return int(found[0][0]) if found else None


def check_over() -> None:
    """Raises Problem("recovering") while it lasts."""
    if started_at() is not None:
        raise Problem("recovering", retry_after_s=AGAIN_S)


def begin(reason: str, *, now_s: int, lane: str | None = None) -> None:
    """Start to recover; anew, if the backup was made while this backend recovered: what lanes had told by then does not
    say what was forgotten since. ``lane``: whose word it is. To be called inside a transaction."""
    Recovery.update(ended_at=now_s).where(Recovery.ended_at.is_null()).execute()
    last = Recovery.select(fn.MAX(Recovery.started_at)).scalar() or 0
    Recovery.create(started_at=max(now_s, last + 1), reason=reason, lane=lane)


def is_spent(lane: str, *, now_s: int) -> bool:
    """Whether the lane has begun it so often of late that only an operator may begin it again on its word."""
    mine = Recovery.select().where(Recovery.lane == lane, Recovery.started_at > now_s - LANE_WINDOW_S)
    return bool(mine.count() >= LANE_BEGINS_MAX)


def begun_by() -> tuple[str | None, str] | None:
    """The lane whose word began it (None: nobody's), and why; None if nothing is being recovered."""
    row = Recovery.get_or_none(Recovery.ended_at.is_null())
    return None if row is None else (row.lane, row.reason)


def spent_lanes(*, now_s: int) -> list[str]:
    """The lanes whose word begins it no more for now."""
    named = rows(Recovery.select(Recovery.lane).where(Recovery.lane.is_null(False)).distinct().order_by(Recovery.lane))
    return [lane for (lane,) in named if is_spent(lane, now_s=now_s)]


def heard(beat: Heartbeat, name: LaneName, lenders: Mapping[str, Lender], *, now_s: int) -> bool:
    """Note what a lane says of itself; whether it is believed. To be called inside a transaction.

    A lane that knows more than is stored here, and more than it has told before, proves that this backend has
    forgotten something (else); so does a certificate that it must have issued. A lane that says so too often begins
    nothing, and what it says is not kept; but once others have begun it, it is waited for and heard like any lane.
    """
    report = reports.believed(beat, name.lane)
    if report is None or report.epoch != lanes.find(name.lane).epoch:
        return False
    is_forgotten = access.of(name, now_s=now_s) is Access.FORGOTTEN
    reason = reports.forgotten(report, lenders) or (CERTIFICATE_FORGOTTEN if is_forgotten else None)
    if reason is not None:
        if not is_spent(name.lane, now_s=now_s):
            begin(reason, now_s=now_s, lane=name.lane)
        elif started_at() is None:
            return False
    if is_forgotten:
        certificates.remember(name, report.epoch)
    reports.note(report, beat, lenders, now_s=now_s)
    return True


def wanted(lane: str) -> Iterator[tuple[str, int]]:
    """The layers (lender, sequence) of the stack that the lane says it uses, which are not stored here."""
    told = LayerReport.select(LayerReport.lender, LayerReport.sequence).where(LayerReport.lane == lane)
    for lender, top in rows(told.order_by(LayerReport.lender)):
        mine = (SnapshotLayer.lane == lane) & (SnapshotLayer.lender == lender)
        stored = dict(rows(SnapshotLayer.select(SnapshotLayer.sequence, SnapshotLayer.base_sequence).where(mine)))
        if top > 0:
            yield from (
                (lender, sequence) for sequence in range(stored.get(top, top), top + 1) if sequence not in stored
            )


def holds_back() -> bool:
    """Whether no entry must take effect yet: leases may be missing, those that it was spent from, or those that lie
    on what an online answer of ours has used."""
    since = started_at()
    return since is not None and (
        _is_any_unconfirmed() or not all(_has_spoken(lane, since) for lane in lanes.in_service())
    )


def _is_any_unconfirmed() -> bool:
    return bool(Journal.select().where(Journal.state == lanes.UNCONFIRMED).exists())


def missing() -> Iterator[str]:
    """The lanes that are still waited for; those of devices that an operator must admit are among them."""
    since = started_at()
    if since is None:
        return
    waiting = Journal.select(Journal.lane).where(Journal.state == lanes.UNCONFIRMED)
    unconfirmed = {lane for (lane,) in rows(waiting)}
    heard = (lane for lane in lanes.in_service() if lane not in unconfirmed and not _has_reported(lane, since))
    yield from sorted([*unconfirmed, *heard])


def end_if_complete(*, now_s: int) -> bool:
    """End the recovery if nobody is missing any more. To be called inside a transaction."""
    if started_at() is None or next(missing(), None) is not None:
        return False
    Recovery.update(ended_at=now_s).where(Recovery.ended_at.is_null()).execute()
    return True


def write_off(lane: str, epoch: int | None = None) -> int:
    """Give up a lane's journal (default: the current one): its leases count no more, what it had set aside to refund is
    free, and it is not waited for. What surfaces later is the lender's risk, or stays in quarantine.

    The epoch; raises Problem: lane_unknown, epoch_unknown.
    """
    given_up = lanes.find(lane).epoch if epoch is None else epoch
    is_disbelieved = lanes.journal(lane, given_up).state in lanes.DISBELIEVED
    lanes.set_state(lane, given_up, lanes.QUARANTINED_WRITTEN_OFF if is_disbelieved else lanes.WRITTEN_OFF)
    refunds.give_up(lane, given_up)
    return given_up


def _has_spoken(lane: str, since: int) -> bool:
    found = fetch(_HEARD, lane)
    return bool(found) and found[0][0] >= since and next(wanted(lane), None) is None


def _has_reported(lane: str, since: int) -> bool:
    if not _has_spoken(lane, since):
        return False
    report = LaneReport.get(LaneReport.lane == lane)
    row = lanes.journal(lane, lanes.find(lane).epoch)
    is_of_this_epoch = report.epoch == row.epoch
    return is_of_this_epoch and report.acknowledged_number <= row.number == row.posted_number
