"""What lanes say of themselves in heartbeats: kept, and compared with what is stored here.

The one rule: nothing of it is believed that the journal key of the lane's present device has not signed for this very
heartbeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from peewee import fn

from agent.core.lane_report import InForce, Report
from backend import lanes
from backend.database import rows
from backend.lenders import Lender
from backend.schema import Journal, LaneReport, LayerReport, SnapshotLayer
from backend.wire import Heartbeat, from_b64url, write

JOURNAL_FORGOTTEN: Final = "journal_forgotten"
LAYERS_FORGOTTEN: Final = "layers_forgotten"
DOCUMENTS_FORGOTTEN: Final = "documents_forgotten"
FORGOTTEN_VERSIONS_MAX: Final = 10_000
"""A lane that claims more cannot use up the numbers."""


def believed(beat: Heartbeat, lane: str) -> Report | None:
    """The lane's report, if its present device has signed it."""
    if beat.signature is None or beat.epoch is None:
        return None
    row = Journal.get_or_none(Journal.lane == lane, Journal.epoch == beat.epoch, Journal.state == lanes.OPEN)
    in_force = {
        lender: InForce(has.sequence, from_b64url(has.digest), has.keys, has.policy)
        for lender, has in beat.installed.items()
    }
    number, acknowledged = beat.number or 0, beat.acknowledged_through or 0
    report = Report(lane, from_b64url(beat.nonce), beat.epoch, number, acknowledged, in_force)
    is_signed = row is not None and report.is_signed_by(lanes.journal_key(row), from_b64url(beat.signature))
    return report if is_signed else None


def forgotten(report: Report, lenders: Mapping[str, Lender]) -> str | None:
    """What the lane knows that is not stored here, and that it has not told before; None if there is nothing."""
    known = LaneReport.get_or_none(LaneReport.lane == report.lane, LaneReport.epoch == report.epoch)
    told = known.acknowledged_number if known is not None else 0
    if report.acknowledged_number > max(told, lanes.journal(report.lane, report.epoch).number):
        return JOURNAL_FORGOTTEN
    for lender, has in _of_known(report, lenders):
        before = LayerReport.get_or_none(LayerReport.lane == report.lane, LayerReport.lender == lender)
        if has.sequence and (before is None or bytes(before.digest) != has.digest) and not _is_stored(report, lender):
            return LAYERS_FORGOTTEN
        if _has_newer_documents(has, before, lenders[lender]):
            return DOCUMENTS_FORGOTTEN
    return None


def note(report: Report, beat: Heartbeat, lenders: Mapping[str, Lender], *, now_s: int) -> None:
    """Keep it as the lane's newest word. To be called inside a transaction."""
    said = beat.model_dump(include={"versions", "devices", "queue_depth", "clock_offset_s"})
    numbers = {"number": report.number, "acknowledged_number": report.acknowledged_number}
    LaneReport.delete().where(LaneReport.lane == report.lane).execute()
    LaneReport.create(
        lane=report.lane, epoch=report.epoch, heard_at=now_s, said=write(said).decode().replace("\0", ""), **numbers
    )
    for lender, has in _of_known(report, lenders):
        _note_in_force(report.lane, lender, has)


def newest_documents(lender: Lender) -> tuple[int, int]:
    """The highest versions of the lender's key list and policy, of those here and those that lanes say they have: books
    that were restored may have forgotten some, and lanes take none but higher ones."""
    own = lender.key_list.version, lender.policy.version
    top = LayerReport.select(fn.MAX(LayerReport.keys_version), fn.MAX(LayerReport.policy_version))
    told = rows(top.where(LayerReport.lender == lender.lender))[0]
    likely = (min(said or 0, mine + FORGOTTEN_VERSIONS_MAX) for said, mine in zip(told, own, strict=True))
    keys, policy = (max(pair) for pair in zip(likely, own, strict=True))
    return keys, policy


def _of_known(report: Report, lenders: Mapping[str, Lender]) -> Iterator[tuple[str, InForce]]:
    """Of a lender that is not here nothing can be recovered: its keys are gone, or it never was."""
    return ((lender, has) for lender, has in report.in_force.items() if lender in lenders)


def _is_stored(report: Report, lender: str) -> bool:
    has = report.in_force[lender]
    mine = (SnapshotLayer.lane == report.lane) & (SnapshotLayer.lender == lender)
    found = rows(SnapshotLayer.select(SnapshotLayer.digest).where(mine, SnapshotLayer.sequence == has.sequence))
    return bool(found) and bytes(found[0][0]) == has.digest


def _has_newer_documents(has: InForce, before: LayerReport | None, lender: Lender) -> bool:
    keys, policy = (before.keys_version, before.policy_version) if before is not None else (0, 0)
    return has.keys_version > max(keys, lender.key_list.version) or has.policy_version > max(
        policy, lender.policy.version
    )


def _note_in_force(lane: str, lender: str, has: InForce) -> None:
    row = {"sequence": has.sequence, "digest": has.digest}
    row |= {"keys_version": has.keys_version, "policy_version": has.policy_version}
    mine = (LayerReport.lane == lane) & (LayerReport.lender == lender)
    known = LayerReport.get_or_none(mine)
    if known is None:
        LayerReport.create(lane=lane, lender=lender, **row)
    elif any(getattr(known, name) != value for name, value in row.items()):
        LayerReport.update(row).where(mine).execute()
