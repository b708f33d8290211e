"""Habits: what a typical basket is, and how far baskets stray from it, learnt from past visits.

The one rule: an account's few visits are read in the light of everybody's: a person seen twice is taken for an average
customer, one seen fifty times for what they are. All in integers, so that every machine plans the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from backend.planner.grades import AMOUNTS_MINOR, LARGEST, covering

MILLION: Final = 1_000_000
EVERYBODY_WEIGHT: Final = 12
"""Everybody's habits count as much as so many visits of one's own (an empirical Bayes prior); between 6 and 16 the
simulation shows no difference."""

_OFFSETS: Final = range(-LARGEST, LARGEST + 1)


@dataclass(frozen=True, slots=True)
class Habits:
    """Everybody's: ``grades_sum`` over ``visits`` visits, and how baskets lie about their customer's typical one.

    ``covered[d + LARGEST]``: what a lease ``d`` grades above the typical basket covers of a visit's expected turnover
    (a sale above the lease is not covered at all), in millionths of the typical basket.
    """

    visits: int
    grades_sum: int
    covered: tuple[int, ...]

    def typical(self, amounts_minor: Sequence[int]) -> int:
        """The grade of an account's typical basket (a geometric mean), drawn towards everybody's."""
        return _typical(amounts_minor, self.visits, self.grades_sum)

    def expected_minor(self, typical: int, leased: int) -> int:
        """What a lease of grade ``leased`` covers of one visit, in millionths of a minor unit."""
        return AMOUNTS_MINOR[typical] * self.covered[leased - typical + LARGEST]


def learn(histories: Iterable[Sequence[int]]) -> Habits | None:
    """From the baskets (minor units) of some accounts, a sequence each; None if nobody bought anything."""
    seen = [amounts for amounts in histories if amounts]
    visits = sum(map(len, seen))
    if not visits:
        return None
    grades_sum = sum(covering(amount) for amounts in seen for amount in amounts)
    strayed: Counter[int] = Counter()
    for amounts in seen:
        typical = _typical(amounts, visits, grades_sum)
        for amount in amounts:
            strayed[covering(amount) - typical] += amount * MILLION // AMOUNTS_MINOR[typical]
    return Habits(visits, grades_sum, tuple(total // visits for total in accumulate(strayed[d] for d in _OFFSETS)))


def _typical(amounts_minor: Sequence[int], visits: int, grades_sum: int) -> int:
    own = sum(map(covering, amounts_minor))
    return (own * visits + EVERYBODY_WEIGHT * grades_sum) // ((len(amounts_minor) + EVERYBODY_WEIGHT) * visits)
