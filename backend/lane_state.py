"""What lanes should know by now, read off the tables for many lanes at once.

The one rule: five queries, however many lanes ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from peewee import SQL, fn

from backend import lanes as known_lanes
from backend import recalls
from backend.database import Statement, compiled, fetch
from backend.events import Fact, Recalled, State
from backend.lenders import Lender
from backend.schema import Dispute, Journal, Lane, ShownCode, SnapshotLayer


def look(lanes: Collection[str], lenders: Mapping[str, Lender]) -> dict[str, State]:
    """Lanes that are not enrolled are absent."""
    asked, facts = list(lanes), defaultdict[str, list[Fact]](list)
    recalled = defaultdict[str, list[Recalled]](list)
    states: dict[str, Any] = dict(fetch(_states(len(asked)), *asked))
    for lane, lender, number, account, reason in recalls.open_at(asked):
        recalled[lane].append(Recalled(lender, number, account, reason))
    for lane in states:
        facts[lane] += [fact for lender in lenders.values() for fact in _documents(lender)]
    for lane, lender, sequence in fetch(_snapshots(len(asked)), *asked):
        data = {"lender": lender, "sequence": sequence}
        facts[lane].append(Fact(f"snapshot/{lender}", sequence, "snapshot", data))
    for lane, sequence in fetch(_disputes(len(asked)), *asked):
        facts[lane].append(Fact("exceptions", sequence, "exceptions", {"cursor": str(sequence)}))
    for lane, lender, sale_id, attempt, number in fetch(_paid_codes(len(asked)), *asked):
        data = {"lender": lender, "sale_id": sale_id, "attempt": attempt}
        facts[lane].append(Fact("authorization", number, "authorization", data))
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


# Compiled for as many lanes as usually ask: each look is taken every second, and at every change.


@lru_cache(8)
def _states(count: int) -> Statement:
    current = (Journal.lane == Lane.lane) & (Journal.epoch == Lane.epoch)
    query = Lane.select(Lane.lane, Journal.state).join(Journal, on=current)
    return compiled(query.where(Lane.lane.in_([""] * count)))


@lru_cache(8)
def _snapshots(count: int) -> Statement:
    current = (SnapshotLayer.lane == Lane.lane) & (SnapshotLayer.epoch == Lane.epoch)
    chosen = SnapshotLayer.select(SnapshotLayer.lane, SnapshotLayer.lender, fn.MAX(SnapshotLayer.sequence))
    query = chosen.join(Lane, on=current).where(SnapshotLayer.lane.in_([""] * count))
    return compiled(query.group_by(SnapshotLayer.lane, SnapshotLayer.lender))


@lru_cache(8)
def _disputes(count: int) -> Statement:
    newest = Dispute.select(Dispute.lane, fn.MAX(Dispute.sequence)).where(Dispute.lane.in_([""] * count))
    return compiled(newest.group_by(Dispute.lane))


@lru_cache(8)
def _paid_codes(count: int) -> Statement:
    """The code of each lane that was paid last: a lane waits for one at a time."""
    newest = ShownCode.select(ShownCode.lane, fn.MAX(ShownCode.paid_number).alias("number"))
    newest = newest.where(ShownCode.lane.in_([""] * count), ShownCode.paid_number > SQL("0")).group_by(ShownCode.lane)
    columns = (ShownCode.lane, ShownCode.lender, ShownCode.sale_id, ShownCode.attempt, ShownCode.paid_number)
    same = (ShownCode.lane == newest.c.lane) & (ShownCode.paid_number == newest.c.number)
    return compiled(ShownCode.select(*columns).join(newest, on=same))
