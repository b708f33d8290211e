"""What lanes should know by now, read off the tables for many lanes at once.

The one rule: four queries, however many lanes ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from peewee import fn

from backend import lanes as known_lanes
from backend import recalls
from backend.database import rows
from backend.events import Fact, Recalled, State
from backend.lenders import Lender
from backend.schema import Dispute, Journal, Lane, SnapshotLayer


def look(lanes: Collection[str], lenders: Mapping[str, Lender]) -> dict[str, State]:
    """Lanes that are not enrolled are absent."""
    asked, facts = list(lanes), defaultdict[str, list[Fact]](list)
    recalled = defaultdict[str, list[Recalled]](list)
    states = dict(rows(_states(asked)))
    for row in recalls.open_at(asked):
        account = None if row.account is None else bytes(row.account)
        recalled[row.lane].append(Recalled(row.lender, row.number, account, row.reason))
    for lane in states:
        facts[lane] += [fact for lender in lenders.values() for fact in _documents(lender)]
    for lane, lender, sequence in rows(_snapshots(asked)):
        data = {"lender": lender, "sequence": sequence}
        facts[lane].append(Fact(f"snapshot/{lender}", sequence, "snapshot", data))
    for lane, sequence in rows(_disputes(asked)):
        facts[lane].append(Fact("exceptions", sequence, "exceptions", {"cursor": str(sequence)}))
    for lane, state in states.items():
        if state != known_lanes.OPEN:
            facts[lane] = [Fact("revoked", 1, "revoked", {})]
    return {lane: State(tuple(facts[lane]), tuple(recalled[lane])) for lane in states}


def _documents(lender: Lender) -> list[Fact]:
    versions = {"keys": lender.key_list.version, "policy": lender.policy.version}
    return [
        Fact(f"{kind}/{lender.lender}", version, kind, {"lender": lender.lender, "version": version})
        for kind, version in versions.items()
    ]


def _states(lanes: list[str]) -> object:
    current = (Journal.lane == Lane.lane) & (Journal.epoch == Lane.epoch)
    return Lane.select(Lane.lane, Journal.state).join(Journal, on=current).where(Lane.lane.in_(lanes))


def _snapshots(lanes: list[str]) -> object:
    current = (SnapshotLayer.lane == Lane.lane) & (SnapshotLayer.epoch == Lane.epoch)
    chosen = SnapshotLayer.select(SnapshotLayer.lane, SnapshotLayer.lender, fn.MAX(SnapshotLayer.sequence))
    return (
        chosen.join(Lane, on=current)
        .where(SnapshotLayer.lane.in_(lanes))
        .group_by(SnapshotLayer.lane, SnapshotLayer.lender)
    )


def _disputes(lanes: list[str]) -> object:
    return Dispute.select(Dispute.lane, fn.MAX(Dispute.sequence)).where(Dispute.lane.in_(lanes)).group_by(Dispute.lane)
