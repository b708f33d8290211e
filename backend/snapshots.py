"""Credit snapshots for lanes: bases and deltas, and the grants that come with them.

The one rule (lease rule 3): how far the lane's journal is included is read before any figure, and every account that
changed since the lane's last layer is in the next one.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from peewee import Database, ModelSelect, fn

from agent.core.snapshot_builder import VALID_UNIT_S, build_layer
from agent.core.snapshot_layer import ALLOWANCE_MAX_MINOR, Record
from agent.core.snapshot_manifest import Manifest
from agent.core.snapshot_reader import DELTAS_MAX
from agent.core.travel import Place, offset_km
from backend import accounts, allowances, lanes, moves, places, recalls
from backend.database import grouped, inserting, put, rows, transact
from backend.lenders import Lender
from backend.places import NOWHERE, Site
from backend.planner import plans
from backend.planner.rules import Rules
from backend.problems import Problem
from backend.schema import Account, Cutting, Lane, LayerReport, LeaseGrant, PlannedLease, SnapshotLayer

DAY_S: Final = 24 * 3600

CUTTING_MAX_S: Final = 300
"""How long another process may take to cut a layer before it counts as dead."""

_BEGIN: Final = inserting(Cutting, "REPLACE")


@dataclass(frozen=True, slots=True)
class Plan:
    """How layers are cut: who is leased how much, and how long it lasts.

    Without ``rules`` every account has ``allowance_minor`` at every lane. With them, accounts have what the planner
    says, and a layer holds only those that have something there, had it lately, or are blocked: the lane knows no
    more than it must, and whoever it does not know may still have the cap of their pass.
    ``lease_life_s`` is kept below 255 hours, the most that a layer can express in its unit of one hour.
    """

    allowance_minor: int = 0
    lease_life_s: int = 2 * DAY_S
    soft_age_s: int = DAY_S
    hard_age_s: int = 3 * DAY_S
    rules: Rules | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.allowance_minor <= ALLOWANCE_MAX_MINOR:
            raise ValueError(f"an allowance is between 0 and {ALLOWANCE_MAX_MINOR} minor units")
        if not VALID_UNIT_S <= self.lease_life_s <= 255 * VALID_UNIT_S:
            raise ValueError("a lease lasts between 1 and 255 hours")

    @property
    def refresh_s(self) -> int:
        """Age at which a new base is due, so that neither leases nor layers end at a lane that listens."""
        return min(self.lease_life_s, self.soft_age_s) // 2

    def wanted(self, lane: str, lender: str) -> Callable[[bytes], int]:
        """What an account is to be leased at a lane, by its token."""
        if self.rules is None:
            return lambda _token: self.allowance_minor
        planned = plans.amounts(lane, lender)
        return lambda token: planned.get(token, 0)

    def leasable_minor(self, account: Account) -> int:
        """The most that all leases of the account together may be."""
        limit: int = account.limit_minor
        if self.rules is None:
            return limit
        return self.rules.leasable_minor(limit - account.used_minor - account.held_minor)


@dataclass(frozen=True, slots=True)
class Cut:
    """A layer that has been begun: its place in the stack, and what it includes of the lane's journal."""

    lane: Lane
    lender: Lender
    sequence: int
    below: SnapshotLayer | None
    applied_number: int
    now_s: int
    site: Site

    @property
    def origin(self) -> Place:
        return self.site.place or NOWHERE


def refresh(database: Database, lane: str, lender: Lender, plan: Plan, *, now_s: int) -> SnapshotLayer | None:
    """Build what the lane needs: a base at first, when the stack is full or old; a delta when accounts changed;
    None when nothing did, or when another process is at it."""
    layers = stack(lane, lender.lender)
    if _base_is_due(layers, plan, now_s):
        return build(database, lane, lender, plan, is_base=True, now_s=now_s)
    return _delta(database, layers, lender, plan, now_s)


def top_up(database: Database, lane: str, lender: Lender, plan: Plan, *, now_s: int) -> SnapshotLayer | None:
    """A delta at once, for a lane that asks for more. None where a base is due: a lane that asks often must not have
    all of its accounts granted again each time, so that one comes with the next ``refresh``."""
    layers = stack(lane, lender.lender)
    return None if _base_is_due(layers, plan, now_s) else _delta(database, layers, lender, plan, now_s)


