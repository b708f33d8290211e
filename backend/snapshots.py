"""Credit snapshots for lanes: bases and deltas, and the grants that come with them.

The one rule (lease rule 3): how far the lane's journal is included is read before any figure, and every account that
changed since the lane's last layer is in the next one.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from peewee import ModelSelect, fn

from agent.core.snapshot_builder import VALID_UNIT_S, build_layer
from agent.core.snapshot_layer import ALLOWANCE_MAX_MINOR, Record
from agent.core.snapshot_manifest import Manifest
from agent.core.snapshot_reader import DELTAS_MAX
from backend import accounts, allowances, lanes, recalls
from backend.database import rows
from backend.lenders import Lender
from backend.problems import Problem
from backend.schema import Account, Lane, LeaseGrant, SnapshotLayer

DAY_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Plan:
    """How layers are cut: an equal share for every account at every lane, and how long it lasts.

    ``lease_life_s`` is kept below 255 hours, the most that a layer can express in its unit of one hour.
    """

    allowance_minor: int
    lease_life_s: int = 2 * DAY_S
    soft_age_s: int = DAY_S
    hard_age_s: int = 3 * DAY_S
    origin: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if not 0 <= self.allowance_minor <= ALLOWANCE_MAX_MINOR:
            raise ValueError(f"an allowance is between 0 and {ALLOWANCE_MAX_MINOR} minor units")
        if not VALID_UNIT_S <= self.lease_life_s <= 255 * VALID_UNIT_S:
            raise ValueError("a lease lasts between 1 and 255 hours")

    @property
    def refresh_s(self) -> int:
        """Age at which a new base is due, so that neither leases nor layers end at a lane that listens."""
        return min(self.lease_life_s, self.soft_age_s) // 2


@dataclass(frozen=True, slots=True)
class Cut:
    """A layer that has been begun: its place in the stack, and what it includes of the lane's journal."""

    lane: Lane
    lender: Lender
    sequence: int
    below: SnapshotLayer | None
    applied_number: int
    now_s: int


def refresh(lane: str, lender: Lender, plan: Plan, *, now_s: int) -> SnapshotLayer | None:
    """Build what the lane needs: a base at first, when the stack is full or old; a delta when accounts changed;
    None when nothing did. To be called inside a transaction."""
    layers = stack(lane, lender.lender)
    is_old = not layers or len(layers) > DELTAS_MAX or now_s - layers[0].built_at >= plan.refresh_s
    if is_old or recalls.base_is_due(lane, lender.lender, layers[0].sequence):
        return build(lane, lender, plan, is_base=True, now_s=now_s)
    if _changed(lane, lender.lender).exists():
        return build(lane, lender, plan, is_base=False, now_s=now_s)
    return None


def build(lane: str, lender: Lender, plan: Plan, *, is_base: bool, now_s: int) -> SnapshotLayer:
    """Cut one layer and store it with its grants. To be called inside a transaction: either all of it is there,
    or nothing was granted. Raises Problem("lane_unknown")."""
    return fill(begin(lane, lender, is_base=is_base, now_s=now_s), plan)


def begin(lane: str, lender: Lender, *, is_base: bool, now_s: int) -> Cut:
    """Lease rule 3: note how far the journal is included, before any figure is read."""
    row = lanes.find(lane)
    applied_number = lanes.journal(lane, row.epoch).posted_number
    layers = stack(lane, lender.lender)
    below = layers[-1] if layers and not is_base else None
    return Cut(row, lender, _newest(lane, lender.lender) + 1, below, applied_number, now_s)


def fill(cut: Cut, plan: Plan) -> SnapshotLayer:
    """Grant, build, sign and store."""
    lane, lender = cut.lane.lane, cut.lender.lender
    is_base = cut.below is None
    # As a list: the grants that are written on the way change what the query would see.
    chosen = list(accounts.every(lender) if is_base else iter(_changed(lane, lender)))
    out = io.BytesIO()
    manifest = _manifest(cut, plan)
    digest = build_layer(_records(chosen, cut, plan), len(chosen), manifest, cut.lender.sign_snapshot, out)
    data = out.getvalue()
    return SnapshotLayer.create(
        lane=lane,
        lender=lender,
        sequence=cut.sequence,
        epoch=cut.lane.epoch,
        base_sequence=manifest.base_sequence,
        built_at=cut.now_s,
        digest=digest,
        sha256=hashlib.sha256(data).digest(),
        size=len(data),
        data=data,
    )


