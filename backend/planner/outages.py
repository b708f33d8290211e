"""Outages of a simulated town: when each lane was cut off, alone or with its whole store.

The one rule: the same seed gives the same outages. They come far more often than in life, so that a month shows enough.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from backend.population.customers import DAY_S
from backend.population.town import Store

HOUR_S: Final = 3_600
LANE_GAP_S: Final = 6 * DAY_S
LANE_LASTS_S: Final = (HOUR_S, 24 * HOUR_S)
STORE_GAP_S: Final = 20 * DAY_S
STORE_LASTS_S: Final = (HOUR_S, 40 * HOUR_S)
"""Gaps are exponential with that mean, durations uniform between the two."""


class Outage(NamedTuple):
    """From ``from_s`` to before ``to_s``, in UTC seconds."""

    from_s: int
    to_s: int


Outages = Mapping[str, Sequence[Outage]]
"""By lane, in order of time, none touching the next."""


def of_town(seed: int, town: Sequence[Store], first_s: int, last_s: int) -> Outages:
    chance = random.Random(f"{seed}/outages/{first_s}")
    found: dict[str, Sequence[Outage]] = {}
    for store in town:
        shared = list(_drawn(chance, STORE_GAP_S, STORE_LASTS_S, first_s, last_s))
        for lane in store.lanes:
            own = _drawn(chance, LANE_GAP_S, LANE_LASTS_S, first_s, last_s)
            found[lane] = list(_merged(sorted([*shared, *own])))
    return found


def at(outages: Sequence[Outage], at_s: int) -> Outage | None:
    """The outage of a lane at that moment."""
    found = bisect_right(outages, at_s, key=lambda outage: outage.from_s) - 1
    return outages[found] if found >= 0 and at_s < outages[found].to_s else None


def _drawn(chance: random.Random, gap_s: int, lasts_s: tuple[int, int], first_s: int, last_s: int) -> Iterator[Outage]:
    at_s = first_s + int(chance.expovariate(1 / gap_s))
    while at_s < last_s:
        over_s = at_s + chance.randint(*lasts_s)
        yield Outage(at_s, over_s)
        at_s = over_s + 1 + int(chance.expovariate(1 / gap_s))


def _merged(outages: Sequence[Outage]) -> Iterator[Outage]:
    current: Outage | None = None
    for outage in outages:
        if current and outage.from_s <= current.to_s:
            current = Outage(current.from_s, max(current.to_s, outage.to_s))
            continue
        if current:
            yield current
        current = outage
    if current:
        yield current
