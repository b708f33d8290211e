"""The policy: the leases of one account, from where its owner shopped and what the lender's rules say credit is worth.

The one rule: the plan of an account depends on its own visits, everybody's habits and the rules, on no other account
and no clock; so accounts can be planned anywhere, in any order, again and again, with one result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from backend.planner.grades import AMOUNTS_MINOR, within
from backend.planner.habits import Habits
from backend.planner.rules import Rules

Plan: TypeAlias = dict[str, int]
"""Lane to lease, in minor units; lanes without a lease are absent."""


class Seen(NamedTuple):
    """A visit as the planner needs it."""

    at_s: int
    lane: str
    amount_minor: int


@dataclass(slots=True)
class _Place:
    """A lane where the account was: how often, and when last."""

    visits: int = 0
    last_s: int = 0


def plan(
    visits: Sequence[Seen], free_minor: int, rules: Rules, habits: Habits, *, before: Mapping[str, int], now_s: int
) -> Plan:
    """The leases of one account; ``visits`` are those since ``now_s - rules.history_s``, ``before`` its last plan.

    Greedy by density: lanes come in the order of visits, the most visited first, and each gets the lease whose
    turnover is worth most above the price of the credit, as long as the account has credit to lease.
    """
    left = rules.leasable_minor(free_minor)
    typical = habits.typical([visit.amount_minor for visit in visits])
    planned: Plan = {}
    for lane, place in _regular(_places(visits), rules, before, now_s):
        most = min(left, rules.grant_max_minor)
        grade = _best(place.visits, typical, most, rules, habits)
        if grade is None:
            continue
        planned[lane] = _steady(grade, before.get(lane, 0), most)
        left -= planned[lane]
    return planned


def _places(visits: Sequence[Seen]) -> dict[str, _Place]:
    found: dict[str, _Place] = {}
    for visit in visits:
        place = found.setdefault(visit.lane, _Place())
        place.visits += 1
        place.last_s = max(place.last_s, visit.at_s)
    return found


def _regular(
    places: Mapping[str, _Place], rules: Rules, before: Mapping[str, int], now_s: int
) -> list[tuple[str, _Place]]:
    """The lanes that may have a lease, the most visited first. What is held already is easier to keep than to get."""
    kept = [
        (lane, place)
        for lane, place in places.items()
        if place.visits >= (rules.visits_kept if lane in before else rules.visits_min)
        and place.last_s > now_s - rules.holding_s
    ]
    return sorted(kept, key=lambda each: (-each[1].visits, each[0]))


def _best(visits: int, typical: int, left_minor: int, rules: Rules, habits: Habits) -> int | None:
    """The grade that is worth most; None if none is worth its price. Smaller than a typical basket is no use."""
    best, worth = None, 0
    for grade in range(typical, within(left_minor) + 1):
        carried = visits * habits.expected_minor(typical, grade)
        cost = rules.price_ppm * rules.history_d * AMOUNTS_MINOR[grade]
        if carried - cost > worth:
            best, worth = grade, carried - cost
    return best


def _steady(fresh: int, before_minor: int, most_minor: int) -> int:
    """The lease as it was, if it is one grade from the fresh one at most: else every visit would move it."""
    is_near = before_minor and abs(fresh - within(before_minor)) <= 1
    return before_minor if is_near and before_minor <= most_minor else AMOUNTS_MINOR[fresh]