def stack(lane: str, lender: str) -> list[SnapshotLayer]:
    """The layers that the lane should have in its current epoch, bottom first, without their data."""
    epoch = Lane.select(Lane.epoch).where(Lane.lane == lane)
    mine = (SnapshotLayer.lane == lane) & (SnapshotLayer.lender == lender) & (SnapshotLayer.epoch == epoch)
    base = SnapshotLayer.select(fn.MAX(SnapshotLayer.base_sequence)).where(mine).scalar()
    fields = [field for name, field in SnapshotLayer._meta.fields.items() if name != "data"]
    return list(
        SnapshotLayer.select(*fields)
        .where(mine, SnapshotLayer.sequence >= (base or 0))
        .order_by(SnapshotLayer.sequence)
    )


def exists(lane: str, lender: str, sequence: int) -> bool:
    """Whether this layer was ever cut for the lane."""
    return 0 < sequence < 2**53 and _find(lane, lender, sequence) is not None


def _newest(lane: str, lender: str) -> int:
    """The highest sequence ever used, in whatever epoch; 0 if none."""
    mine = (SnapshotLayer.lane == lane) & (SnapshotLayer.lender == lender)
    return SnapshotLayer.select(fn.MAX(SnapshotLayer.sequence)).where(mine).scalar() or 0


def layer_bytes(lane: str, lender: str, sequence: int) -> bytes:
    """The file of one layer. Raises Problem("snapshot_none")."""
    row = _find(lane, lender, sequence, SnapshotLayer.data)
    if row is None:
        raise Problem("snapshot_none")
    return bytes(row[0])


def _find(lane: str, lender: str, sequence: int, *fields: Any) -> tuple[Any, ...] | None:
    query = SnapshotLayer.select(*(fields or (SnapshotLayer.sequence,))).where(
        SnapshotLayer.lane == lane, SnapshotLayer.lender == lender, SnapshotLayer.sequence == sequence
    )
    return next(iter(rows(query)), None)


def _records(chosen: list[Account], cut: Cut, plan: Plan) -> Iterator[Record]:
    valid_until_s = cut.now_s + plan.lease_life_s
    withheld = recalls.withheld(cut.lane.lane, cut.lender.lender)
    for account in chosen:
        granted = allowances.grant(
            account,
            cut.lane.lane,
            cut.lane.epoch,
            sequence=cut.sequence,
            planned_minor=0 if bytes(account.token) in withheld else plan.allowance_minor,
            applied_number=cut.applied_number,
            valid_until_s=valid_until_s,
        )
        yield Record(
            token=bytes(account.token),
            allowance_minor=granted,
            valid_until_s=valid_until_s,
            tier=account.tier,
            blocked=account.blocked,
            step_up=account.step_up,
        )


def _manifest(cut: Cut, plan: Plan) -> Manifest:
    below = cut.below
    return Manifest(
        lender=cut.lender.lender,
        merchant=cut.lane.merchant,
        store=cut.lane.store,
        lane=cut.lane.lane,
        lease_epoch=cut.lane.epoch,
        sequence=cut.sequence,
        base_sequence=below.base_sequence if below else cut.sequence,
        below=bytes(below.digest) if below else None,
        built_at=cut.now_s,
        soft_age_s=plan.soft_age_s,
        hard_age_s=plan.hard_age_s,
        applied_through={cut.lane.lane: (cut.lane.epoch, cut.applied_number)},
        currency=cut.lender.currency,
        policy_version=cut.lender.policy.version,
        origin=plan.origin,
    )


def _changed(lane: str, lender: str) -> ModelSelect[Account]:
    """Accounts whose figures changed since the lane's newest grant of them was written."""
    epoch = Lane.select(Lane.epoch).where(Lane.lane == lane)
    told = LeaseGrant.select().where(
        LeaseGrant.lane == lane,
        LeaseGrant.lender == lender,
        LeaseGrant.account == Account.token,
        LeaseGrant.epoch == epoch,
        LeaseGrant.edition >= Account.edition,
    )
    return Account.select().where(Account.lender == lender, ~fn.EXISTS(told)).order_by(Account.token)
