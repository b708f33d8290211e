"""Random selection of sales that stand in, as terminal risk management of EMV does it (EMV Book 3, section 10.6.2).

The one rule: the draw is known to nobody before the sale and can be repeated by anybody after it. It is made from the
phone's proof, which the customer has and the shop has not, and the hash of the lane's last entry, the other way about.
"""

from __future__ import annotations

import hashlib
from typing import Final

PERCENT: Final = 100


def draw(last_hash: bytes, cti: bytes) -> int:
    """0 to 99, each as likely as any other (of 2^64 numbers, the bias is without meaning)."""
    return int.from_bytes(hashlib.sha256(last_hash + cti).digest()[:8], "big") % PERCENT


def percent(amount_minor: int, *, threshold_minor: int, floor_minor: int, low: int, high: int) -> int:
    """How many sales of a hundred are selected: ``low`` below the threshold, then rising evenly to ``high`` at the
    floor limit. Rounded down."""
    if amount_minor < threshold_minor:
        return low
    if amount_minor >= floor_minor:
        return high
    return low + (high - low) * (amount_minor - threshold_minor) // (floor_minor - threshold_minor)
