"""Allowances: the leases that signed layers grant, and what of them a lane might still spend.

The one rule: a grant counts from the moment it is written, before it is signed, until the lane's own journal ends it
(lease rules 1 and 2). The arithmetic is ``agent.core.leases``; here it meets the rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from peewee import JOIN, SQL, fn

from agent.core import leases
from agent.core.journal import Position
from backend import accounts
from backend import page as pages
from backend.database import Statement, change, compiled, fetch, inserting, put
from backend.lanes import GIVEN_UP
from backend.schema import Account, Hold, Horizon, Installed, Journal, LeaseGrant, SnapshotLayer

# On the path of every sale and every entry, so compiled once; peewee builds a query in the time that SQLite runs ten.
_GRANTS: Final = compiled(
    LeaseGrant.select(
        LeaseGrant.lane, LeaseGrant.epoch, LeaseGrant.sequence, LeaseGrant.granted_minor, LeaseGrant.applied_number,
        LeaseGrant.valid_until_s, LeaseGrant.spent_minor, Installed.sequence, Horizon.lease_horizon,
    )
    .join(Journal, on=(Journal.lane == LeaseGrant.lane) & (Journal.epoch == LeaseGrant.epoch))
    .join(
        Installed,
        JOIN.LEFT_OUTER,
        on=(Installed.lane == LeaseGrant.lane)
        & (Installed.epoch == LeaseGrant.epoch)
        & (Installed.lender == LeaseGrant.lender),
    )
    .join(
        Horizon,
        JOIN.LEFT_OUTER,
        on=(Horizon.lane == LeaseGrant.lane)
        & (Horizon.epoch == LeaseGrant.epoch)
        & (Horizon.lender == LeaseGrant.lender),
    )
    .where(LeaseGrant.account == b"", LeaseGrant.lender == "", Journal.state.not_in(GIVEN_UP))
)  # fmt: skip

Life = tuple[str, int]
"""Lane and epoch: what a lease belongs to."""

_ONLINE_USE: Final = compiled(
    Hold.select(Hold.lane, Hold.sale_id, Hold.attempt, Hold.lease_epoch, Hold.online_use_minor).where(
        Hold.account == b"", Hold.lender == "", Hold.online_use_minor > SQL("0")
    )
)


_INSTALL: Final = inserting(Installed, "REPLACE")
_GRANT: Final = inserting(LeaseGrant)
_OF_JOURNAL: Final = (
    LeaseGrant.account == b"", LeaseGrant.lender == "", LeaseGrant.lane == "", LeaseGrant.epoch == 0,
)  # fmt: skip
_IN_USE: Final = compiled(
    LeaseGrant.select(fn.MAX(LeaseGrant.sequence))
    .join(
        Installed,
        on=(Installed.lane == LeaseGrant.lane)
        & (Installed.epoch == LeaseGrant.epoch)
        & (Installed.lender == LeaseGrant.lender),
    )
    .where(*_OF_JOURNAL, LeaseGrant.sequence <= Installed.sequence)
)
_FORGET: Final = compiled(LeaseGrant.delete().where(*_OF_JOURNAL, LeaseGrant.sequence < 0))

_SPEND: Final = compiled(
    LeaseGrant.update(spent_minor=LeaseGrant.spent_minor + 0).where(
        LeaseGrant.account == b"", LeaseGrant.lender == "", LeaseGrant.lane == "", LeaseGrant.epoch == 0
    )
)


def outstanding_by_journal(lender: str, token: bytes) -> dict[Life, int]:
    """What might still be spent of the account's leases under each lane's journal of each epoch, in minor units.

    Those without a grant, or written off, are absent.
    """
    grants: dict[Life, list[leases.Counted]] = defaultdict(list)
    ends: dict[Life, tuple[int, int]] = {}
    for lane, epoch, sequence, granted, number, valid_until_s, spent, installed, horizon_s in _grants(lender, token):
        grant = leases.Grant(sequence, granted, Position(epoch, number), valid_until_s)
        grants[lane, epoch].append(leases.Counted(grant, spent))
        ends[lane, epoch] = (installed or 0, horizon_s or 0)
    in_use = _online_use(lender, token)
    return {
        life: leases.outstanding(
            leases.live(counted, installed_sequence=ends[life][0], horizon_s=ends[life][1]), in_use.get(life, 0)
        )
        for life, counted in grants.items()
    }


def outstanding_by_lane(lender: str, token: bytes) -> dict[str, int]:
    """What each lane might still spend of the account's leases, all its epochs together."""
    by_lane: dict[str, int] = defaultdict(int)
    for (lane, _epoch), minor in outstanding_by_journal(lender, token).items():
        by_lane[lane] += minor
    return dict(by_lane)


def outstanding_at(lane: str, epoch: int, lender: str, token: bytes) -> int:
    """What this lane might still spend of the account's lease of this epoch."""
    return outstanding_by_journal(lender, token).get((lane, epoch), 0)


def available(account: Account) -> int:
    """limit - used - held - what any lane might still spend; negative after the limit was cut."""
    promised = sum(outstanding_by_journal(account.lender, account.token).values())
    figure: int = account.limit_minor - account.used_minor - account.held_minor - promised
    return figure


def above_limit(account: Account) -> int:
    """By how much the account stands above its limit: where it was cut, or else nowhere."""
    return max(0, -available(account))


