"""A restored backend: it may have forgotten what it acknowledged and what it granted, and asks its lanes.

The one rule (lease rule 13): until every lane has told what it knows, nothing is granted and nothing authorized; and
what a lane sends again takes effect only when the layers that it was spent from are here again.

Only lanes with an open journal are waited for: of an epoch that has ended in the restored books, no layer can have been
cut after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from peewee import fn

from backend import lanes, snapshots
from backend.database import compiled, fetch, rows
from backend.problems import Problem
from backend.schema import LaneReport, LayerReport, Recovery, SnapshotLayer
from backend.wire import Heartbeat, write

BY_OPERATOR: Final = "operator"
JOURNAL_FORGOTTEN: Final = "journal_forgotten"
LAYERS_FORGOTTEN: Final = "layers_forgotten"
AGAIN_S: Final = 5

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


def begin(reason: str, *, now_s: int) -> None:
    """Start to recover; anew, if the backup was made while this backend recovered: what lanes had told by then does not
    say what was forgotten since. To be called inside a transaction."""
    Recovery.update(ended_at=now_s).where(Recovery.ended_at.is_null()).execute()
    last = Recovery.select(fn.MAX(Recovery.started_at)).scalar() or 0
    Recovery.create(started_at=max(now_s, last + 1), reason=reason)


def heard(beat: Heartbeat, lane: str, *, now_s: int) -> list[dict[str, object]]:
    """Note what a lane says of itself; the layers that it should send. To be called inside a transaction.

    A lane that knows more than is stored here, and more than it has told before, proves that this backend has
    forgotten something (else).
    """
    epoch = lanes.find(lane).epoch
    forgotten = _proven(beat, lane, epoch)
    for lender, sequence in beat.installed.items():
        _note_layer(lane, lender, sequence)
    if beat.epoch == epoch:
        _note(beat, lane, now_s)
    if forgotten is not None:
        begin(forgotten, now_s=now_s)
    if started_at() is None:
        return []
    return [{"lender": lender, "sequence": sequence} for lender, sequence in wanted(lane)]


def wanted(lane: str) -> Iterator[tuple[str, int]]:
    """The layers (lender, sequence) of the stack that the lane says it uses, which are not stored here."""
    reports = LayerReport.select(LayerReport.lender, LayerReport.sequence).where(LayerReport.lane == lane)
    for lender, top in rows(reports.order_by(LayerReport.lender)):
        mine = (SnapshotLayer.lane == lane) & (SnapshotLayer.lender == lender)
        stored = dict(rows(SnapshotLayer.select(SnapshotLayer.sequence, SnapshotLayer.base_sequence).where(mine)))
        if top > 0:
            yield from (
                (lender, sequence) for sequence in range(stored.get(top, top), top + 1) if sequence not in stored
            )


def holds_back(lane: str) -> bool:
    """Whether entries of the lane must not take effect yet: the leases that they were spent from may be missing."""
    since = started_at()
    return since is not None and not _has_spoken(lane, since)


def missing() -> Iterator[str]:
    """The lanes that are still waited for."""
    since = started_at()
    if since is None:
        return
    yield from (lane for lane in lanes.in_service() if not _has_reported(lane, since))


def end_if_complete(*, now_s: int) -> bool:
    """End the recovery if nobody is missing any more. To be called inside a transaction."""
    if started_at() is None or next(missing(), None) is not None:
        return False
    Recovery.update(ended_at=now_s).where(Recovery.ended_at.is_null()).execute()
    return True


def write_off(lane: str, epoch: int | None = None) -> int:
    """Give up a lane's journal (default: the current one): its leases count no more, and it is not waited for. What
    surfaces later is the lender's risk, or stays in quarantine. The epoch; raises Problem: lane_unknown, epoch_unknown.
    """
    given_up = lanes.find(lane).epoch if epoch is None else epoch
    is_disbelieved = lanes.journal(lane, given_up).state in lanes.DISBELIEVED
    lanes.set_state(lane, given_up, lanes.QUARANTINED_WRITTEN_OFF if is_disbelieved else lanes.WRITTEN_OFF)
    return given_up


def _proven(beat: Heartbeat, lane: str, epoch: int) -> str | None:
    layers = dict(rows(LayerReport.select(LayerReport.lender, LayerReport.sequence).where(LayerReport.lane == lane)))
    for lender, sequence in beat.installed.items():
        if sequence > max(layers.get(lender, 0), snapshots.newest_stored(lane, lender)):
            return LAYERS_FORGOTTEN
    report = LaneReport.get_or_none(LaneReport.lane == lane)
    told = report.acknowledged_number if report is not None and report.epoch == epoch else 0
    is_ahead = beat.epoch == epoch and (beat.acknowledged_through or 0) > max(told, lanes.journal(lane, epoch).number)
    return JOURNAL_FORGOTTEN if is_ahead else None


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


def _note(beat: Heartbeat, lane: str, now_s: int) -> None:
    said = beat.model_dump(include={"versions", "devices", "queue_depth", "clock_offset_s"})
    report = {"lane": lane, "epoch": beat.epoch, "number": beat.number or 0, "heard_at": now_s}
    report |= {"acknowledged_number": beat.acknowledged_through or 0, "said": write(said).decode().replace("\0", "")}
    LaneReport.delete().where(LaneReport.lane == lane).execute()
    LaneReport.create(**report)


def _note_layer(lane: str, lender: str, sequence: int) -> None:
    mine = (LayerReport.lane == lane) & (LayerReport.lender == lender)
    known = LayerReport.get_or_none(mine)
    if known is None:
        LayerReport.create(lane=lane, lender=lender, sequence=sequence)
    elif known.sequence != sequence:
        LayerReport.update(sequence=sequence).where(mine).execute()
