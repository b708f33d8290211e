"""What leases tie up, and what they would cover (lease rule 15).

The one rule: both are counted from the books as they are, the leases that lanes may spend now and the sales that there
were; nothing is taken from a plan's hopes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from backend import allowances
from backend.admin.named import chosen_lender
from backend.admin.operation import Progress, Refused, Steps
from backend.compose import Backend
from backend.database import rows, transact
from backend.planner.rules import DAY_S, Rules
from backend.schema import Account, Visit

PIECE: Final = 100
"""Accounts in a step: some 10 ms."""

USUAL: Final = Rules()
"""A regular of a lane is one by the planner's usual settings, whatever leases were planned by."""


@dataclass(slots=True)
class Coverage:
    """Sums over accounts, in minor units; turnover is that of the days asked for."""

    accounts: int = 0
    limits_minor: int = 0
    tied_up_minor: int = 0
    turnover_minor: int = 0
    covered_minor: int = 0
    regulars_turnover_minor: int = 0
    regulars_covered_minor: int = 0

    def add(self, other: Coverage) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


def summary(backend: Backend, *, days: int = 7, lender: str | None = None) -> Steps:
    """Credit tied up at lanes now; and how much of the turnover of the last ``days`` days came at a lane that now
    holds a lease large enough for the sale: what would have been sold, had every line been down."""
    if not 0 < days <= USUAL.history_d:
        raise Refused(f"the turnover is that of 1 to {USUAL.history_d} days")
    by, now_s = chosen_lender(backend, lender).lender, backend.clock()
    total: int = Account.select().where(Account.lender == by).count()
    found, after = Coverage(), b""
    while page := _page(by, after):
        found.add(transact(backend.database, lambda: _of(by, page, now_s - days * DAY_S, now_s)))
        after = bytes(page[-1].token)
        yield Progress(min(found.accounts, total), total, "accounts")
    return {each.name: getattr(found, each.name) for each in fields(found)} | {
        "days": days,
        "tied_up_percent": _percent(found.tied_up_minor, found.limits_minor),
        "covered_percent": _percent(found.covered_minor, found.turnover_minor),
        "regulars_covered_percent": _percent(found.regulars_covered_minor, found.regulars_turnover_minor),
    }


def _page(lender: str, after: bytes) -> list[Account]:
    query = Account.select().where(Account.lender == lender, Account.token > after)
    return list(query.order_by(Account.token).limit(PIECE))


def _of(lender: str, page: list[Account], since_s: int, now_s: int) -> Coverage:
    visits: dict[bytes, list[tuple[int, str, int]]] = defaultdict(list)
    for token, at_s, lane, minor in _visits(lender, page, now_s):
        visits[bytes(token)].append((at_s, lane, minor))
    found = Coverage()
    for account in page:
        leases = allowances.outstanding_by_lane(lender, bytes(account.token))
        found.add(_of_account(account.limit_minor, leases, visits[bytes(account.token)], since_s))
    return found


def _visits(lender: str, page: list[Account], now_s: int) -> Iterator[tuple[bytes, int, str, int]]:
    query = Visit.select(Visit.account, Visit.at_s, Visit.lane, Visit.amount_minor).where(
        Visit.lender == lender,
        Visit.account.between(page[0].token, page[-1].token),
        Visit.at_s.between(now_s - USUAL.history_s, now_s),
    )
    yield from rows(query)


def _of_account(limit_minor: int, leases: dict[str, int], visits: list[tuple[int, str, int]], since_s: int) -> Coverage:
    times = Counter(lane for _, lane, _ in visits)
    found = Coverage(1, limit_minor, sum(leases.values()))
    for at_s, lane, minor in visits:
        if at_s < since_s:
            continue
        covered = minor if minor <= leases.get(lane, 0) else 0
        found.turnover_minor += minor
        found.covered_minor += covered
        if times[lane] >= USUAL.visits_min:
            found.regulars_turnover_minor += minor
            found.regulars_covered_minor += covered
    return found


def _percent(part: int, whole: int) -> str | None:
    """In tenths of a percent, rounded down; None of nothing."""
    tenths = part * 1000 // whole if whole else None
    return None if tenths is None else f"{tenths // 10}.{tenths % 10}"
