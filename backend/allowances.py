"""Allowances: the leases that signed layers grant, and what of them a lane might still spend.

The one rule: a grant counts from the moment it is written, before it is signed, until the lane's own journal ends it
(lease rules 1 and 2). The arithmetic is ``agent.core.leases``; here it meets the rows.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from peewee import JOIN, fn

from agent.core import leases
from agent.core.journal import Position
from backend.database import change, compiled, fetch
from backend.schema import Account, Hold, Installed, Lane, LeaseGrant

# On the path of every sale and every entry, so compiled once; peewee builds a query in the time that SQLite runs ten.
_GRANTS: Final = compiled(
    LeaseGrant.select(
        LeaseGrant.lane, LeaseGrant.sequence, LeaseGrant.granted_minor, LeaseGrant.applied_epoch,
        LeaseGrant.applied_number, LeaseGrant.valid_until_s, LeaseGrant.spent_minor,
        Installed.sequence, Lane.lease_horizon,
    )
    .join(Lane, on=Lane.lane == LeaseGrant.lane)
    .join(
        Installed,
        JOIN.LEFT_OUTER,
        on=(Installed.lane == LeaseGrant.lane) & (Installed.lender == LeaseGrant.lender),
    )
    .where(LeaseGrant.account == b"", LeaseGrant.lender == "")
)  # fmt: skip

_ONLINE_USE: Final = compiled(
    Hold.select(Hold.lane, fn.SUM(Hold.online_use_minor))
    .where(Hold.account == b"", Hold.lender == "", Hold.online_use_minor > 0)
    .group_by(Hold.lane)
)


_SPEND: Final = compiled(
    LeaseGrant.update(spent_minor=LeaseGrant.spent_minor + 0).where(
        LeaseGrant.account == b"", LeaseGrant.lender == "", LeaseGrant.lane == ""
    )
)


def outstanding_by_lane(lender: str, token: bytes) -> dict[str, int]:
    """What each lane might still spend of the account's leases, in minor units; lanes without a grant are absent."""
    grants: dict[str, list[leases.Counted]] = defaultdict(list)
    ends: dict[str, tuple[int, int]] = {}
    for lane, sequence, granted, epoch, number, valid_until_s, spent, installed, horizon_s in fetch(
        _GRANTS, token, lender
    ):
        grant = leases.Grant(sequence, granted, Position(epoch, number), valid_until_s)
        grants[lane].append(leases.Counted(grant, spent))
        ends[lane] = (installed or 0, horizon_s)
    in_use = _online_use(lender, token)
    return {
        lane: leases.outstanding(
            leases.live(counted, installed_sequence=ends[lane][0], horizon_s=ends[lane][1]), in_use.get(lane, 0)
        )
        for lane, counted in grants.items()
    }


def outstanding_at(lane: str, lender: str, token: bytes) -> int:
    """What this lane might still spend of the account's lease."""
    return outstanding_by_lane(lender, token).get(lane, 0)


def available(account: Account) -> int:
    """limit - used - held - what any lane might still spend; negative after the limit was cut."""
    promised = sum(outstanding_by_lane(account.lender, account.token).values())
    figure: int = account.limit_minor - account.used_minor - account.held_minor - promised
    return figure


def spend(lane: str, lender: str, token: bytes, delta_minor: int) -> None:
    """Count a spend (or with a minus a restored one) against every kept grant of the account at the lane."""
    if delta_minor:
        change(_SPEND, delta_minor, token, lender, lane)


def has_record(lane: str, lender: str, token: bytes) -> bool:
    """Whether the snapshot that the lane has journaled as installed has a record of the account."""
    found = LeaseGrant.select().join(
        Installed,
        on=(Installed.lane == LeaseGrant.lane)
        & (Installed.lender == LeaseGrant.lender)
        & (Installed.sequence >= LeaseGrant.sequence),
    )
    mine = (LeaseGrant.lane == lane) & (LeaseGrant.lender == lender) & (LeaseGrant.account == token)
    return bool(found.where(mine).exists())


def grant(
    account: Account, lane: str, *, sequence: int, planned_minor: int, applied_through: Position, valid_until_s: int
) -> int:
    """Write a grant of at most ``planned_minor``, and of 0 if need be: an absent row would leave the older one.

    It may be as high as what this lane holds already and what is free, because the lane will use one of its
    snapshots, not all. What an open online approval takes from the lease is in held *and* will be told as a spend
    after ``applied_through``; so the grant is stated before it.
    """
    elsewhere = outstanding_by_lane(account.lender, account.token)
    elsewhere.pop(lane, None)
    held = account.held_minor - _online_use(account.lender, account.token).get(lane, 0)
    most = leases.grantable(account.limit_minor, account.used_minor, held, sum(elsewhere.values()))
    granted = 0 if account.blocked else min(planned_minor, most)
    LeaseGrant.create(
        account=account.token,
        lender=account.lender,
        lane=lane,
        sequence=sequence,
        granted_minor=granted,
        applied_epoch=applied_through.epoch,
        applied_number=applied_through.number,
        valid_until_s=valid_until_s,
        revision=account.revision,
    )
    return granted


def installed(lane: str, lender: str, sequence: int) -> None:
    """The lane has journaled that it uses ``sequence``: what a newer grant replaces can be forgotten."""
    known = Installed.get_or_none(Installed.lane == lane, Installed.lender == lender)
    if known is not None and known.sequence >= sequence:
        return
    Installed.insert(lane=lane, lender=lender, sequence=sequence).on_conflict("REPLACE").execute()
    newer = LeaseGrant.alias()
    LeaseGrant.delete().where(
        LeaseGrant.lane == lane,
        LeaseGrant.lender == lender,
        fn.EXISTS(
            newer.select().where(
                newer.lane == lane,
                newer.lender == lender,
                newer.account == LeaseGrant.account,
                newer.sequence > LeaseGrant.sequence,
                newer.sequence <= sequence,
            )
        ),
    ).execute()


def _online_use(lender: str, token: bytes) -> dict[str, int]:
    return {lane: int(used) for lane, used in fetch(_ONLINE_USE, token, lender, 0)}
