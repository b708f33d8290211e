"""Plans in the books: every account is planned once a day, some hundred in a transaction.

The one rule: a day's plan is made from the visits before that day, so that whoever makes it, and however often it is
begun again, it is the same. Several servers share the work: what one has planned, the other finds behind the mark.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Final

from peewee import Database

from backend import lanes
from backend.database import Contended, inserting, put, rows, transact
from backend.planner import habits as habits_of
from backend.planner import policy
from backend.planner.habits import Habits
from backend.planner.policy import Plan, Seen
from backend.planner.rules import DAY_S, Rules
from backend.schema import Account, PlannedLease, PlanRun, Visit

PIECE: Final = 200
"""Accounts in a transaction: some 30 ms, between which lanes are answered."""

SAMPLE: Final = 2_000
"""Accounts from whose visits everybody's habits are learnt. Tokens are random, so the first are as good as any."""

_PLAN: Final = inserting(PlannedLease, "REPLACE")
_MARK: Final = inserting(PlanRun, "REPLACE")


@dataclass(frozen=True, slots=True)
class _Today:
    """What all plans of a day have in common; they are made as of its first second."""

    lender: str
    day: int
    rules: Rules
    habits: Habits
    served: frozenset[str]

    @property
    def began_s(self) -> int:
        return self.day * DAY_S


def tend(database: Database, lender: str, rules: Rules, *, now_s: int) -> Iterator[int]:
    """Plan what is not planned yet for today, in steps: how many accounts each took. Raises Contended, FAULTS."""
    day = now_s // DAY_S
    if _is_planned(lender, day):
        return
    habits = habits_of.learn(_sample(lender, day * DAY_S, rules))
    if habits is None:
        return
    today = _Today(lender, day, rules, habits, frozenset(lanes.in_service()))
    while done := transact(database, partial(_piece, today)):
        yield done


def amounts(lane: str, lender: str) -> dict[bytes, int]:
    """What each account is to be leased at a lane, in minor units."""
    mine = PlannedLease.select(PlannedLease.account, PlannedLease.planned_minor).where(
        PlannedLease.lane == lane, PlannedLease.lender == lender
    )
    return {bytes(account): minor for account, minor in rows(mine)}


def _is_planned(lender: str, day: int) -> bool:
    mark = PlanRun.get_or_none(PlanRun.lender == lender)
    return mark is not None and (mark.day > day or (mark.day == day and mark.through is None))


def _piece(today: _Today) -> int:
    """Plan the next accounts and move the mark; 0 when today's plan is made."""
    mark = PlanRun.get_or_none(PlanRun.lender == today.lender)
    if _is_planned(today.lender, today.day):
        return 0
    after = bytes(mark.through or b"") if mark and mark.day == today.day else b""
    found = _accounts_after(today.lender, after)
    _plan_all(today, found)
    _move(mark, today, found[-1].token if len(found) == PIECE else None)
    return len(found)


def _move(mark: PlanRun | None, today: _Today, through: bytes | None) -> None:
    """By compare and set: of two servers at one piece, one begins again behind the other's mark."""
    if mark is None:
        put(PlanRun, _MARK, {"lender": today.lender, "day": today.day, "through": through})
        return
    seen = (PlanRun.lender == mark.lender) & (PlanRun.day == mark.day) & (PlanRun.through == mark.through)
    if PlanRun.update(day=today.day, through=through).where(seen).execute() != 1:
        raise Contended("the plan")


def _accounts_after(lender: str, after: bytes) -> list[Account]:
    query = Account.select().where(Account.lender == lender, Account.token > after)
    return list(query.order_by(Account.token).limit(PIECE))


def _plan_all(today: _Today, found: Sequence[Account]) -> None:
    if not found:
        return
    first, last = found[0].token, found[-1].token
    visits, before = _visits(today, first, last), _before(today.lender, first, last)
    for account in found:
        token = bytes(account.token)
        free = 0 if account.blocked else account.limit_minor - account.used_minor - account.held_minor
        planned = policy.plan(
            visits.get(token, ()), free, today.rules, today.habits, before=before[token], now_s=today.began_s
        )
        _write(today.lender, token, before[token], planned)


def _visits(today: _Today, first: bytes, last: bytes) -> dict[bytes, list[Seen]]:
    """By account, those at lanes that serve now."""
    query = _history(today.lender, today.began_s, today.rules, Visit.at_s, Visit.lane, Visit.amount_minor)
    found: dict[bytes, list[Seen]] = defaultdict(list)
    for token, *seen in rows(query.where(Visit.account >= first, Visit.account <= last)):
        if seen[1] in today.served:
            found[bytes(token)].append(Seen(*seen))
    return found


def _before(lender: str, first: bytes, last: bytes) -> dict[bytes, Plan]:
    found: dict[bytes, Plan] = defaultdict(dict)
    query = PlannedLease.select(PlannedLease.account, PlannedLease.lane, PlannedLease.planned_minor)
    mine = (PlannedLease.lender == lender) & (PlannedLease.account >= first) & (PlannedLease.account <= last)
    for token, lane, minor in rows(query.where(mine)):
        found[bytes(token)][lane] = minor
    return found


def _write(lender: str, token: bytes, before: Plan, planned: Plan) -> None:
    """Only what changed: most plans are yesterday's."""
    for lane, minor in planned.items():
        if before.get(lane) != minor:
            put(PlannedLease, _PLAN, {"lane": lane, "lender": lender, "account": token, "planned_minor": minor})
    dropped = [lane for lane in before if lane not in planned]
    if dropped:
        mine = (PlannedLease.lender == lender) & (PlannedLease.account == token)
        PlannedLease.delete().where(mine, PlannedLease.lane.in_(dropped)).execute()


def _history(lender: str, began_s: int, rules: Rules, *fields: Any) -> Any:
    recent = (Visit.at_s >= began_s - rules.history_s) & (Visit.at_s < began_s)
    return Visit.select(Visit.account, *fields).where(Visit.lender == lender, recent)


def _sample(lender: str, began_s: int, rules: Rules) -> Iterator[list[int]]:
    """The baskets of the first accounts that have any."""
    tokens = [bytes(token) for (token,) in rows(_first_tokens(lender))]
    if not tokens:
        return
    query = _history(lender, began_s, rules, Visit.amount_minor).where(Visit.account <= tokens[-1])
    for _, visits in groupby(rows(query.order_by(Visit.account)), key=lambda row: bytes(row[0])):
        yield [minor for _, minor in visits]


def _first_tokens(lender: str) -> Any:
    return Account.select(Account.token).where(Account.lender == lender).order_by(Account.token).limit(SAMPLE)
