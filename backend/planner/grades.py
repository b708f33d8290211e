"""Grades: the round amounts that the planner leases and counts in, as clothes come in sizes.

The one rule: every figure of the planner is one of these amounts, so that a plan moves only when habits really do.

The amounts are the preferred numbers R10 of ISO 3: ten to a decade, each a quarter more than the one before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

_R10: Final = (100, 125, 160, 200, 250, 315, 400, 500, 630, 800)
AMOUNTS_MINOR: Final[tuple[int, ...]] = tuple(number * 10**decade for decade in range(5) for number in _R10)
"""1.00 to 80,000.00 in a currency of two decimals."""

LARGEST: Final = len(AMOUNTS_MINOR) - 1


def covering(amount_minor: int) -> int:
    """The smallest grade whose amount is at least ``amount_minor``; the largest if there is none."""
    return min(bisect_left(AMOUNTS_MINOR, amount_minor), LARGEST)


def within(amount_minor: int) -> int:
    """The largest grade whose amount is at most ``amount_minor``; -1 if there is none."""
    return bisect_right(AMOUNTS_MINOR, amount_minor) - 1