def spend(lane: str, epoch: int, lender: str, token: bytes, delta_minor: int) -> None:
    """Count a spend (or with a minus a restored one) against every kept grant of the account in this epoch."""
    if not delta_minor:
        return
    page, name = pages.current(), (LeaseGrant, token, lender, lane, epoch)
    if page is None:
        change(_SPEND, delta_minor, token, lender, lane, epoch)
    else:
        page.notes[name] = page.notes.get(name, 0) + delta_minor
        page.update(name, _SPEND, lambda: (page.notes[name], token, lender, lane, epoch))


def has_record(lane: str, epoch: int, lender: str, token: bytes) -> bool:
    """Whether the snapshot that the lane has journaled as installed has a record of the account, base or delta."""
    told = Installed.get_or_none(Installed.lane == lane, Installed.epoch == epoch, Installed.lender == lender)
    if told is None:
        return False
    base = SnapshotLayer.select(SnapshotLayer.base_sequence).where(
        SnapshotLayer.lane == lane, SnapshotLayer.lender == lender, SnapshotLayer.sequence == told.sequence
    )
    mine = (LeaseGrant.lane == lane) & (LeaseGrant.epoch == epoch) & (LeaseGrant.lender == lender)
    in_stack = LeaseGrant.sequence.between(base.scalar() or 0, told.sequence)
    return bool(LeaseGrant.select().where(mine, LeaseGrant.account == token, in_stack).exists())


def grant(
    account: Account,
    lane: str,
    epoch: int,
    *,
    sequence: int,
    planned_minor: int,
    leasable_minor: int,
    applied_number: int,
    valid_until_s: int,
) -> int:
    """Write a grant of at most ``planned_minor``, and of 0 if need be: an absent row would leave the older one.

    It may be as high as what this lane holds already in this epoch and what is free, because the lane will use one of
    its snapshots, not all. What an open online approval takes from the lease is in held *and* will be told as a spend
    after ``applied_number``; so the grant is stated before it. What is outstanding elsewhere and the grant together
    are at most ``leasable_minor`` (lease rule 15). Raises AccountContended.
    """
    elsewhere = outstanding_by_journal(account.lender, account.token)
    elsewhere.pop((lane, epoch), None)
    held = account.held_minor - _online_use(account.lender, account.token).get((lane, epoch), 0)
    most = leases.grantable(account.limit_minor, account.used_minor, held, sum(elsewhere.values()))
    stranded = max(0, leasable_minor - sum(elsewhere.values()))
    granted = 0 if account.blocked else min(planned_minor, most, stranded)
    row = {"account": account.token, "lender": account.lender, "lane": lane, "epoch": epoch, "sequence": sequence}
    row |= {"granted_minor": granted, "applied_number": applied_number, "valid_until_s": valid_until_s}
    put(LeaseGrant, _GRANT, row | {"spent_minor": 0, "edition": account.edition})
    accounts.guard(account)
    _forget(account, lane, epoch)
    return granted


def installed(lane: str, epoch: int, lender: str, sequence: int) -> None:
    """The lane has journaled that it uses ``sequence``: what a newer grant replaces counts no more."""
    known = Installed.get_or_none(Installed.lane == lane, Installed.epoch == epoch, Installed.lender == lender)
    if known is None or known.sequence < sequence:
        row = {"lane": lane, "epoch": epoch, "lender": lender, "sequence": sequence}
        put(Installed, _INSTALL, row)


def _forget(account: Account, lane: str, epoch: int) -> None:
    """Delete the account's grants that the lane's installed snapshot has replaced; ``live`` skips them anyway."""
    of_journal = account.token, account.lender, lane, epoch
    ((in_use,),) = fetch(_IN_USE, *of_journal)
    if in_use is not None:
        change(_FORGET, *of_journal, in_use)


def forget_lapsed(lane: str, epoch: int, lender: str) -> int:
    """Delete grants that the lane has sworn off by its horizon (lease rule 1); ``live`` skips them anyway."""
    horizon = Horizon.select(Horizon.lease_horizon).where(
        Horizon.lane == lane, Horizon.epoch == epoch, Horizon.lender == lender
    )
    mine = (LeaseGrant.lane == lane) & (LeaseGrant.epoch == epoch) & (LeaseGrant.lender == lender)
    return int(LeaseGrant.delete().where(mine, LeaseGrant.valid_until_s <= horizon).execute())


def questions(lender: str, token: bytes) -> Sequence[tuple[Statement, tuple[Any, ...]]]:
    """What ``outstanding_by_journal`` asks, to be asked ahead (``database.on_page``)."""
    return (_GRANTS, (token, lender, *GIVEN_UP)), (_ONLINE_USE, (token, lender))


def _grants(lender: str, token: bytes) -> list[tuple[Any, ...]]:
    """Read once for a page: what is spent there is added to what was read."""
    page = pages.current()
    if page is None:
        return fetch(_GRANTS, token, lender, *GIVEN_UP)
    read = page.notes.get((LeaseGrant, token, lender))
    if read is None:
        read = page.notes[LeaseGrant, token, lender] = fetch(_GRANTS, token, lender, *GIVEN_UP)
    spent = ((row, page.notes.get((LeaseGrant, token, lender, row[0], row[1]), 0)) for row in read)
    return [(*row[:6], row[6] + more, *row[7:]) for row, more in spent]


def _online_use(lender: str, token: bytes) -> dict[Life, int]:
    page = pages.current()
    used: dict[Life, int] = defaultdict(int)
    for lane, sale_id, attempt, epoch, minor in fetch(_ONLINE_USE, token, lender):
        hold = page.rows.get((Hold, (lane, lender, sale_id, attempt))) if page is not None else None
        used[lane, epoch] += minor if hold is None else hold.online_use_minor
    return used
