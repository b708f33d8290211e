"""Customers: a limit, a home, regular stores, home lanes, and a history of visits.

The one rule: everything about a customer comes from the seed and the customer's own number, so that an import can be
cut off and run again, and a larger town has the same people in it.

The model is made of known parts with round numbers, not fitted to anybody's books: Huff's gravity model for the choice
of stores, an inhomogeneous Poisson process (thinned, Lewis and Shedler 1979) for the times, log-normal baskets.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import cos, log, pi
from typing import Final, NamedTuple

from backend.population.town import SIDE_KM, Store

DAY_S: Final = 86_400
TIME_ZONE_S: Final = 8 * 3600  # the town keeps China Standard Time

LIMIT_MEDIAN_MINOR: Final = 300_000
LIMIT_SIGMA: Final = 0.8
LIMIT_STEP_MINOR: Final = 10_000
LIMIT_RANGE_MINOR: Final = (50_000, 5_000_000)
TIER_LIMITS_MINOR: Final = (200_000, 500_000)
"""Below the first is tier 1, from the second on tier 3."""

VISITS_A_WEEK_MEDIAN: Final = 1.2
VISITS_A_WEEK_SIGMA: Final = 0.7
VISITS_A_WEEK_MAX: Final = 10.0
BASKET_MEDIAN_MINOR: Final = 6_800
BASKET_SIGMA: Final = 0.8
CUSTOMER_BASKET_SIGMA: Final = 0.35
"""Between customers; ``BASKET_SIGMA`` is within one."""
BASKET_MIN_MINOR: Final = 100

REGULAR_STORES: Final = (0.70, 0.20, 0.10)
"""Shares of the regular stores among visits that do not explore."""
EXPLORING: Final = 0.10
"""Share of visits to any store at all, by its pull."""
HOME_LANE: Final = 0.55
"""Share of visits at the customer's own lane of a regular store; the rest goes to any of its lanes."""

WEEK: Final = (0.85, 0.80, 0.85, 0.90, 1.10, 1.35, 1.15)
"""Intensity from Monday to Sunday; the mean is 1."""
SEASON_SWING: Final = 0.20
SEASON_PEAK_DAY: Final = 25
"""Day of the year, in late January: the weeks before Spring Festival."""
HOURS: Final = (0, 0, 0, 0, 0, 0, 0, 1, 3, 5, 7, 9, 8, 5, 4, 5, 7, 11, 13, 11, 7, 4, 0, 0)
"""Weights of the hours of opening, 7 to 22, with the peaks before noon and after work."""

_HOURS_SUM: Final = tuple(accumulate(HOURS))
_REGULAR_SUM: Final = tuple(accumulate(REGULAR_STORES))
_INTENSITY_MAX: Final = max(WEEK) * (1 + SEASON_SWING)


class Visit(NamedTuple):
    """A purchase in the past, at ``at_s`` in UTC seconds."""

    at_s: int
    store: str
    lane: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Customer:
    """An account and its habits; ``stores`` are the regular ones, most visited first, ``home_lanes`` beside them;
    ``pulls`` is the running sum of what each store of the town draws."""

    token: bytes
    limit_minor: int
    tier: int
    home_km: tuple[float, float]
    stores: tuple[Store, ...]
    home_lanes: tuple[str, ...]
    pulls: tuple[float, ...]
    visits_a_day: float
    basket_median_minor: float