def _base_is_due(layers: list[SnapshotLayer], plan: Plan, now_s: int) -> bool:
    if not layers or len(layers) > DELTAS_MAX or now_s - layers[0].built_at >= plan.refresh_s:
        return True
    base = layers[0]
    is_moved = _origin_of(base) != (places.of_lane(base.lane).place or NOWHERE)
    return is_moved or recalls.base_is_due(base.lane, base.lender, base.sequence)


def _delta(
    database: Database, layers: list[SnapshotLayer], lender: Lender, plan: Plan, now_s: int
) -> SnapshotLayer | None:
    lane = layers[0].lane
    if not _changed(lane, lender.lender, plan, layers[0].sequence).exists():
        return None
    return build(database, lane, lender, plan, is_base=False, now_s=now_s)


def build(
    database: Database, lane: str, lender: Lender, plan: Plan, *, is_base: bool, now_s: int
) -> SnapshotLayer | None:
    """Cut one layer and store it with its grants; None if another process cuts for this lane now.

    Raises Problem("lane_unknown").
    """
    with grouped(database):
        cut = transact(database, lambda: begin(lane, lender, is_base=is_base, now_s=now_s))
        return fill(database, cut, plan) if cut else None


def begin(lane: str, lender: Lender, *, is_base: bool, now_s: int) -> Cut | None:
    """Lease rule 3: note how far the journal is included, before any figure is read. To be called inside a transaction.

    The sequence is taken before anything is granted under it. If the one before was taken and its layer never came,
    its grants count all the same (lease rule 2) and only a base replaces them all; as long as another process may
    still be at it, None.
    """
    row = lanes.find(lane)
    applied_number = lanes.journal(lane, row.epoch).posted_number
    layers, newest = stack(lane, lender.lender), max(newest_stored(lane, lender.lender), _reported(lane, lender.lender))
    begun = Cutting.get_or_none(Cutting.lane == lane, Cutting.lender == lender.lender)
    left = begun if begun and begun.sequence > newest else None
    if left and now_s < left.begun_at + CUTTING_MAX_S:
        return None
    site = places.of_lane(lane)
    is_upon = layers and not is_base and not left and _origin_of(layers[-1]) == (site.place or NOWHERE)
    below = layers[-1] if is_upon else None
    sequence = (left.sequence if left else newest) + 1
    put(Cutting, _BEGIN, {"lane": lane, "lender": lender.lender, "sequence": sequence, "begun_at": now_s})
    return Cut(row, lender, sequence, below, applied_number, now_s, site)


def fill(database: Database, cut: Cut, plan: Plan) -> SnapshotLayer | None:
    """Grant, account by account; then sign and store. None if another process took the lane over meanwhile."""
    lane, lender = cut.lane.lane, cut.lender.lender
    if cut.below is None:
        # Who is planned no more has no newer grant that would push the old one out.
        transact(database, partial(allowances.forget_lapsed, lane, cut.lane.epoch, lender), redoable=True)
    # As a list: the grants that are written on the way change what the query would see.
    chosen = [bytes(token) for (token,) in rows(_chosen(cut, plan))]
    wanted, withheld = plan.wanted(lane, lender), recalls.withheld(lane, lender)
    records = [
        # Its commit need not be flushed: no layer is there to be spent from before the last one is, and that is.
        transact(database, partial(_grant, token, cut, plan, 0 if token in withheld else wanted(token)), redoable=True)
        for token in chosen
    ]
    out = io.BytesIO()
    manifest = _manifest(cut, plan)
    digest = build_layer(iter(records), len(records), manifest, cut.lender.sign_snapshot, out)
    return transact(database, lambda: _store(cut, manifest, digest, out.getvalue()))


def _store(cut: Cut, manifest: Manifest, digest: bytes, data: bytes) -> SnapshotLayer | None:
    lane, lender = cut.lane.lane, cut.lender.lender
    if Cutting.get(Cutting.lane == lane, Cutting.lender == lender).sequence != cut.sequence:
        return None
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
        **cut.origin._asdict(),
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


