"""Recalls: leases that a lane is asked to give back before they lapse.

The one rule: a recall asks and frees nothing. Credit is free when the lane's own journal says so (lease rules 1, 2 and
8); until then it counts as outstanding. While a recall is open, no layer grants its accounts anything at that lane.

An account is given back by a ``lease_return`` entry. All leases of a lane at once are not: it knows an account only by
the pass that is shown to it. So it gets a base that grants nothing, whose ``snapshot_installed`` entry frees the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any, Final

from peewee import Database, fn

from backend import accounts, allowances
from backend.database import Statement, compiled, fetch, rows, transact
from backend.schema import Account, Cutting, Installed, Recall, SnapshotLayer

LIMIT_CUT: Final = "limit_cut"


def request(
    lender: str,
    *,
    reason: str,
    now_s: int,
    lane: str | None = None,
    account: bytes | None = None,
    hold_s: int = 0,
) -> list[Recall]:
    """Ask for the leases of an account (None: of all) at a lane (None: wherever there is one); the new recalls.

    They stay open, and nothing is granted in their place, until nothing is outstanding and ``hold_s`` is over. One that
    is open already is not asked for twice. To be called inside a transaction.
    """
    lanes = [lane] if lane else _lanes_with_leases(lender, account)
    missing = [name for name in lanes if not _is_open(name, lender, account)]
    asked = {"account": account, "reason": reason, "requested_at": now_s, "hold_until_s": now_s + hold_s}
    return [_open(name, lender, **asked) for name in missing]


def open_at(lanes: Collection[str]) -> Iterator[tuple[str, str, int, bytes | None, str]]:
    """The open recalls (lane, lender, number, account, reason) of these lanes, in the order in which each was asked."""
    for lane, lender, number, account, reason in fetch(_open_of(len(lanes)), *lanes):
        yield lane, lender, number, None if account is None else bytes(account), reason


@lru_cache(8)
def _open_of(count: int) -> Statement:
    columns = (Recall.lane, Recall.lender, Recall.number, Recall.account, Recall.reason)
    query = Recall.select(*columns).where(Recall.lane.in_([""] * count), Recall.ended_at.is_null())
    return compiled(query.order_by(Recall.lane, Recall.lender, Recall.number))


def withheld(lane: str, lender: str) -> Withheld:
    """The accounts that the lane must not be granted anything of now."""
    return Withheld(frozenset(None if row.account is None else bytes(row.account) for row in _of(lane, lender)))


class Withheld:
    """A set of accounts, or all of them."""

    def __init__(self, accounts_or_all: Collection[bytes | None]) -> None:
        self._accounts = accounts_or_all

    def __contains__(self, account: bytes) -> bool:
        return None in self._accounts or account in self._accounts


def base_is_due(lane: str, lender: str, base_sequence: int) -> bool:
    """Whether all leases of the lane were recalled, or set free again, since its newest base was cut."""
    marks = Recall.select(fn.MAX(Recall.sequence)).where(
        Recall.lane == lane, Recall.lender == lender, Recall.account.is_null()
    )
    newest = marks.scalar()
    return newest is not None and newest >= base_sequence


def tend(database: Database, lender: str, *, now_s: int) -> int:
    """Open what limit cuts demand, and close what the lanes have answered; returns how many changed.

    To be called from time to time; each account is a transaction of its own. A cut is seen by its mark on the account,
    so no way of setting a limit can forget to ask.
    """
    changed = 0
    for token in _too_high(lender):
        ask = partial(request, lender, reason=LIMIT_CUT, now_s=now_s, account=token)
        changed += len(transact(database, ask))
    due = Recall.select().where(Recall.lender == lender, Recall.ended_at.is_null(), Recall.hold_until_s <= now_s)
    for row in list(due):
        changed += transact(database, partial(_close, row, now_s))
    return changed


def _too_high(lender: str) -> Iterator[bytes]:
    """Accounts that a cut left above their limit, with something still outstanding."""
    for account in list(Account.select().where(Account.lender == lender, Account.limit_cut)):
        promised = sum(allowances.outstanding_by_lane(lender, bytes(account.token)).values())
        if promised and account.used_minor + account.held_minor + promised > account.limit_minor:
            yield bytes(account.token)


def _lanes_with_leases(lender: str, account: bytes | None) -> list[str]:
    if account is not None:
        return sorted(lane for lane, minor in allowances.outstanding_by_lane(lender, account).items() if minor)
    query = SnapshotLayer.select(SnapshotLayer.lane).where(SnapshotLayer.lender == lender).distinct()
    return sorted(lane for (lane,) in rows(query))


def _of(lane: str, lender: str) -> Iterable[Recall]:
    query: Iterable[Recall] = Recall.select().where(
        Recall.lane == lane, Recall.lender == lender, Recall.ended_at.is_null()
    )
    return query


def _is_open(lane: str, lender: str, account: bytes | None) -> bool:
    return any((None if row.account is None else bytes(row.account)) == account for row in _of(lane, lender))


def _open(lane: str, lender: str, **asked: Any) -> Recall:
    mine = (Recall.lane == lane) & (Recall.lender == lender)
    number = (Recall.select(fn.MAX(Recall.number)).where(mine).scalar() or 0) + 1
    return Recall.create(lane=lane, lender=lender, number=number, sequence=_newest_sequence(lane, lender), **asked)


def _newest_sequence(lane: str, lender: str) -> int:
    """Of a layer that was cut or begun: one that is being cut may have granted already."""
    mine = (SnapshotLayer.lane == lane) & (SnapshotLayer.lender == lender)
    begun = Cutting.select(Cutting.sequence).where(Cutting.lane == lane, Cutting.lender == lender).scalar()
    return max(SnapshotLayer.select(fn.MAX(SnapshotLayer.sequence)).where(mine).scalar() or 0, begun or 0)


def _is_outstanding(row: Recall) -> bool:
    if row.account is not None:
        return bool(allowances.outstanding_by_lane(row.lender, bytes(row.account)).get(row.lane))
    mine = (SnapshotLayer.lane == row.lane) & (SnapshotLayer.lender == row.lender)
    base = SnapshotLayer.select(fn.MAX(SnapshotLayer.base_sequence)).where(mine).scalar() or 0
    told = Installed.select(fn.MAX(Installed.sequence)).where(
        Installed.lane == row.lane, Installed.lender == row.lender
    )
    return base <= row.sequence or (told.scalar() or 0) < base


def _close(row: Recall, now_s: int) -> bool:
    """If nothing is outstanding any more, the account is granted again from the next layer on: of all accounts, that
    is a base above ``sequence``."""
    if _is_outstanding(row):
        return False
    account = accounts.find(row.lender, bytes(row.account)) if row.account is not None else None
    if account is not None:
        accounts.touch(account)
    mine = (Recall.lane == row.lane) & (Recall.lender == row.lender) & (Recall.number == row.number)
    Recall.update(ended_at=now_s, sequence=_newest_sequence(row.lane, row.lender)).where(mine).execute()
    return True