def customer(seed: int, number: int, town: Sequence[Store]) -> Customer:
    """Customer ``number`` of the town."""
    chance = random.Random(f"{seed}/{number}")
    home = (chance.uniform(0, SIDE_KM), chance.uniform(0, SIDE_KM))
    pulls = [store.pull(*home) for store in town]
    stores = tuple(town[at] for at in _regular(chance, pulls))
    limit_minor = _limit(chance)
    return Customer(
        token=hashlib.sha256(f"{seed}/{number}/token".encode()).digest()[:16],
        limit_minor=limit_minor,
        tier=1 + sum(limit_minor >= bound for bound in TIER_LIMITS_MINOR),
        home_km=home,
        stores=stores,
        home_lanes=tuple(chance.choice(store.lanes) for store in stores),
        pulls=tuple(accumulate(pulls)),
        visits_a_day=min(VISITS_A_WEEK_MAX, chance.lognormvariate(log(VISITS_A_WEEK_MEDIAN), VISITS_A_WEEK_SIGMA)) / 7,
        basket_median_minor=chance.lognormvariate(log(BASKET_MEDIAN_MINOR), CUSTOMER_BASKET_SIGMA),
    )


def visits(seed: int, number: int, who: Customer, town: Sequence[Store], *, first_day: int, days: int) -> list[Visit]:
    """The customer's history in order of time. Days are counted from 1970-01-01 in the town's own time."""
    chance = random.Random(f"{seed}/{number}/visits/{first_day}")
    found: dict[int, Visit] = {}
    for day in _days(chance, who.visits_a_day, first_day, days):
        at_s = day * DAY_S + _second_of_day(chance) - TIME_ZONE_S
        store, lane = _where(chance, who, town)
        found[at_s] = Visit(at_s, store.name, lane, _basket(chance, who))
    return [found[at_s] for at_s in sorted(found)]


def intensity(day: int) -> float:
    """How much busier than the mean a day is, by its weekday and the season."""
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    season = 1 + SEASON_SWING * cos(2 * pi * (day % 365.2425 - SEASON_PEAK_DAY) / 365.2425)
    return WEEK[weekday] * season


def _days(chance: random.Random, visits_a_day: float, first_day: int, days: int) -> Iterator[int]:
    """The days of the visits: candidates at the highest intensity there is, each kept by its own day's."""
    rate = visits_a_day * _INTENSITY_MAX
    at = chance.expovariate(rate)
    while at < days:
        day = first_day + int(at)
        if chance.random() * _INTENSITY_MAX < intensity(day):
            yield day
        at += chance.expovariate(rate)


def _second_of_day(chance: random.Random) -> int:
    return _drawn(chance, _HOURS_SUM) * 3600 + int(chance.random() * 3600)


def _where(chance: random.Random, who: Customer, town: Sequence[Store]) -> tuple[Store, str]:
    if chance.random() < EXPLORING:
        store = town[_drawn(chance, who.pulls)]
    else:
        at = _drawn(chance, _REGULAR_SUM[: len(who.stores)])
        store = who.stores[at]
        if chance.random() < HOME_LANE:
            return store, who.home_lanes[at]
    return store, store.lanes[int(chance.random() * len(store.lanes))]


def _regular(chance: random.Random, pulls: Sequence[float]) -> list[int]:
    """Up to three different stores, drawn by their pull: the first is where most visits go."""
    left = list(pulls)
    chosen: list[int] = []
    while len(chosen) < min(len(pulls), len(REGULAR_STORES)):
        chosen.append(_drawn(chance, tuple(accumulate(left))))
        left[chosen[-1]] = 0.0
    return chosen


def _drawn(chance: random.Random, running_sum: Sequence[float]) -> int:
    """An index by weight; ``random.choices`` does the same in four times the time."""
    return bisect(running_sum, chance.random() * running_sum[-1], hi=len(running_sum) - 1)


def _limit(chance: random.Random) -> int:
    drawn = chance.lognormvariate(log(LIMIT_MEDIAN_MINOR), LIMIT_SIGMA)
    low, high = LIMIT_RANGE_MINOR
    return min(high, max(low, round(drawn / LIMIT_STEP_MINOR) * LIMIT_STEP_MINOR))


def _basket(chance: random.Random, who: Customer) -> int:
    drawn = round(who.basket_median_minor * chance.lognormvariate(0, BASKET_SIGMA))
    return min(who.limit_minor, max(BASKET_MIN_MINOR, drawn))