def _origin_of(layer: SnapshotLayer) -> Place:
    return Place(layer.latitude_udeg, layer.longitude_udeg)


def exists(lane: str, lender: str, sequence: int) -> bool:
    """Whether this layer was ever cut for the lane."""
    return 0 < sequence < 2**53 and _find(lane, lender, sequence) is not None


def newest_stored(lane: str, lender: str) -> int:
    """The highest sequence of a layer that is stored here, in whatever epoch; 0 if none."""
    mine = (SnapshotLayer.lane == lane) & (SnapshotLayer.lender == lender)
    return SnapshotLayer.select(fn.MAX(SnapshotLayer.sequence)).where(mine).scalar() or 0


def _reported(lane: str, lender: str) -> int:
    """The highest sequence that the lane itself has told of; a restored backend may have forgotten it."""
    mine = (LayerReport.lane == lane) & (LayerReport.lender == lender)
    return LayerReport.select(fn.MAX(LayerReport.sequence)).where(mine).scalar() or 0


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


def _grant(token: bytes, cut: Cut, plan: Plan, planned_minor: int) -> Record:
    account = accounts.find(cut.lender.lender, token)
    assert account is not None, "accounts are never deleted"
    valid_until_s = cut.now_s + plan.lease_life_s
    granted = allowances.grant(
        account,
        cut.lane.lane,
        cut.lane.epoch,
        sequence=cut.sequence,
        planned_minor=planned_minor,
        leasable_minor=plan.leasable_minor(account),
        applied_number=cut.applied_number,
        valid_until_s=valid_until_s,
    )
    return Record(
        token=token,
        allowance_minor=granted,
        valid_until_s=valid_until_s,
        tier=account.tier,
        blocked=account.blocked,
        step_up=account.step_up,
        purpose_bound=account.purpose_bound,
        **_seen(token, cut),
    )


def _seen(token: bytes, cut: Cut) -> dict[str, Any]:
    """Where and when the account was last seen, counted from the lane's store; nothing if that store is nowhere."""
    if cut.site.place is None:
        return {}
    seen = moves.last_seen(cut.lender.lender, token, cut.now_s)
    return {"place": offset_km(cut.site.place, seen.place), "last_seen_s": seen.at_s} if seen else {}


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
        origin=(cut.origin.latitude_udeg, cut.origin.longitude_udeg),
    )


def _chosen(cut: Cut, plan: Plan) -> ModelSelect[Account]:
    """The accounts of a layer in the order of their tokens: of a base all that the lane should know of."""
    lane, lender = cut.lane.lane, cut.lender.lender
    if cut.below is not None:
        return _changed(lane, lender, plan, cut.below.base_sequence)
    if plan.rules is None:
        return _every(lender)
    had = _granted(lane, lender).where(LeaseGrant.granted_minor > 0)
    return _every(lender).where(_planned(lane, lender) | fn.EXISTS(had) | Account.blocked)


def _every(lender: str) -> ModelSelect[Account]:
    return Account.select(Account.token).where(Account.lender == lender).order_by(Account.token)


def _changed(lane: str, lender: str, plan: Plan, base_sequence: int) -> ModelSelect[Account]:
    """Accounts whose figures changed since the lane's newest grant of them was written."""
    told = _granted(lane, lender)
    changed = _every(lender).where(~fn.EXISTS(told.where(LeaseGrant.edition >= Account.edition)))
    if plan.rules is None:
        return changed
    in_stack = told.where(LeaseGrant.sequence >= base_sequence)
    return changed.where(_planned(lane, lender) | fn.EXISTS(in_stack) | Account.blocked)


def _granted(lane: str, lender: str) -> ModelSelect[LeaseGrant]:
    """The grants of an account at the lane in its present epoch."""
    return LeaseGrant.select().where(
        LeaseGrant.lane == lane,
        LeaseGrant.lender == lender,
        LeaseGrant.account == Account.token,
        LeaseGrant.epoch == Lane.select(Lane.epoch).where(Lane.lane == lane),
    )


def _planned(lane: str, lender: str) -> Any:
    mine = (PlannedLease.lane == lane) & (PlannedLease.lender == lender)
    return Account.token.in_(PlannedLease.select(PlannedLease.account).where(mine))
